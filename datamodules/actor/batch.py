"""What a batch of motions is: the only thing that the data side and the model side of ACTOR share."""

from typing import NotRequired, TypedDict

import torch
from torch import Tensor


class MotionItem(TypedDict):
    """One motion as a dataset returns it."""

    motion: Tensor
    """`[joints, feats, frames]` float32; the last row is the translation where the pose format has one."""
    action: int
    """Label, 0..num_classes-1."""
    seed: int
    """Seed of this draw; collates that need chance derive it from the seeds of their items."""
    mix_alpha: NotRequired[float]
    """Share of the first motion where this is a mixture."""


class MotionBatch(TypedDict):
    """A batch of motions."""

    motion: Tensor
    """`[batch, joints, feats, frames]` float32, zero where the mask is False."""
    mask: Tensor
    """`[batch, frames]` bool, True = real frame."""
    lengths: Tensor
    """`[batch]` int64, real frames."""
    action: Tensor
    """`[batch]` int64, label; of a mixed motion the first one."""
    second_action: Tensor
    """`[batch]` int64, label of the second motion; equals `action` for originals."""
    mix_alpha: Tensor
    """`[batch]` float32, share of the first motion before the masks; 1.0 for originals."""


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Bool `[batch, frames]`, True for the frames below each length `[batch]`."""
    return torch.arange(frames, device=lengths.device) < lengths.unsqueeze(1)
