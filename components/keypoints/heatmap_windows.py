"""Values of heatmap windows: the part of a picture that one joint or limb reaches.

Bounds follow the published code to the letter: `int()` cuts toward zero, in float64, so that a window ends at the same
pixel there and here.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

_REACH = 3.0  # in sigmas
# Exponents of 1e-35. Below that come numbers too small for float32's normal form, which take a CPU 25 times as long.
_LEAST = -80.0
# Windows whose sides differ by less are made together, pixels.
_STEP = 8


class Patches(NamedTuple):
    """Windows of one size, each pixel at most once per window."""

    values: Tensor
    """`[..., h, w]` float32."""
    rows: Tensor
    """`[..., h]` int64, pixels of the canvas."""
    columns: Tensor
    """`[..., w]` int64."""
    owner: Tensor | None = None
    """`[n]` which windows these are, where the leading shape is `[n]` and others have another size."""

    def places(self, starts: Tensor, columns: Tensor, width: int) -> Tensor:
        """Place of every value in flat memory; `starts` are where the canvases of all windows begin."""
        begins = starts if self.owner is None else starts.reshape(-1)[self.owner]
        return (begins[..., None] + self.rows * width)[..., None] + columns[..., None, :]


@lru_cache(maxsize=64)
def on_device(numbers: tuple[int | tuple[int, int], ...], device: torch.device) -> Tensor:
    """Whole numbers as an int64 tensor, sent to a device once: sending would make the host wait each time."""
    with torch.inference_mode(False):
        return torch.tensor(numbers, dtype=torch.int64, device=device)


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
    pixels, inside = _pixels(low, high, min(int(2 * _REACH * sigma) + 2, length), length)
    distance = pixels - middle[..., None]
    return pixels, torch.exp((distance.square() / (-2 * sigma**2)).clamp(min=_LEAST)) * inside


def _pixels(low: Tensor, high: Tensor, count: int, length: int) -> tuple[Tensor, Tensor]:
    """`count` pixels from `low` on `[..., count]`, and which of them lie before `high`.

    At the border they begin earlier rather than end outside: no pixel comes twice.
    """
    pixels = low.clamp(0, length - count)[..., None] + torch.arange(count, device=low.device)
    return pixels, (pixels >= low[..., None]) & (pixels < high[..., None])


def bounds(first: Tensor, last: Tensor, length: int, sigma: float) -> tuple[Tensor, Tensor]:
    """First pixel and the one behind the last of windows that reach 3 sigma beyond two coordinates, int64."""
    # Apple's devices have no float64; a window may then be a pixel off where a bound is nearly whole.
    exact = torch.float32 if first.device.type == "mps" else torch.float64
    low = (first.to(exact) - _REACH * sigma).clamp(0, length)
    high = (last.to(exact) + _REACH * sigma).clamp(-2, length)
    return low.to(torch.int64), (high.to(torch.int64) + 1).clamp(max=length)


class _Segments(NamedTuple):
    """Limbs that are to be drawn; `[...]` each, coordinates in pixels."""

    ax: Tensor
    ay: Tensor
    ux: Tensor
    """from end a to end b"""
    uy: Tensor
    over_length: Tensor
    """1 / squared length, 0 where the limb is a point"""
    heights: Tensor
    """0 where nothing is drawn"""
    left: Tensor
    right: Tensor
    top: Tensor
    bottom: Tensor


def limb_patches(
    points: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, limbs: Sequence[tuple[int, int]], eps: float
) -> list[Patches]:
    """Ridges along limbs; a limb shorter than a pixel is a blob at its first end.

    Windows of like sizes are made together. The sizes have to be known for that: `limb_canvases` needs none.

    Args:
        points: `[..., V, 2]` float32, pixels (x, y).
        scores: `[..., V]` float32.
        size: (height, width) of the canvas.
        sigma: pixels.
        limbs: L pairs of joints.
        eps: limbs with an end of less score are not drawn.
    """
    segments = _segments(points, scores, size, sigma, limbs, eps)
    heights, widths = segments.bottom - segments.top, segments.right - segments.left
    drawn = (segments.heights > 0) & (heights > 0) & (widths > 0)
    owners = drawn.view(-1).nonzero().squeeze(1)
    flat = _Segments(*(values.reshape(-1)[owners] for values in segments))
    heights, widths = heights.view(-1)[owners], widths.view(-1)[owners]
    kinds = (heights - 1) // _STEP * (size[1] // _STEP + 1) + (widths - 1) // _STEP
    patches = []
    for kind in kinds.unique().tolist():
        chosen = (kinds == kind).nonzero().squeeze(1)
        window = int(heights[chosen].max()), int(widths[chosen].max())
        part = _Segments(*(values[chosen] for values in flat))
        patches.append(_ridges(part, window, size, sigma)._replace(owner=owners[chosen]))
    return patches


def limb_canvases(
    points: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, limbs: Sequence[tuple[int, int]], eps: float
) -> Tensor:
    """As `limb_patches`, whole canvases `[..., L, H, W]`: many times the work, and no waiting for an accelerator."""
    return _ridges(_segments(points, scores, size, sigma, limbs, eps), size, size, sigma).values


def _segments(
    points: Tensor, scores: Tensor, size: tuple[int, int], sigma: float, limbs: Sequence[tuple[int, int]], eps: float
) -> _Segments:
    ends = on_device(tuple(map(tuple, limbs)), points.device)
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


def _ridges(segments: _Segments, window: tuple[int, int], size: tuple[int, int], sigma: float) -> Patches:
    """Windows of one size (height, width) that hold those of all the segments."""
    rows, in_rows = _pixels(segments.top, segments.bottom, window[0], size[0])
    columns, in_columns = _pixels(segments.left, segments.right, window[1], size[1])
    ux, uy, over_length = (values[..., None, None] for values in (segments.ux, segments.uy, segments.over_length))
    x = (columns - segments.ax[..., None])[..., None, :]
    y = (rows - segments.ay[..., None])[..., None]
    # Everything of the size of the windows is worked on in place: memory is what costs.
    share = (x * (ux * over_length) + y * (uy * over_length)).clamp_(0, 1)
    values = torch.addcmul(y, share, uy, value=-1).square_()
    across = torch.addcmul(x, share, ux, value=-1)
    values.addcmul_(across, across).mul_(-1 / (2 * sigma**2)).clamp_(min=_LEAST).exp_()
    values *= (in_columns * segments.heights[..., None])[..., None, :]
    values *= in_rows[..., None]
    return Patches(values, rows, columns)
