"""Z-buffer triangle rasteriser in plain PyTorch: batched, CPU and GPU, no extension to build.

The rule is that of the Liquid Warping GAN's renderer (Liu et al. 2019, maps `fim` and `wim`):

* Corners are (x, y, z): x and y in [-1, 1] over the image, y up; z > 0 is the distance from the camera plane.
* Pixel centres lie at x = (2c + 1 - W) / W, y = (H - 1 - 2r) / H; row 0 is the top of the image.
* A face is drawn where its signed area in (x, y) is positive (counter-clockwise). Edges belong to the face.
* Weights are screen-space barycentric coordinates, clamped to [0, 1] and divided by their sum.
* Depth is `1 / sum(w / z)` and must lie strictly between near and far.
* The nearest face wins; of equally near ones the lower index.

How it is fast: only the pixels of each face's bounding box are tried. All boxes are laid out in one flat list of
candidates (face, pixel), so there is no loop over faces; a body of 14k faces at 256 px has about as many candidates as
faces. Depth and face number are packed into one integer, so that one scatter-minimum decides visibility and ties.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# Candidates worked on at a time: on a CPU the working set should stay in the cache.
_CPU_CHUNK = 1 << 17
_GPU_CHUNK = 1 << 24
_FACE_BITS = 32


class Rasters(NamedTuple):
    """Dense maps. Empty pixels hold face -1, weights 0 and depth `far`."""

    face_index: Tensor  # batch height width, int64, index into the faces of that image
    weights: Tensor  # batch height width 3, barycentric weights of the three corners
    depth: Tensor  # batch height width

    @property
    def mask(self) -> Tensor:
        """Covered pixels, `[B, H, W]` bool."""
        return self.face_index >= 0


class Fragments(NamedTuple):
    """The covered pixels only, as flat lists in the order of pixels: what shading works on."""

    pixel: Tensor  # fragments, int64 index into batch*height*width
    face: Tensor  # fragments, int64 index into batch*faces
    weights: Tensor  # fragments 3
    depth: Tensor  # fragments


def rasterize(
    faces: Tensor, image_size: int | tuple[int, int], near: float = 0.1, far: float = 100.0, chunk: int | None = None
) -> Rasters:
    """Face index, barycentric weights and depth of every pixel.

    No gradient flows through the result; see `barycentric_weights` for weights with a gradient.

    Args:
        faces: `[B, F, 3, 3]` corners (x, y, z) as in the module's rule; a face with a NaN or infinite corner is not
            drawn.
        image_size: side of a square image or (height, width), pixels.
        near, far: limits of the depth, `0 <= near < far`.
        chunk: candidates tried at a time (bounds the memory); None chooses by device.

    Returns:
        Rasters on the device of `faces`; weights and depth in its dtype (float32 for half precision input).

    Raises:
        ValueError: a shape or a range is wrong.
    """
    height, width = as_size(image_size)
    fragments = visible_fragments(faces, (height, width), near, far, chunk)
    batch, count = faces.shape[:2]
    pixels = batch * height * width
    face_index = torch.full((pixels,), -1, dtype=torch.int64, device=faces.device)
    weights = fragments.weights.new_zeros((pixels, 3))
    depth = fragments.depth.new_full((pixels,), far)
    face_index.scatter_(0, fragments.pixel, fragments.face % count if batch > 1 else fragments.face)
    weights.index_copy_(0, fragments.pixel, fragments.weights)
    depth.scatter_(0, fragments.pixel, fragments.depth)
    shape = (batch, height, width)
    return Rasters(face_index.view(shape), weights.view(*shape, 3), depth.view(shape))


@torch.no_grad()
def visible_fragments(
    faces: Tensor, image_size: int | tuple[int, int], near: float = 0.1, far: float = 100.0, chunk: int | None = None
) -> Fragments:
    """The covered pixels with their winning face; arguments as in `rasterize`."""
    if faces.dim() != 4 or faces.shape[2:] != (3, 3):
        raise ValueError(f"faces must be [B, F, 3, 3], got {list(faces.shape)}")
    if not 0.0 <= near < far:
        raise ValueError(f"near and far must satisfy 0 <= near < far, got near={near}, far={far}")
    height, width = as_size(image_size)
    if faces.dtype in (torch.float16, torch.bfloat16):
        faces = faces.float()
    batch, count = faces.shape[:2]
    corners = faces.detach().reshape(-1, 9)
    drawn = _front_faces(corners)
    table = _PixelTable(corners.index_select(0, drawn).float(), drawn, count, height, width)

    # The bits of positive floats are ordered as the numbers are. Starting at `far` also rejects all that lies beyond.
    empty = int(np.float32(far).view(np.int32)) << _FACE_BITS
    buffer = torch.full((batch * height * width,), empty, dtype=torch.int64, device=faces.device)
    limit = chunk or (_CPU_CHUNK if faces.device.type == "cpu" else _GPU_CHUNK)
    for start in range(0, table.total, limit):
        pixel, key = table.candidates(start, min(start + limit, table.total), near, empty)
        buffer.scatter_reduce_(0, pixel, key, "amin")

    pixel = (buffer < empty).nonzero().squeeze(1)
    winner = drawn.index_select(0, buffer.index_select(0, pixel) & ((1 << _FACE_BITS) - 1))
    weights, depth = _weights_at(corners.index_select(0, winner), pixel, height, width)
    return Fragments(pixel, winner, weights, depth)


def barycentric_weights(faces: Tensor, face_index: Tensor) -> Tensor:
    """Weights of given winners, differentiable with respect to the corners (visibility is held fixed).

    Args:
        faces: `[B, F, 3, 3]` as in `rasterize`.
        face_index: `[B, H, W]` as `rasterize` returned it.

    Returns:
        `[B, H, W, 3]`, zero where the face index is -1.
    """
    batch, height, width = face_index.shape
    flat = face_index.reshape(-1)
    pixel = (flat >= 0).nonzero().squeeze(1)
    image = torch.div(pixel, height * width, rounding_mode="floor")
    corners = faces.reshape(-1, 9).index_select(0, flat.index_select(0, pixel) + image * faces.shape[1])
    weights, _ = _weights_at(corners, pixel, height, width)
    dense = weights.new_zeros((flat.numel(), 3)).index_copy(0, pixel, weights)
    return dense.view(batch, height, width, 3)


def as_size(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a side or of a pair.

    Raises:
        ValueError: a side is not positive.
    """
    height, width = (
        (image_size, image_size) if isinstance(image_size, int) else (int(image_size[0]), int(image_size[1]))
    )
    if height < 1 or width < 1:
        raise ValueError(f"image_size must be positive, got {image_size}")
    return height, width


