"""From the frames of a clip to the nodes of a walk, all at once in a worker or in two steps with the device's help."""

from collections.abc import Sequence

import torch
from torch import Tensor

from components.media.patches import PatchGrid, WholeFrame
from datamodules.samplers import fold_seed
from datamodules.videowalk.augmentation import FrameTransform

# What a stream of chance is for; sets it apart from the draws of replacements.
_FRAMES, _NODES = 2, 3


class ClipTransforms:
    """Frames to one size, then nodes; what is drawn follows from each clip's seed.

    Args:
        frames: of `[T, 3, H, W]` uint8 makes `[T, 3, S, S]`.
        nodes: of `[..., T, 3, S, S]` makes float `[..., T, 3*N, h, w]`.
        on_device: leave the nodes to `nodes_of_batch`, so that workers hand out bytes rather than floats.
    """

    def __init__(self, frames: FrameTransform, nodes: PatchGrid | WholeFrame, on_device: bool = False) -> None:
        self.frames = frames
        self.nodes = nodes
        self.on_device = on_device

    def __call__(self, frames: Tensor, seed: int) -> Tensor:
        """Of `[T, 3, H, W]` uint8: float `[T, 3*N, h, w]`, or uint8 `[T, 3, S, S]` where the device does the rest."""
        images = self.frames(frames, _generator(seed, _FRAMES))
        return images if self.on_device else self.nodes(images, _generator(seed, _NODES))

    def nodes_of_batch(self, frames: Tensor, seeds: Sequence[int]) -> Tensor:
        """Of `[B, T, 3, S, S]` on any device: float `[B, T, 3*N, h, w]`.

        They are those that workers would make.
        """
        return self.nodes(frames, [_generator(seed, _NODES) for seed in seeds])


def _generator(seed: int, purpose: int) -> torch.Generator:
    return torch.Generator().manual_seed(fold_seed(seed, purpose))
