"""Frames of a clip weighted by their similarity to a text (PACL; Weighted Frame Integration in the paper)."""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from components.errors import InputError


@dataclass(frozen=True)
class Alignment:
    """How frames are weighted by their cosines with a text.

    Args:
        weighting: `softmax` over the frames, or `sigmoid` of each frame for itself: its weights lie in [0, 1] and do
            not sum to 1.
        scale: factor on the cosines before that. Published: 1 for softmax, 10 for sigmoid.
        apply_to: the weighted sum is one of `raw` frames or of `normalised` ones.
        renormalise: bring the sum to length 1 (published run pacldebug2 does not).

    Raises:
        InputError: a value is out of range.
    """

    weighting: Literal["softmax", "sigmoid"] = "softmax"
    scale: float = 1.0
    apply_to: Literal["raw", "normalised"] = "raw"
    renormalise: bool = True

    def __post_init__(self) -> None:
        if self.weighting not in ("softmax", "sigmoid"):
            raise InputError(f"model.alignment.weighting='{self.weighting}' is not one of softmax, sigmoid")
        if self.apply_to not in ("raw", "normalised"):
            raise InputError(f"model.alignment.apply_to='{self.apply_to}' is not one of raw, normalised")
        if self.scale <= 0:
            raise InputError(f"model.alignment.scale={self.scale} must be above 0")


def full_precision(x: Tensor) -> Tensor:
    """Half-precision values as float32; others as they are."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def cosines(frames: Tensor, texts: Tensor, own: bool) -> Tensor:
    """Cosines of frames and texts, in float32 also under autocast.

    Args:
        frames: `[B, T, E]`.
        texts: one per clip `[B, E]` with `own`, else L for all clips `[L, E]`.
        own: whether text b belongs to clip b.

    Returns:
        `[B, T]`, or `[B, L, T]`.
    """
    with torch.autocast(frames.device.type, enabled=False):
        u = F.normalize(full_precision(frames), dim=-1)
        t = F.normalize(full_precision(texts), dim=-1)
        return torch.einsum("bte,be->bt" if own else "bte,le->blt", u, t)


def frame_weights(frames: Tensor, texts: Tensor, alignment: Alignment, own: bool = False) -> Tensor:
    """Weights of frames; arguments and shapes as `cosines`."""
    scaled = alignment.scale * cosines(frames, texts, own)
    return scaled.softmax(dim=-1) if alignment.weighting == "softmax" else scaled.sigmoid()


def align(frames: Tensor, texts: Tensor, alignment: Alignment, own: bool = False) -> Tensor:
    """Weighted sums of frames, not normalised.

    The published `patch_alignment_train` (`own`, normalised) and `_train_mod` (`own`, raw), `_val` and `_val_mod`.

    Args:
        frames: `[B, T, E]`, not normalised.
        texts: `[B, E]` with `own`, else `[L, E]`.
        alignment: how.
        own: whether text b belongs to clip b.

    Returns:
        `[B, E]`, or `[B, L, E]`: every clip as seen by every text.
    """
    weights = frame_weights(frames, texts, alignment, own)
    with torch.autocast(frames.device.type, enabled=False):
        summed = full_precision(frames)
        if alignment.apply_to == "normalised":
            summed = F.normalize(summed, dim=-1)
        return torch.einsum("bt,bte->be" if own else "blt,bte->ble", weights, summed)
