"""Frames of a clip brought to one size, with random crops, colours and mirror images."""

from collections.abc import Sequence

import torch
from torch import Tensor

from components.errors import InputError
from components.media.colour_jitter import ColourJitter, JitterDraws
from components.media.crops import random_crops, resized
from components.media.patches import Generators, check_crop_ranges, draw_look, join_looks, mirror, shares
from datamodules.videowalk.patches import option_names

_FRAME_OPTIONS = ("crop", "cj", "flip")


class FrameTransform:
    """Random resized crop or plain resizing to a square, then colour jitter, then mirror images.

    As published (arXiv 2006.14613) every frame has draws of its own; with `consistent` all frames of a clip share
    theirs, so that the motion in the clip is the camera's and the objects' alone. Resizing is bilinear with a low-pass
    filter, as that of Pillow.

    Args:
        img_size: side of the result, pixels.
        names: of "crop" (random resized crop; otherwise the whole frame is squeezed), "cj" (brightness, contrast,
            saturation by up to a tenth) and "flip" (mirrored with probability 1/2).
        consistent: draw once per clip rather than per frame.
        scale: smallest and largest share of the frame's area that a crop takes.
        ratio: smallest and largest aspect (width over height) of a crop.

    Raises:
        InputError: an unknown name or a value out of range.
    """

    def __init__(
        self,
        img_size: int = 256,
        names: Sequence[str] = ("crop",),
        consistent: bool = False,
        scale: tuple[float, float] = (0.8, 0.95),
        ratio: tuple[float, float] = (0.7, 1.3),
    ) -> None:
        if img_size < 1:
            raise InputError(f"data.img_size={img_size} must be at least 1 pixel")
        self.names = option_names("data.frame_transforms", names, _FRAME_OPTIONS)
        check_crop_ranges("frame transform", scale, ratio)
        self.img_size = img_size
        self.consistent = consistent
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))
        self.jitter = ColourJitter() if "cj" in self.names else None
        self.flip = "flip" in self.names

    def __call__(self, frames: Tensor, generator: Generators = None) -> Tensor:
        """Square frames.

        Args:
            frames: `[T, 3, H, W]`, or a batch of clips `[B, T, 3, H, W]`; uint8, or float 0..1.
            generator: on the CPU; None = torch's global one; for a batch also a list with one for each clip.

        Returns:
            `[..., T, 3, img_size, img_size]` of the same dtype.
        """
        if frames.dim() < 4 or frames.shape[-3] != 3:
            raise ValueError(f"clips must be [..., T, 3, H, W], got {list(frames.shape)}")
        images = frames.reshape(-1, *frames.shape[-3:])
        height, width = images.shape[-2:]
        # Images that share their draws stand next to each other: a clip, or each frame alone.
        shared = frames.shape[-4] if self.consistent else 1
        crops, looks = [], []
        for part, share in shares(generator, len(images) // shared):
            if "crop" in self.names:
                crops.append(random_crops(share, height, width, self.scale, self.ratio, part))
            looks.append(draw_look(share, self.jitter, self.flip, part))
        look = join_looks(looks)
        images = self._cropped(images, torch.cat(crops), shared) if crops else resized(images, self.img_size)
        if self.jitter is not None and look.jitter is not None:
            draws = JitterDraws(*(each.repeat_interleave(shared, 0) for each in look.jitter))
            images = _changed(images, self.jitter, draws)
        if look.mirrored is not None:
            images = mirror(images, look.mirrored.repeat_interleave(shared))
        return images.view(*frames.shape[:-2], self.img_size, self.img_size)

    def _cropped(self, images: Tensor, crops: Tensor, shared: int) -> Tensor:
        result = images.new_empty(len(images), 3, self.img_size, self.img_size)
        parts = zip(images.split(shared), result.split(shared), crops.tolist(), strict=True)
        for group, target, (top, left, rows, columns) in parts:
            target.copy_(resized(group[..., top : top + rows, left : left + columns], self.img_size))
        return result


def _changed(images: Tensor, jitter: ColourJitter, draws: JitterDraws) -> Tensor:
    if images.dtype != torch.uint8:
        return jitter.apply(images, draws)
    return jitter.apply(images.float().div_(255), draws).mul_(255).round_().byte()
