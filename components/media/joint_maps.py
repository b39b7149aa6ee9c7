"""Joints as label maps on a grid of feature cells, and back: what pose propagation starts from and what it reads out.

Source: the JHMDB protocol of Contrastive Random Walk (arXiv:2006.14613), section "Pose".
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from components.errors import InputError

# A joint that was not found.
MISSING = -1.0


def joint_label_map(points: Tensor, grid: Sequence[int], sigma: float = 0.5) -> Tensor:
    """Draw each joint as a small Gaussian into a channel of its own; channel 0 is the background.

    The window of a joint starts at cell `int(coordinate - 3 sigma)` (towards zero, as published), its peak 1 lies two
    cells on (for sigma 0.5), and it is cut at the border. `sigma` 0 marks the single cell that holds the joint.

    Args:
        points: `[2, J]`, x and y in feature cells; joints that are not finite are left out.
        grid: height and width in cells.
        sigma: of the Gaussian, cells.

    Returns:
        float32 `[1 + J, h, w]` on the device of `points`; the background is 1 where no joint is.

    Raises:
        InputError: points of another shape, or a negative sigma.
    """
    if points.ndim != 2 or points.shape[0] != 2:
        raise InputError(f"joints have shape {list(points.shape)}; expected [2, joints], x above y")
    if sigma < 0:
        raise InputError(f"sigma={sigma} of a joint's window must not be negative")
    height, width = grid
    size = math.ceil(6 * sigma + 1)
    offsets = torch.arange(size, dtype=torch.float64) - (6 * sigma + 1) // 2
    bell = torch.exp(-(offsets**2) / (2 * sigma**2)) if sigma > 0 else torch.ones(1, dtype=torch.float64)
    window = (bell[:, None] * bell[None, :]).float()
    maps = torch.zeros(1 + points.shape[1], height, width)
    for joint, (x, y) in enumerate(points.detach().double().cpu().T.tolist(), start=1):
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        left, right = _span(x, sigma, width)
        top, bottom = _span(y, sigma, height)
        columns, rows = range(max(0, left), min(right, width)), range(max(0, top), min(bottom, height))
        if columns and rows:
            maps[joint, rows.start : rows.stop, columns.start : columns.stop] = window[
                rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
    maps[0] = (maps[1:].sum(0) == 0).float()
    return maps.to(points.device)


def joint_coordinates(soft: Tensor, top: int = 3) -> Tensor:
    """Where each joint is: mean of the strongest cells of its channel, weighted by their values.

    Args:
        soft: label maps `[1 + J, h, w]`; channel 0, the background, is dropped.
        top: number of cells.

    Returns:
        `[2, J]`, x and y in feature cells; `MISSING` for both where a channel is all zero.
    """
    width = soft.shape[-1]
    flat = soft[1:].flatten(1)
    values, cells = flat.topk(min(top, flat.shape[1]), dim=1)
    weights = values / values.sum(1, keepdim=True)
    place = torch.stack([(cells % width * weights).sum(1), (cells // width * weights).sum(1)])
    return torch.where(flat.sum(1) == 0, torch.full_like(place, MISSING), place)


def _span(coordinate: float, sigma: float, limit: int) -> tuple[int, int]:
    """First cell of a window and the one after its last."""
    if abs(coordinate) > limit + 6 * sigma + 2:  # far outside; the integers stay small
        return limit, limit
    return int(coordinate - 3 * sigma), int(coordinate + 3 * sigma + 1)
