"""Random brightness, contrast and saturation, one affine map of the colours per image."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from components.errors import InputError

# Weights of the colours in a grey value (ITU-R 601).
_GREY = (0.299, 0.587, 0.114)
_STEPS = 3


class JitterDraws(NamedTuple):
    """Draws for n images: `factors [n, 3]` of brightness, contrast and saturation, and `order [n, 3]` of them."""

    factors: Tensor
    order: Tensor


class ColourJitter:
    """Brightness, contrast and saturation change by a random factor each, in random order.

    Brightness blends with black, contrast with the image's mean grey, saturation with each pixel's grey. All three are
    affine in the colours, so each image gets one 3 x 3 matrix and one offset; values are cut to 0..1 once, at the end
    (the published transform cuts and rounds after each step, which differs for nearly white or black pixels only).

    Args:
        brightness: largest change; factors lie in 1 - b to 1 + b.
        contrast: likewise.
        saturation: likewise.

    Raises:
        InputError: a change outside 0..1.
    """

    def __init__(self, brightness: float = 0.1, contrast: float = 0.1, saturation: float = 0.1) -> None:
        self.changes = (brightness, contrast, saturation)
        if not all(0 <= change <= 1 for change in self.changes):
            raise InputError(f"colour jitter: changes must lie in 0..1, got {', '.join(map(str, self.changes))}")

    def draw(self, count: int, generator: Generator | None = None) -> JitterDraws:
        """Random choices for `count` images."""
        changes = torch.tensor(self.changes)
        factors = 1 + changes * (2 * torch.rand(count, _STEPS, generator=generator) - 1)
        return JitterDraws(factors, torch.rand(count, _STEPS, generator=generator).argsort(1))

    def apply(self, images: Tensor, draws: JitterDraws) -> Tensor:
        """Images with other colours; float 0..1 `[n, 3, H, W]`."""
        factors = draws.factors.to(images.device, images.dtype)
        order = draws.order.to(images.device)
        grey = torch.tensor(_GREY, dtype=images.dtype, device=images.device)
        same = torch.eye(3, dtype=images.dtype, device=images.device)
        to_grey = grey.expand(3, 3)
        means = images.mean((2, 3))
        matrix = same.expand(len(images), 3, 3)
        offset = images.new_zeros(len(images), 3)
        for place in range(_STEPS):
            step = order[:, place]
            factor = factors.gather(1, step[:, None])
            is_contrast, is_saturation = (step == 1)[:, None], (step == 2)[:, None]
            mean_grey = ((matrix @ means[..., None])[..., 0] + offset) @ grey
            blend = torch.where(is_saturation, 1 - factor, 0.0)[..., None] * to_grey
            this = factor[..., None] * same + blend
            matrix = this @ matrix
            offset = (this @ offset[..., None])[..., 0]
            offset = offset + torch.where(is_contrast, (1 - factor) * mean_grey[:, None], 0.0)
        changed = torch.baddbmm(offset[..., None], matrix, images.flatten(2))
        return changed.clamp_(0.0, 1.0).view(images.shape)
