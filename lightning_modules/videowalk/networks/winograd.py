"""3x3 convolutions of small maps on a CPU by Winograd's minimal filtering (Lavin, Gray 2016), borders included.

A tile of 4 x 4 outputs takes 36 multiplications per pair of channels where the direct sum takes 144. Everything is a
matrix product: the transform of the input is one constant matrix over the cells of a map, which also mirrors the border
or leaves it zero, so that no padded copy exists; channels are mixed by one product for each of the 36 points; a second
constant matrix gives the cells of the output.

The values are those of the direct sum within a few float32 roundings: the interpolation points are chosen for that
(0, +-0.75, +-1.5 and infinity: 1e-6 of the output's size, against 5e-6 for the usual whole numbers).
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Border = Literal["reflect", "zeros"]

_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)
_TILE, _WINDOW = 4, 6
# Cells of a map up to which the transforms, which mix every cell with every other, cost less than they save.
_MOST_CELLS = 100
# Channels and pictures from which on they do.
_FEWEST_CHANNELS, _FEWEST_PICTURES = 256, 8
# float32 entries of the transformed input that are worked on at a time.
_PORTION = 2**24


def suits(pictures: int, channels: int, height: int, width: int, like: Tensor) -> bool:
    """Whether this way is open and the faster one.

    Args:
        pictures: maps of the batch.
        channels: of a map, the fewer of input and output.
        height: of a map in cells.
        width: of a map in cells.
        like: has the maps' device and dtype.
    """
    return (
        like.device.type == "cpu"
        and like.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and channels >= _FEWEST_CHANNELS
        and pictures >= _FEWEST_PICTURES
        and min(height, width) > 1
        and height * width <= _MOST_CELLS
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def convolve(images: Tensor, weight: Tensor, border: Border) -> Tensor:
    """Maps `[B, D, H, W]` of maps `[B, C, H, W]` and a kernel `[D, C, 3, 3]`, float32 on a CPU, contiguous."""
    return _Convolution.apply(images.contiguous(), weight.contiguous(), border)  # type: ignore[no-any-return]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, border: Border) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.border = border
        batch, channels, height, width = images.shape
        outputs = weight.shape[0]
        into, out, _ = _transforms(height, width, border)
        kernel = _kernel(weight)
        result = images.new_empty(batch, outputs, height, width)
        for part in _portions(images, outputs):
            points = _product(into, images[part].view(-1, height * width)).view(36, -1, channels)
            mixed = torch.stack([_product(point, matrix) for point, matrix in zip(points, kernel, strict=True)])
            torch.mm(mixed.view(len(into), -1).t(), out.t(), out=result[part].view(-1, height * width))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[override]
        images, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        _, channels, height, width = images.shape
        outputs = weight.shape[0]
        into, out, filters = _transforms(height, width, ctx.border)
        transposed = out.t().contiguous()
        kernel = _kernel(weight.transpose(0, 1).contiguous())
        to_images = torch.empty_like(images) if ctx.needs_input_grad[0] else None
        to_points: Tensor | None = None
        for part in _portions(images, outputs):
            mixed = _product(transposed, gradient[part].view(-1, height * width)).view(36, -1, outputs)
            if to_images is not None:
                points = torch.stack([_product(each, matrix) for each, matrix in zip(mixed, kernel, strict=True)])
                torch.mm(points.view(len(into), -1).t(), into, out=to_images[part].view(-1, height * width))
            if ctx.needs_input_grad[1]:
                points = _product(into, images[part].view(-1, height * width)).view(36, -1, channels)
                sums = torch.stack([_outer(each, point) for each, point in zip(mixed, points, strict=True)])
                to_points = sums if to_points is None else to_points.add_(sums)
        to_weight = None
        if to_points is not None:
            to_weight = (filters.t() @ to_points.view(36, -1)).t().reshape(weight.shape)
        return to_images, to_weight, None


def _kernel(weight: Tensor) -> Tensor:
    """The kernel `[D, C, 3, 3]` at the 36 points: `[36, D, C]`."""
    filters = _transforms(_TILE, _TILE, "zeros")[2]
    return _product(filters, weight.view(-1, 9)).view(36, *weight.shape[:2])


def _product(left: Tensor, right: Tensor) -> Tensor:
    """`left @ right.T` of `[M, K]` and `[N, K]` by oneDNN: twice as fast as MKL on processors of other makers."""
    return torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")  # type: ignore[no-any-return]


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """`left.T @ right` of `[M, D]` and `[M, C]`: the weight's gradient of a 1x1 convolution."""
    rows = next(rows for rows in (64, 49, 36, 32, 16, 4, 1) if len(left) % rows == 0)
    pictures = [each.view(-1, rows, 1, each.shape[1]).permute(0, 3, 1, 2) for each in (left, right)]
    shape = (left.shape[1], right.shape[1], 1, 1)
    _, result, _ = torch.ops.aten.convolution_backward(
        pictures[0], pictures[1], left.new_empty(shape), None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
        [False, True, False],
    )  # fmt: skip
    return result.view(shape[:2])  # type: ignore[no-any-return]


