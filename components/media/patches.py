"""Frames of a clip as nodes of a graph: a grid of overlapping, jittered patches, or the whole frame.

Nodes stand side by side in the channels: channel = node * 3 + colour. The transforms work on one clip as on batches.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from components.errors import InputError
from components.media.colour_jitter import ColourJitter, JitterDraws
from components.media.crops import Windows, random_crops, resample_windows
from components.media.normalization import CRW_TRAINING, Normalization, PictureNormalization

# One for everything, or one for each entry of the first axis.
Generators = Generator | Sequence[Generator] | None


class PatchGrid:
    """A grid of square windows, each cut to a random crop of itself and enlarged again, then normalised.

    Contrastive random walks (arXiv 2006.14613): windows of 64 pixels every 32 in frames of 256, 7 x 7 nodes. Windows
    that do not fit whole are left out. Nodes are in row order.

    Args:
        patch_size: side of a window and of a patch, pixels.
        patch_stride: distance of windows as share of their side.
        scale: smallest and largest share of a window's area that a crop takes.
        ratio: smallest and largest aspect of a crop.
        colour_jitter: brightness, contrast and saturation of each patch change by up to a tenth.
        flip: each patch is mirrored with probability 1/2.
        normalization: of the result.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        patch_size: int = 64,
        patch_stride: float = 0.5,
        scale: tuple[float, float] = (0.7, 0.9),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        colour_jitter: bool = False,
        flip: bool = False,
        normalization: PictureNormalization = CRW_TRAINING,
    ) -> None:
        if patch_size < 1:
            raise InputError(f"patch_size={patch_size} must be at least 1 pixel")
        if not 0 < patch_stride <= 1 or int(patch_size * patch_stride) < 1:
            raise InputError(f"patch_stride={patch_stride} must lie in 0..1 and give a stride of at least one pixel")
        check_crop_ranges("patch grid", scale, ratio)
        self.patch_size = patch_size
        self.stride = int(patch_size * patch_stride)
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))
        self.colour_jitter = ColourJitter() if colour_jitter else None
        self.flip = flip
        self.normalization = normalization

    def windows(self, height: int, width: int) -> Windows:
        """The windows in a frame.

        Raises:
            InputError: the frame is smaller than a window.
        """
        side, stride = self.patch_size, self.stride
        if height < side or width < side:
            raise InputError(
                f"frames of {height} x {width} pixels are smaller than a patch: patch_size={side}.\n"
                "Choose a larger img_size or a smaller patch_size"
            )
        return Windows(side, stride, (height - side) // stride + 1, (width - side) // stride + 1)

    def num_nodes(self, height: int, width: int) -> int:
        """Patches per frame."""
        return self.windows(height, width).count

    def draw_crops(self, frames: int, nodes: int, generator: Generator | None = None) -> Tensor:
        """Random crops for every node of every frame, inside their windows, int64 `[frames, nodes, 4]`."""
        side = self.patch_size
        return random_crops(frames * nodes, side, side, self.scale, self.ratio, generator).view(frames, nodes, 4)

    def __call__(self, frames: Tensor, generator: Generators = None, crops: Tensor | None = None) -> Tensor:
        """Patches of all frames, resampled together.

        Args:
            frames: `[..., 3, H, W]`, e.g. `[T, 3, H, W]` or `[B, T, 3, H, W]`; uint8, or float 0..1.
            generator: on the CPU; None = torch's global one; a list has one for each entry of the first axis, so that
                a clip gets the same patches alone and in any batch.
            crops: `[..., N, 4]` or `[N, 4]` for all frames: (top, left, height, width) inside the windows, instead of
                random ones.

        Returns:
            float `[..., 3*N, patch_size, patch_size]`.

        Raises:
            InputError: the frames are smaller than a patch.
        """
        height, width = frames.shape[-2:]
        images = as_unit_floats(frames).reshape(-1, 3, height, width)
        windows = self.windows(height, width)
        nodes = windows.count
        parts = []
        for part, share in shares(generator, len(images)):
            drawn = self.draw_crops(share, nodes, part) if crops is None else None
            parts.append((drawn, draw_look(share * nodes, self.colour_jitter, self.flip, part)))
        if crops is None:
            crops = torch.cat([drawn for drawn, _ in parts if drawn is not None])
        crops = crops.expand(*frames.shape[:-3], nodes, 4) if crops.dim() == 2 else crops
        crops = crops.reshape(len(images), nodes, 4)
        look = join_looks([look for _, look in parts])
        mirrored = None if look.mirrored is None else look.mirrored.view(len(images), nodes)
        if look.jitter is None and isinstance(self.normalization, Normalization):
            # It is linear, so it commutes with resampling, and a frame has fewer pixels than its overlapping patches.
            patches = resample_windows(self.normalization.apply(images), windows, crops, mirrored)
        else:
            patches = resample_windows(images, windows, crops, mirrored).flatten(0, 1)
            patches = self.normalization.apply(recoloured(patches, self.colour_jitter, look.jitter))
        return patches.reshape(*frames.shape[:-3], 3 * nodes, self.patch_size, self.patch_size)


class WholeFrame:
    """The frame itself, normalised: the graph's nodes are then the cells of its feature map.

    Args:
        colour_jitter: brightness, contrast and saturation of each frame change by up to a tenth.
        flip: each frame is mirrored with probability 1/2.
        normalization: of the result.
    """

    def __init__(
        self,
        colour_jitter: bool = False,
        flip: bool = False,
        normalization: PictureNormalization = CRW_TRAINING,
    ) -> None:
        self.colour_jitter = ColourJitter() if colour_jitter else None
        self.flip = flip
        self.normalization = normalization

    def num_nodes(self, height: int, width: int) -> int:
        """One picture per frame."""
        return 1

    def __call__(self, frames: Tensor, generator: Generators = None) -> Tensor:
        """Normalised frames, float `[..., 3, H, W]`, from uint8 or float 0..1 ones; `generator` as in `PatchGrid`."""
        images = as_unit_floats(frames).reshape(-1, *frames.shape[-3:])
        look = join_looks(
            [draw_look(share, self.colour_jitter, self.flip, part) for part, share in shares(generator, len(images))]
        )
        images = mirror(recoloured(images, self.colour_jitter, look.jitter), look.mirrored)
        return self.normalization.apply(images).view(frames.shape)


class Look(NamedTuple):
    """Draws for n pictures: new colours, and which are mirrored (bool `[n]`); None = left as they are."""

    jitter: JitterDraws | None
    mirrored: Tensor | None


def draw_look(count: int, jitter: ColourJitter | None, flip: bool, generator: Generator | None) -> Look:
    """Draws for `count` pictures; half of them are mirrored with `flip`."""
    colours = None if jitter is None else jitter.draw(count, generator)
    return Look(colours, torch.rand(count, generator=generator) < 0.5 if flip else None)


def join_looks(looks: Sequence[Look]) -> Look:
    """The draws of several parts as those of all pictures."""
    jitters = [look.jitter for look in looks if look.jitter is not None]
    mirrored = [look.mirrored for look in looks if look.mirrored is not None]
    colours = JitterDraws(*(torch.cat(draws) for draws in zip(*jitters, strict=True))) if jitters else None
    return Look(colours, torch.cat(mirrored) if mirrored else None)


def recoloured(images: Tensor, jitter: ColourJitter | None, draws: JitterDraws | None) -> Tensor:
    """Pictures `[n, 3, H, W]` with the drawn colours, or as they are where none are drawn."""
    return images if jitter is None or draws is None else jitter.apply(images, draws)


def mirror(images: Tensor, mirrored: Tensor | None) -> Tensor:
    """Pictures `[n, 3, H, W]` with left and right exchanged where `mirrored` (bool `[n]`) says so."""
    if mirrored is None:
        return images
    return torch.where(mirrored.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)


def shares(generator: Generators, count: int) -> list[tuple[Generator | None, int]]:
    """Which generator draws for how many of `count` pictures, in order.

    Raises:
        ValueError: the pictures cannot be shared out evenly.
    """
    if generator is None or isinstance(generator, Generator):
        return [(generator, count)]
    if not generator or count % len(generator):
        raise ValueError(f"{len(generator)} generators for {count} pictures: expected one per entry of the first axis")
    return [(each, count // len(generator)) for each in generator]


def as_unit_floats(images: Tensor) -> Tensor:
    """Floats 0..1 from bytes; floats stay as they are.

    Raises:
        ValueError: not pictures.
    """
    if images.dim() < 3 or images.shape[-3] != 3:
        raise ValueError(f"pictures must be [..., 3, H, W], got {list(images.shape)}")
    return images if images.is_floating_point() else images.float().div_(255)


def check_crop_ranges(where: str, scale: tuple[float, float], ratio: tuple[float, float]) -> None:
    """Refuse ranges of area and aspect that no crop can have.

    Raises:
        InputError: naming `where`.
    """
    if len(scale) != 2 or not 0 < scale[0] <= scale[1] <= 1:
        raise InputError(f"{where}: scale={list(scale)} must be two shares of the area, smaller first, in 0..1")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise InputError(f"{where}: ratio={list(ratio)} must be two aspects above 0, smaller first")
