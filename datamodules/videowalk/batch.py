"""What a batch of clips is: the only thing that the data side and the model side of videowalk share."""

from typing import TypedDict

from torch import Tensor


class ClipItem(TypedDict):
    """One clip as a dataset returns it, before the batch is put together."""

    clip: Tensor
    """`[T, 3*N, h, w]` float32, normalised; uint8 `[T, 3, H, W]` where the device augments."""
    seed: int
    """Seed of this draw; what the device draws for the clip comes from it."""
    failed: list[tuple[str, str]]
    """(path, reason) of every clip that could not be read before this one took its place."""


class ClipBatch(TypedDict):
    """A batch of clips."""

    clips: Tensor
    """`[B, T, 3*N, h, w]` float32, normalised; channel index = node * 3 + colour, N nodes in row-major order of the
    grid, N = 1 where a frame is one node."""
