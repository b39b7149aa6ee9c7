"""A checker floor that fades into the background, and the shadows that bodies leave on it and on each other."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from components.geometry.cameras import LookAtCamera
from components.geometry.meshes import face_corners
from components.rendering.rasterizer import rasterize

Color = tuple[float, float, float]


@dataclass(frozen=True)
class FloorView:
    """The floor as a camera sees it, one entry per pixel (leading axis: cameras)."""

    points: Tensor  # cameras height width 2, world x and z; 0 where the floor is not seen
    color: Tensor  # cameras height width 3, linear, with the background where the floor ends
    strength: Tensor  # cameras height width, 1 on the floor, falling to 0 in the distance


@dataclass(frozen=True)
class CheckerFloor:
    """Floor at height `level`; colours are picture values.

    `tile` is the side of a square and `reach` the distance from the focus at which the floor has faded out, metres.
    """

    level: float = 0.0
    tile: float = 0.5
    reach: float = 6.0
    light: Color = (0.905, 0.91, 0.92)
    dark: Color = (0.795, 0.81, 0.835)
    sky: Color = (0.965, 0.972, 0.98)
    haze: Color = (0.90, 0.915, 0.935)

    def seen_by(self, camera: LookAtCamera, focus: Tensor, height: int, width: int) -> FloorView:
        """Floor of cameras with eyes `[C, 3]`, fading around `focus [C, 3]`."""
        origin, direction = camera.rays(height, width)
        down = -direction[..., 1]
        along = (origin[..., 1] - self.level) / down.clamp(min=1e-4)
        points = (origin + along.unsqueeze(-1) * direction)[..., [0, 2]]
        distance = (points - focus[:, None, None, [0, 2]]).norm(dim=-1)
        strength = (1 - distance / self.reach).clamp(0, 1)
        strength = strength * strength * (3 - 2 * strength) * (down > 1e-4)
        visible = strength > 0
        points = torch.where(visible.unsqueeze(-1), points, torch.zeros_like(points))

        # Filter width: how far the point moves from pixel to pixel.
        across = _step(points, -2).abs() + _step(points, -3).abs()
        pattern = filtered_checker(points / self.tile, (across / self.tile).clamp(1e-4, 4.0))
        tiles = _linear(self.dark, points).lerp(_linear(self.light, points), pattern.unsqueeze(-1))
        height_in_picture = torch.linspace(0, 1, height, dtype=points.dtype, device=points.device)[:, None, None]
        backdrop = _linear(self.sky, points).lerp(_linear(self.haze, points), height_in_picture)
        backdrop = backdrop.expand(*strength.shape, 3)
        return FloorView(points, backdrop.lerp(tiles, strength.unsqueeze(-1)), strength)

    def backdrop(self, like: Tensor, height: int, width: int) -> FloorView:
        """The background alone, for `floor=False`."""
        ramp = torch.linspace(0, 1, height, dtype=like.dtype, device=like.device)[:, None, None]
        color = _linear(self.sky, like).lerp(_linear(self.haze, like), ramp).expand(1, height, width, 3)
        return FloorView(like.new_zeros(1, height, width, 2), color, like.new_zeros(1, height, width))


@dataclass(frozen=True)
class ShadowMap:
    """What the key light sees: depth for shadows on bodies, a blurred silhouette for the shadow on the floor.

    Bodies stand on the floor, so everything the light sees of them lies before the floor and needs no comparison there.
    """

    depth: Tensor  # frames height width, infinite where nothing is hit
    shade: Tensor  # frames 1 height width, in [0, 1]
    camera: LookAtCamera  # orthographic, one per frame

    @classmethod
    def cast(cls, vertices: Tensor, faces: Tensor, direction: Tensor, texel: float = 0.014) -> "ShadowMap":
        """Shadows of `[T, V, 3]` for a light in unit direction `[3]` (towards the light); `texel` in metres."""
        center = (vertices.amin(1) + vertices.amax(1)) / 2
        distance = float((vertices - center.unsqueeze(1)).norm(dim=-1).max()) + 0.1
        seen = LookAtCamera(center + distance * direction, center, 1.0, kind="orthographic").to_raster(vertices)
        half_width, half_height = ((seen[..., axis].abs().max() + 0.25).item() for axis in (0, 1))
        size = tuple(min(1024, max(32, round(2 * half / texel))) for half in (half_height, half_width))
        camera = LookAtCamera(
            center + distance * direction, center, half_height, half_width / half_height, kind="orthographic"
        )
        seen = seen / seen.new_tensor([half_width, half_height, 1.0])
        rasters = rasterize(face_corners(seen, faces), (size[0], size[1]), near=0.0, far=4 * distance)
        depth = torch.where(rasters.mask, rasters.depth, torch.full_like(rasters.depth, torch.inf))
        return cls(depth, _blur(rasters.mask.to(depth.dtype).unsqueeze(1), 0.028 / texel), camera)

    def on_floor(self, points: Tensor) -> Tensor:
        """Darkness of the shadow at floor points: `[T, N, 3]` to `[T, N]` in [0, 1]."""
        return _lookup(self.shade, self.camera.to_raster(points)[..., :2])

    def light_at(self, points: Tensor, frame: Tensor, bias: float = 0.022) -> Tensor:
        """Share of the light that reaches points on bodies.

        Args:
            points: `[K, 3]`.
            frame: `[K]` the frame each point belongs to.
            bias: metres by which a point may lie behind the map's surface and still count as lit.

        Returns:
            `[K]` in [0, 1]: mean over 3 x 3 texels, weighted so that it changes smoothly.
        """
        height, width = self.depth.shape[1:]
        rows = self.camera.rotation[0] if self.camera.rotation.dim() == 3 else self.camera.rotation
        local = (points - self.camera.eye.index_select(0, frame)) @ rows.T
        scale = 0.5 * height / self.camera.extent
        x = local[:, 0] * scale + (width - 1) / 2
        y = (height - 1) / 2 - local[:, 1] * scale
        column, row = x.round(), y.round()
        # Tent-like weights of the left, middle and right texel (quadratic B-spline); they sum to 1.
        weights_x, weights_y = _spline(x - column), _spline(y - row)
        base = frame * (height * width)
        depth, limit = self.depth.reshape(-1), local[:, 2] - bias
        light = torch.zeros_like(limit)
        for down in (-1, 0, 1):
            line = base + (row + down).clamp(0, height - 1).long() * width
            for across in (-1, 0, 1):
                texel = line + (column + across).clamp(0, width - 1).long()
                open_sky = (depth.index_select(0, texel) > limit).to(limit.dtype)
                light += open_sky * weights_x[across + 1] * weights_y[down + 1]
        return light


@dataclass(frozen=True)
class ContactMap:
    """Darkness under what is close to the floor, from a look at the body from below."""

    values: Tensor  # frames 1 size size
    center: Tensor  # frames 2, world x and z
    radius: float

    @classmethod
    def cast(cls, vertices: Tensor, faces: Tensor, level: float, size: int = 144, height: float = 0.09) -> "ContactMap":
        """Contact of `[T, V, 3]` with a floor at `level`; at `height` metres above it has fallen to 1/e."""
        low, high = vertices[..., [0, 2]].amin(1), vertices[..., [0, 2]].amax(1)
        center = (low + high) / 2
        radius = float((high - low).max()) / 2 + 0.25
        # Seen from below with x to the right, z runs up the picture: y takes the place of the depth.
        x, z = ((vertices[..., [0, 2]] - center.unsqueeze(1)) / radius).unbind(-1)
        below = torch.stack([x, z, (vertices[..., 1] - level).clamp(min=0) + 1.0], dim=-1)
        rasters = rasterize(face_corners(below, faces), size, near=0.5, far=50.0)
        near_floor = torch.exp(-(rasters.depth - 1.0) / height) * rasters.mask
        sigma = 0.022 / (2 * radius / size)
        return cls(_blur(near_floor.unsqueeze(1), sigma), center, radius)

    def darkness_at(self, points: Tensor) -> Tensor:
        """`[T, N, 2]` floor points (x, z) to `[T, N]` in [0, 1]."""
        return _lookup(self.values, (points - self.center.unsqueeze(1)) / self.radius)


def _spline(offset: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quadratic B-spline weights at -1, 0 and 1 for an offset in [-0.5, 0.5]."""
    return 0.5 * (0.5 - offset).square(), 0.75 - offset.square(), 0.5 * (0.5 + offset).square()