def _front_faces(corners: Tensor) -> Tensor:
    """Indices of the counter-clockwise faces with a finite area; NaN compares false and drops out."""
    first = corners[:, 3:5] - corners[:, 0:2]
    second = corners[:, 6:8] - corners[:, 0:2]
    area = first[:, 0] * second[:, 1] - second[:, 0] * first[:, 1]
    return ((area > 0) & (area < torch.inf)).nonzero().squeeze(1)


class _PixelTable:
    """Front faces in pixel units, as contiguous columns, and the flat list of (face, pixel) candidates of their boxes.

    Pixel units: column and row-from-the-bottom of a pixel centre are whole numbers, so a box and the edge test agree
    about a centre that lies exactly on an edge.
    """

    def __init__(self, corners: Tensor, drawn: Tensor, faces_per_image: int, height: int, width: int) -> None:
        columns = corners.t().contiguous()
        self.x = [(columns[i] * width + (width - 1)) * 0.5 for i in (0, 3, 6)]
        self.y = [(columns[i] * height + (height - 1)) * 0.5 for i in (1, 4, 7)]
        # z * 0 is zero, or NaN for an infinite z: such a corner spoils the depth and the face is never drawn.
        self.inverse_z = [columns[i].reciprocal() + columns[i] * 0 for i in (2, 5, 8)]
        self.left, self.box_width = _box(self.x, width)
        self.bottom, box_height = _box(self.y, height)
        self.counts = self.box_width.long() * box_height.long()
        self.ends = self.counts.cumsum(0)
        self.total = int(self.ends[-1]) if len(drawn) else 0
        image = torch.div(drawn, max(faces_per_image, 1), rounding_mode="floor")
        self.top_left = image * (height * width) + (height - 1) * width
        self.height, self.width = height, width

    def candidates(self, start: int, end: int, near: float, empty: int) -> tuple[Tensor, Tensor]:
        """Pixels and packed (depth, face) keys of the candidates `start..end` that lie inside their face."""
        counts, first, skipped = self.counts, 0, start
        if start > 0 or end < self.total:
            bounds = torch.tensor([start, end - 1], device=self.ends.device)
            first, last = torch.searchsorted(self.ends, bounds, right=True).tolist()
            # The first and the last face of a chunk may reach beyond it.
            before = int(self.ends[first] - counts[first])
            skipped = start - before
            counts = counts[first : last + 1].clone()
            counts[-1] -= int(self.ends[last]) - end
            counts[0] -= skipped
        else:
            skipped = 0
        face = torch.repeat_interleave(counts, output_size=end - start)
        starts = counts.cumsum(0) - counts
        if skipped:
            starts[0] -= skipped
        local = torch.arange(end - start, device=face.device) - starts.index_select(0, face)
        if first:
            face = face + first
        box_width = self.box_width.index_select(0, face)
        if self.height * self.width < 1 << 23:  # quotients of such numbers are exact in float32
            offset = local.float()
            row = (offset / box_width).floor_()
            column = offset.sub_(row * box_width)
        else:
            whole = box_width.long()
            row = torch.div(local, whole, rounding_mode="floor")
            column = (local - row * whole).float()
            row = row.float()
        column += self.left.index_select(0, face)
        row += self.bottom.index_select(0, face)

        dx = [x.index_select(0, face).sub_(column) for x in self.x]
        dy = [y.index_select(0, face).sub_(row) for y in self.y]
        edges = _edges(dx, dy)
        inside = torch.minimum(torch.minimum(edges[0], edges[1]), edges[2]) >= 0
        hit = inside.nonzero().squeeze(1)
        face = face.index_select(0, hit)
        first_edge, second_edge, third_edge = (edge.index_select(0, hit) for edge in edges)
        first_z, second_z, third_z = (inverse.index_select(0, face) for inverse in self.inverse_z)
        over_z = first_edge * first_z + second_edge * second_z + third_edge * third_z
        depth = (first_edge + second_edge + third_edge) / over_z
        key = (depth.view(torch.int32).long() << _FACE_BITS) | face
        key = torch.where(depth > near, key, empty)
        pixel = column.index_select(0, hit).long() - row.index_select(0, hit).long() * self.width
        return pixel.add_(self.top_left.index_select(0, face)), key


