"""How pictures become the input of a network: shifted and scaled colours, or lightness alone.

A normalisation has `apply` (pictures 0..1, RGB, `[..., 3, H, W]`) and `undo`.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from components.errors import InputError


class PictureNormalization(Protocol):
    """What every normalisation here can do."""

    def apply(self, images: Tensor) -> Tensor:
        """Network input from RGB pictures 0..1, both `[..., 3, H, W]`."""
        ...

    def undo(self, images: Tensor) -> Tensor:
        """Pictures 0..1 again."""
        ...


class Normalization(NamedTuple):
    """`(image - mean) / std` per colour.

    Args:
        mean: of red, green and blue, 0..1.
        std: likewise, above 0.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def apply(self, images: Tensor) -> Tensor:
        """Network input from RGB pictures 0..1, both `[..., 3, H, W]`; device and dtype stay."""
        mean, std = self._columns(images)
        return (images - mean).div_(std)

    def undo(self, images: Tensor) -> Tensor:
        """Pictures 0..1 from network input, both `[..., 3, H, W]`."""
        mean, std = self._columns(images)
        return (images * std).add_(mean)

    def _columns(self, images: Tensor) -> tuple[Tensor, Tensor]:
        _check(images)
        mean = torch.tensor(self.mean, dtype=images.dtype, device=images.device).view(3, 1, 1)
        std = torch.tensor(self.std, dtype=images.dtype, device=images.device).view(3, 1, 1)
        return mean, std


class GrayLab(NamedTuple):
    """Lightness of CIE Lab in all three channels, its range 0..255 brought to about -1..1: the input of UVC.

    UVC (Joint-task Self-supervised Learning for Temporal Correspondence) takes the L channel of 8-bit Lab pictures,
    minus 128, over 128; here without the rounding to 8 bits.
    """

    def apply(self, images: Tensor) -> Tensor:
        """Network input from RGB pictures 0..1, both `[..., 3, H, W]`; device and dtype stay."""
        _check(images)
        linear = torch.where(images <= 0.04045, images / 12.92, ((images.clamp_min(0.0) + 0.055) / 1.055) ** 2.4)
        weights = torch.tensor((0.212671, 0.715160, 0.072169), dtype=images.dtype, device=images.device)
        light = (linear * weights.view(3, 1, 1)).sum(-3, keepdim=True)
        lightness = torch.where(light > 0.008856, 116 * light.clamp_min(1e-8) ** (1 / 3) - 16, 903.3 * light)
        return ((2.55 * lightness - 128) / 128).expand(images.shape)

    def undo(self, images: Tensor) -> Tensor:
        """Grey pictures 0..1 from network input, both `[..., 3, H, W]`; the colours are gone."""
        _check(images)
        lightness = (images * 128 + 128) / 2.55
        light = torch.where(lightness > 8.0, ((lightness + 16) / 116) ** 3, lightness / 903.3)
        return torch.where(
            light <= 0.0031308, 12.92 * light, 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055
        )  # sRGB curve


# Statistics that CRW is trained with (CIFAR-10's), and those it is evaluated with (ImageNet's).
CRW_TRAINING = Normalization((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
GRAY_LAB = GrayLab()

_BY_NAME: dict[str, Normalization | GrayLab] = {
    "crw_training": CRW_TRAINING,
    "imagenet": IMAGENET,
    "gray_lab": GRAY_LAB,
}


def named_normalization(name: str, key: str) -> Normalization | GrayLab:
    """A normalisation by its name in a config.

    Raises:
        InputError: no such name; the message starts with `key`.
    """
    if name not in _BY_NAME:
        raise InputError(f"{key}={name}: expected one of {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def _check(images: Tensor) -> None:
    if images.dim() < 3 or images.shape[-3] != 3 or not images.is_floating_point():
        raise ValueError(f"pictures must be floating point [..., 3, H, W], got {images.dtype} {list(images.shape)}")
