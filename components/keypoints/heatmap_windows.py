"""Values of heatmap windows: the part of a picture that one joint or limb reaches.

Bounds follow the published code to the letter: `int()` cuts toward zero, in float64, so that a window ends at the same
pixel there and here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_REACH = 3.0  # in sigmas


@dataclass
class Patches:
    """Pixels of many windows, each at most once per window.

    Windows of one size: values `[..., h, w]`, rows `[..., h]`, columns `[..., w]`, and `owner` is None. Windows of any
    size: all three `[P]`, and `owner` `[P]` counts the windows.
    """

    values: Tensor
    rows: Tensor
    columns: Tensor
    owner: Tensor | None = None

    def places(self, starts: Tensor, columns: Tensor, width: int) -> Tensor:
        """Place of every value in flat memory; `starts` `[...]` are where the canvases of the windows begin."""
        if self.owner is None:
            return (starts[..., None] + self.rows * width)[..., None] + columns[..., None, :]
        return starts.reshape(-1)[self.owner] + self.rows * width + columns


def keypoint_patches(points: Tensor, heights: Tensor, size: tuple[int, int], sigma: float) -> Patches:
    """Gaussian blobs.

    Args:
        points: `[..., 2]` float32, pixels (x, y).
        heights: `[...]` float32; 0 draws nothing.
        size: (height, width) of the canvas.
        sigma: pixels.
    """
    columns, across = _axis(points[..., 0], size[1], sigma)
    rows, down = _axis(points[..., 1], size[0], sigma)
    return Patches((down * heights[..., None])[..., None] * across[..., None, :], rows, columns)


def _axis(middle: Tensor, length: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Pixels that lie in the canvas `[..., k]`, and the Gaussian at them, 0 outside of the window."""
    low, high = bounds(middle, middle, length, sigma)
    most = min(int(2 * _REACH * sigma) + 2, length)
    # A window at the border begins earlier rather than ends outside: no pixel comes twice.
    pixels = low.clamp(0, length - most)[..., None] + torch.arange(most, device=low.device)
    inside = (pixels >= low[..., None]) & (pixels < high[..., None])
    distance = pixels - middle[..., None]
    return pixels, torch.exp(distance.square() / (-2 * sigma**2)) * inside


def bounds(first: Tensor, last: Tensor, length: int, sigma: float) -> tuple[Tensor, Tensor]:
    """First pixel and the one behind the last of windows that reach 3 sigma beyond two coordinates, int64."""
    # Apple's devices have no float64; a window may then be a pixel off where a bound is nearly whole.
    exact = torch.float32 if first.device.type == "mps" else torch.float64
    low = (first.to(exact) - _REACH * sigma).clamp(0, length)
    high = (last.to(exact) + _REACH * sigma).clamp(-2, length)
    return low.to(torch.int64), (high.to(torch.int64) + 1).clamp(max=length)


@dataclass
class _Segments:
    """Limbs that are to be drawn; `[...]` each, coordinates in pixels."""

    ax: Tensor
    ay: Tensor
    ux: Tensor
    uy: Tensor
    """from end a to end b"""
    over_length: Tensor
    """1 / squared length"""
    heights: Tensor
    left: Tensor
    right: Tensor
    top: Tensor
    bottom: Tensor


def limb_patches(
    points: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, limbs: Sequence[tuple[int, int]], eps: float
) -> Patches:
    """Ridges along limbs; a limb shorter than a pixel is a blob at its first end.

    Args:
        points: `[..., V, 2]` float32, pixels (x, y).
        scores: `[..., V]` float32.
        size: (height, width) of the canvas.
        sigma: pixels.
        limbs: L pairs of joints.
        eps: limbs with an end of less score are not drawn.
    """
    parts = _segments(points, scores, size, sigma, limbs, eps)
    if points.device.type == "cpu":
        return _listed(parts, sigma)
    return _whole_canvas(parts, size, sigma)


def _segments(
    points: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, limbs: Sequence[tuple[int, int]], eps: float
) -> _Segments:
    ends = torch.tensor(limbs, dtype=torch.int64, device=points.device)
    a, b = points.index_select(-2, ends[:, 0]), points.index_select(-2, ends[:, 1])
    score_a, score_b = scores.index_select(-1, ends[:, 0]), scores.index_select(-1, ends[:, 1])
    heights = torch.minimum(score_a, score_b)
    drawn = heights >= eps
    length = (b - a).square().sum(-1)
    short = length < 1
    b = torch.where(short[..., None], a, b)
    heights = torch.where(short, score_a, heights) * drawn
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    left, right = bounds(low[..., 0], high[..., 0], size[1], sigma)
    top, bottom = bounds(low[..., 1], high[..., 1], size[0], sigma)
    over_length = torch.where(short, torch.zeros_like(length), 1 / length.clamp(min=1))
    along = b - a
    return _Segments(a[..., 0], a[..., 1], along[..., 0], along[..., 1], over_length, heights, left, right, top, bottom)


def _ridge(x: Tensor, y: Tensor, ux: Tensor, uy: Tensor, over_length: Tensor, heights: Tensor, sigma: float) -> Tensor:
    """Value at places (x, y) seen from end a."""
    along = ((x * ux + y * uy) * over_length).clamp(0, 1)
    distance = (x - along * ux).square() + (y - along * uy).square()
    return torch.exp(distance / (-2 * sigma**2)) * heights


def _listed(parts: _Segments, sigma: float) -> Patches:
    """Only the pixels of the windows, in one list: how many they are must be known, which a CPU does."""
    widths, sizes = (parts.right - parts.left).clamp(min=0), (parts.bottom - parts.top).clamp(min=0)
    areas = (widths * sizes * (parts.heights > 0)).reshape(-1)
    owner = torch.repeat_interleave(areas)
    place = torch.arange(len(owner)) - (areas.cumsum(0) - areas)[owner]
    rows = torch.div(place, widths.reshape(-1)[owner], rounding_mode="floor")
    columns = place - rows * widths.reshape(-1)[owner] + parts.left.reshape(-1)[owner]
    rows = rows + parts.top.reshape(-1)[owner]

    def of(values: Tensor) -> Tensor:
        return values.reshape(-1)[owner]

    x, y = columns - of(parts.ax), rows - of(parts.ay)
    values = _ridge(x, y, of(parts.ux), of(parts.uy), of(parts.over_length), of(parts.heights), sigma)
    return Patches(values, rows, columns, owner)


def _whole_canvas(parts: _Segments, size: tuple[int, int], sigma: float) -> Patches:
    """Every pixel of every canvas, 0 outside of the windows: nothing that the host would have to wait for."""
    rows, columns = (torch.arange(side, device=parts.ax.device) for side in size)
    in_rows = (rows >= parts.top[..., None]) & (rows < parts.bottom[..., None])
    in_columns = (columns >= parts.left[..., None]) & (columns < parts.right[..., None])
    x, y = (columns - parts.ax[..., None])[..., None, :], (rows - parts.ay[..., None])[..., None]
    ux, uy, over_length, heights = (
        values[..., None, None] for values in (parts.ux, parts.uy, parts.over_length, parts.heights)
    )
    values = _ridge(x, y, ux, uy, over_length, heights, sigma) * (in_rows[..., None] & in_columns[..., None, :])
    shape = parts.ax.shape
    return Patches(values, rows.expand(*shape, -1), columns.expand(*shape, -1))