def _portions(images: Tensor, outputs: int) -> list[slice]:
    batch, channels, height, width = images.shape
    size = 36 * -(-height // _TILE) * -(-width // _TILE) * max(channels, outputs)
    count = max(_FEWEST_PICTURES, _PORTION // size)
    return [slice(start, start + count) for start in range(0, batch, count)]


@lru_cache(maxsize=32)
def _transforms(height: int, width: int, border: Border) -> tuple[Tensor, Tensor, Tensor]:
    """Input `[36 * tiles, H*W]`, output `[H*W, 36 * tiles]`, kernel `[36, 9]`; rows are points, then tiles."""
    outputs, kernel, inputs = _one_dimension()

    def axis(cells: int) -> tuple[np.ndarray, np.ndarray]:
        tiles = -(-cells // _TILE)
        into = np.zeros((_WINDOW, tiles, cells))
        out = np.zeros((cells, _WINDOW, tiles))
        for tile in range(tiles):
            for i in range(_WINDOW):
                cell = tile * _TILE + i - 1
                if border == "reflect":
                    cell = -cell if cell < 0 else 2 * (cells - 1) - cell if cell == cells else cell
                if 0 <= cell < cells:
                    into[:, tile, cell] += inputs[:, i]
            for i in range(min(_TILE, cells - tile * _TILE)):
                out[tile * _TILE + i, :, tile] = outputs[i]
        return into, out

    (into_h, out_h), (into_w, out_w) = axis(height), axis(width)
    into = np.einsum("ptx,qsy->pqtsxy", into_h, into_w).reshape(-1, height * width)
    out = np.einsum("xpt,yqs->xypqts", out_h, out_w).reshape(height * width, -1)
    filters = np.einsum("pa,qb->pqab", kernel, kernel).reshape(36, 9)
    with torch.inference_mode(False):  # kept for trainings too
        first, second, third = (torch.from_numpy(each.astype(np.float32)) for each in (into, out, filters))
    return first, second, third


@lru_cache(maxsize=1)
def _one_dimension() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matrices of output `[4, 6]`, kernel `[6, 3]` and input `[6, 6]` for one row of 4 outputs, float64."""

    def powers(count: int) -> np.ndarray:
        finite = [[point**power for power in range(count)] for point in _POINTS]
        return np.array([*finite, [0.0] * (count - 1) + [1.0]])

    kernel, inputs = powers(3), np.linalg.inv(powers(_WINDOW)).T
    # Both sides of a product of equal size: least rounding.
    balance = np.sqrt(np.linalg.norm(inputs, axis=1) / np.linalg.norm(kernel, axis=1))[:, None]
    return powers(_TILE).T, kernel * balance, inputs / balance
