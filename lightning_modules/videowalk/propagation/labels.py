"""Ids of pixels to shares of cells, and back."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def one_hot(ids: Tensor, objects: Sequence[int]) -> Tensor:
    """Channel i is 1 where the id is `objects[i]`: `[H, W]` to `[L, H, W]`, float32."""
    return (ids[None] == torch.tensor(list(objects), device=ids.device)[:, None, None]).float()


def to_cells(labels: Tensor, grid: tuple[int, int]) -> Tensor:
    """Labels of pixels `[L, H, W]` to cells `[L, h, w]`: bilinear at the centres of the cells, without antialiasing.

    As published: a cell gets the label of what lies in its middle, not the mean of all of its pixels.
    """
    return F.interpolate(labels[None], grid, mode="bilinear", align_corners=False)[0]


def upsample_ids(labels: Tensor, size: tuple[int, int], objects: Sequence[int]) -> Tensor:
    """Soft labels of cells `[L, h, w]` to ids of pixels, uint8 `[H, W]`: bilinear upsampling, then the greatest."""
    large = F.interpolate(labels[None], size, mode="bilinear", align_corners=False)[0]
    return torch.tensor(list(objects), dtype=torch.uint8, device=labels.device)[large.argmax(0)]