def _lookup(values: Tensor, position: Tensor) -> Tensor:
    """Bilinear lookup of `[T, 1, S, S]` at raster positions `[T, N, 2]` (y up), edge values beyond the border."""
    grid = torch.stack([position[..., 0], -position[..., 1]], dim=-1).unsqueeze(1)
    return F.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, 0, 0]


def _blur(values: Tensor, sigma: float) -> Tensor:
    radius = max(1, math.ceil(2.5 * sigma))
    taps = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    kernel = torch.exp(-0.5 * (taps / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(values, (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def _linear(color: Color, like: Tensor) -> Tensor:
    return like.new_tensor(color).square()


def _step(points: Tensor, axis: int) -> Tensor:
    """Difference to the neighbour along an axis, same shape (the last entry repeated)."""
    if points.shape[axis] == 1:
        return torch.zeros_like(points)
    step = points.diff(dim=axis)
    return torch.cat([step, step.narrow(axis, step.shape[axis] - 1, 1)], dim=axis)


def filtered_checker(position: Tensor, width: Tensor) -> Tensor:
    """Checker of unit squares averaged over a box: `[..., 2]` both, to `[...]` in [0, 1].

    The square wave's integral is a triangle wave, so the mean over a box is a difference of two of them.
    """
    high = (((position + width / 2) / 2).remainder(1) - 0.5).abs()
    low = (((position - width / 2) / 2).remainder(1) - 0.5).abs()
    wave = 2 * (low - high) / width
    return 0.5 - 0.5 * wave.prod(-1)
