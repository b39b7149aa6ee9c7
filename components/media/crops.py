"""Random crops of many windows at once, and all of them resampled together.

A crop is (top, left, height, width) in whole pixels.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

# Draws of area and aspect before the fallback, as in the published transform.
_TRIES = 10
# Windows that a CPU samples together: patches of 64 pixels then take about 1 MB at a time.
_PORTION = 24


def random_crops(
    count: int,
    height: int,
    width: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: Generator | None = None,
) -> Tensor:
    """Crops of random area and aspect at random places: the draws of a "random resized crop".

    The aspect (width over height) is uniform in its logarithm. Of ten draws the first that fits is taken; if none does,
    the largest crop in the middle whose aspect is allowed.

    Args:
        count: number of crops.
        height: of the images, pixels.
        width: likewise.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest aspect.
        generator: on the CPU; None = torch's global one.

    Returns:
        int64 `[count, 4]`.
    """
    draws = torch.rand(count, _TRIES, 2, generator=generator, dtype=torch.float64)
    place = torch.rand(count, 2, generator=generator, dtype=torch.float64)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = (low + (high - low) * draws[..., 1]).exp()
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    first = fits.byte().argmax(1, keepdim=True)  # 0 where none fits
    found = fits.any(1)
    centre_height, centre_width = _largest(height, width, ratio)
    heights = torch.where(found, heights.gather(1, first)[:, 0], centre_height)
    widths = torch.where(found, widths.gather(1, first)[:, 0], centre_width)
    top = torch.where(found, (place[:, 0] * (height - heights + 1)).floor(), ((height - heights) / 2).floor())
    left = torch.where(found, (place[:, 1] * (width - widths + 1)).floor(), ((width - widths) / 2).floor())
    return torch.stack([top, left, heights, widths], 1).long()


def _largest(height: int, width: int, ratio: tuple[float, float]) -> tuple[float, float]:
    aspect = width / height
    if aspect < ratio[0]:
        return min(height, max(1, round(width / ratio[0]))), width
    if aspect > ratio[1]:
        return height, min(width, max(1, round(height * ratio[1])))
    return height, width


def resized(images: Tensor, size: int) -> Tensor:
    """`[n, 3, H, W]` squeezed to a square, bilinear with a low-pass filter; uint8 stays uint8 (rounded)."""
    if images.shape[-2:] == (size, size):
        return images
    if images.dtype == torch.uint8 and images.device.type != "cpu":
        # Only the CPU has a kernel for bytes.
        return resized(images.float(), size).round_().clamp_(0, 255).byte()
    return F.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


@dataclass(frozen=True)
class Windows:
    """A grid of square windows over images.

    Args:
        side: of a window, pixels.
        stride: distance of neighbours, pixels.
        rows: windows above each other.
        columns: windows beside each other.
    """

    side: int
    stride: int
    rows: int
    columns: int

    @property
    def count(self) -> int:
        """Number of windows, N; they are numbered row by row."""
        return self.rows * self.columns

    def corners(self) -> Tensor:
        """(top, left) of each window, int64 `[N, 2]`."""
        return torch.cartesian_prod(torch.arange(self.rows), torch.arange(self.columns)).view(-1, 2) * self.stride


def resample_windows(images: Tensor, windows: Windows, crops: Tensor, mirrored: Tensor | None = None) -> Tensor:
    """A crop of each window enlarged to the window's size, bilinear with half-pixel centres.

    Nothing beyond a crop's edges is looked at. What comes out is a linear function of the pixels: a normalisation may
    come before as well as after.

    Args:
        images: floating point `[F, C, H, W]`.
        windows: inside the images.
        crops: `[F, N, 4]` (top, left, height, width) inside the windows.
        mirrored: bool `[F, N]`: these come out with left and right exchanged.

    Returns:
        `[F, N, C, side, side]`, contiguous.
    """
    crops = crops.to(images.device, images.dtype)
    rows = sample_places(crops[..., 0], crops[..., 2], windows.side)
    columns = sample_places(crops[..., 1], crops[..., 3], windows.side)
    if mirrored is not None:
        columns = torch.where(mirrored.to(images.device)[..., None], columns.flip(-1), columns)
    sample = sample_by_rows if images.device.type == "cpu" else sample_by_grid
    return sample(images, windows, rows, columns)


def sample_places(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Where the pixels of the result lie in their window, `[F, N, size]`, the first pixel's centre at 0."""
    steps = torch.arange(size, dtype=start.dtype, device=start.device) + 0.5
    inside = (steps * (length / size)[..., None] - 0.5).clamp_min(0.0)
    return inside.minimum(length[..., None] - 1) + start[..., None]