def _box(coordinates: list[Tensor], size: int) -> tuple[Tensor, Tensor]:
    """First pixel centre and number of centres that the three coordinates span within the image, as floats `[M]`."""
    low = torch.minimum(torch.minimum(coordinates[0], coordinates[1]), coordinates[2]).ceil_().clamp_(0, size)
    high = torch.maximum(torch.maximum(coordinates[0], coordinates[1]), coordinates[2]).floor_().clamp_(-1, size - 1)
    return low, high.sub_(low).add_(1).clamp_(min=0)


def _edges(dx: list[Tensor], dy: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Edge functions opposite each corner, from the corners relative to the pixel centre.

    In this form two faces that share an edge get exactly opposite values for it, so no pixel falls between them.
    Products and differences stay separate operations: a fused multiply-add would break the symmetry.
    """
    return (
        dx[1] * dy[2] - dx[2] * dy[1],
        dx[2] * dy[0] - dx[0] * dy[2],
        dx[0] * dy[1] - dx[1] * dy[0],
    )


def _weights_at(corners: Tensor, pixel: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Weights `[K, 3]` and depth `[K]` of faces `[K, 9]` at flat pixel numbers `[K]`."""
    columns = corners.t().contiguous()
    line = torch.div(pixel, width, rounding_mode="floor")
    column = (pixel - line * width).to(columns.dtype)
    row = (height - 1 - line % height).to(columns.dtype)
    dx = [(columns[i] * width + (width - 1)) * 0.5 - column for i in (0, 3, 6)]
    dy = [(columns[i] * height + (height - 1)) * 0.5 - row for i in (1, 4, 7)]
    edges = _edges(dx, dy)
    total = edges[0] + edges[1] + edges[2]
    clamped = [(edge / total).clamp(0, 1) for edge in edges]
    total = clamped[0] + clamped[1] + clamped[2]
    weights = [weight / total for weight in clamped]
    over_z = weights[0] / columns[2] + weights[1] / columns[5] + weights[2] / columns[8]
    return torch.stack(weights, dim=1), over_z.reciprocal()