def sample_by_grid(images: Tensor, windows: Windows, rows: Tensor, columns: Tensor) -> Tensor:
    """All windows of all images in one `grid_sample`: for accelerators.

    Args:
        images: `[F, C, H, W]`.
        windows: inside the images.
        rows: places of the result's rows in their windows, `[F, N, side]`.
        columns: likewise.

    Returns:
        `[F, N, C, side, side]`.
    """
    frames, channels, height, width = images.shape
    side, count = windows.side, windows.count
    corners = windows.corners().to(images.device)
    rows = (rows + corners[:, :1]) * (2 / height) + (1 / height - 1)
    columns = (columns + corners[:, 1:]) * (2 / width) + (1 / width - 1)
    # Planes of x and of y: faster to fill than pairs.
    planes = images.new_empty(2, frames, count, side, side)
    planes[0] = columns[:, :, None, :]
    planes[1] = rows[:, :, :, None]
    grid = planes.view(2, frames, count * side, side).permute(1, 2, 3, 0)
    sampled = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.view(frames, channels, count, side, side).transpose(1, 2).contiguous()


def sample_by_rows(images: Tensor, windows: Windows, rows: Tensor, columns: Tensor) -> Tensor:
    """The same as `sample_by_grid`, as weighted sums of pairs of table rows: for CPUs.

    Bilinear sampling is separable, and a CPU adds whole rows of numbers much faster than it fetches single pixels:
    first pairs of pixel columns, then, turned over, pairs of pixel rows. Each pass is one `embedding_bag` over some
    rows of windows of an image, few enough for the cache to hold what lies between the passes.
    """
    frames, channels, _, width = images.shape
    side, across = windows.side, windows.columns
    left, above = columns.floor(), rows.floor()
    column_weights = torch.stack([1 - (columns - left), columns - left], -1)
    row_weights = torch.stack([1 - (rows - above), rows - above], -1)[:, :, None].expand(-1, -1, channels, -1, -1)
    column_pairs = _pairs(left, side) + windows.corners()[:, 1, None, None].int()
    row_pairs = _pairs(above, side)[:, :, None]
    portions = []
    high = max(1, _PORTION // across)
    for top in range(0, windows.rows, high):
        bands = slice(top, min(top + high, windows.rows))
        part = slice(bands.start * across, bands.stop * across)
        count = part.stop - part.start
        # Rows of a portion's tables: pixel columns, band after band, then pixel rows, plane after plane.
        band = torch.arange(count, dtype=torch.int32).div(across, rounding_mode="floor")[:, None, None] * width
        plane = torch.arange(count * channels, dtype=torch.int32).view(count, channels, 1, 1) * side
        wide = (column_pairs[:, part] + band).view(frames, -1, 2), column_weights[:, part].reshape(frames, -1, 2)
        tall = (row_pairs[:, part] + plane).view(frames, -1, 2), row_weights[:, part].reshape(frames, -1, 2)
        portions.append((bands, part, wide, tall))
    result = images.new_empty(frames, windows.count, channels, side, side)
    scratch = images.new_empty(min(high, windows.rows) * across, channels * side, side)
    for index, image in enumerate(images):
        upright = image.reshape(-1, width).t().contiguous().view(width, channels, -1)
        columns_of_bands = upright.unfold(2, side, windows.stride).permute(2, 0, 1, 3)
        for bands, part, wide, tall in portions:
            table = columns_of_bands[bands].reshape(-1, channels * side)
            stretched = _weighted_rows(table, wide[0][index], wide[1][index])
            turned = scratch[: part.stop - part.start]
            turned.copy_(stretched.view(-1, side, channels * side).transpose(1, 2))
            sampled = _weighted_rows(turned.view(-1, side), tall[0][index], tall[1][index])
            result[index, part] = sampled.view(-1, channels, side, side)
    return result


def _pairs(first: Tensor, side: int) -> Tensor:
    # The second of a pair may lie outside where its weight is 0.
    indices = first.int()
    return torch.stack([indices, (indices + 1).clamp_max(side - 1)], -1)


def _weighted_rows(table: Tensor, pairs: Tensor, weights: Tensor) -> Tensor:
    return F.embedding_bag(pairs, table, mode="sum", per_sample_weights=weights)
