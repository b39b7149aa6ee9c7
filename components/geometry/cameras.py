"""Cameras: from world points to what the rasteriser takes.

Raster space: x and y in [-1, 1] over the image, y up, and z > 0 the distance along the viewing direction. World space
is right-handed with y up; a camera on the +z side that looks along -z has world +x to the right of its picture.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

# Distance of the eye in the Liquid Warping GAN's renderer: 1 / tan(30 deg) + 1.
WEAK_PERSPECTIVE_DISTANCE = 1.0 / math.tan(math.radians(30.0)) + 1.0


def weak_perspective(points: Tensor, camera: Tensor) -> Tensor:
    """Scaled orthographic projection in HMR's image convention (y down).

    Args:
        points: `[..., N, 3]`.
        camera: `[..., 3]` = (s, tx, ty).

    Returns:
        `[..., N, 3]`: (s (x + tx), s (y + ty), z), image coordinates in [-1, 1].
    """
    scale = camera[..., None, :1]
    return torch.cat([scale * (points[..., :2] + camera[..., None, 1:]), points[..., 2:]], dim=-1)


def weak_perspective_raster(points: Tensor, camera: Tensor, distance: float = WEAK_PERSPECTIVE_DISTANCE) -> Tensor:
    """`weak_perspective` in raster space: (s (x + tx), -s (y + ty), z + distance); arguments as there."""
    x, y, z = weak_perspective(points, camera).unbind(-1)
    return torch.stack([x, -y, z + distance], dim=-1)


def look_at_rotation(eye: Tensor, target: Tensor, up: Tensor) -> Tensor:
    """World to camera rotation `[..., 3, 3]` with rows right, up, forward, from `[..., 3]` points.

    `up` need not be square to the view, only not parallel to it.
    """
    forward = F.normalize(target - eye, dim=-1)
    right = F.normalize(torch.linalg.cross(forward, up.expand_as(forward), dim=-1), dim=-1)
    return torch.stack([right, torch.linalg.cross(right, forward, dim=-1), forward], dim=-2)


@dataclass(frozen=True)
class LookAtCamera:
    """A camera, or a batch of them, given by where it stands and what it looks at.

    `extent` is half the height of the picture: for `perspective` the tangent of half the vertical field of view, for
    `orthographic` a length in world units. `aspect` is width / height.
    """

    eye: Tensor  # ... 3
    target: Tensor  # ... 3
    extent: float | Tensor
    aspect: float = 1.0
    kind: Literal["perspective", "orthographic"] = "perspective"
    up: tuple[float, float, float] = (0.0, 1.0, 0.0)

    @property
    def rotation(self) -> Tensor:
        """World to camera, `[..., 3, 3]`; rows right, up, forward."""
        return look_at_rotation(
            self.eye, self.target, torch.tensor(self.up, dtype=self.eye.dtype, device=self.eye.device)
        )

    def to_raster(self, points: Tensor) -> Tensor:
        """World points `[..., N, 3]` to raster space. Points behind a perspective camera get z < 0."""
        local = (points - self.eye.unsqueeze(-2)) @ self.rotation.transpose(-1, -2)
        x, y, depth = local.unbind(-1)
        scale = 1.0 / self.extent
        if self.kind == "perspective":
            scale = scale / depth
        return torch.stack([x * (scale / self.aspect), y * scale, depth], dim=-1)

    def rays(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """World rays through the pixel centres: origins and directions, `[..., H, W, 3]`.

        Directions have length 1 along the viewing direction, so the parameter of a ray is the raster depth.
        """
        dtype, device = self.eye.dtype, self.eye.device
        x = (2 * torch.arange(width, dtype=dtype, device=device) + 1 - width) / width * (self.extent * self.aspect)
        y = (height - 1 - 2 * torch.arange(height, dtype=dtype, device=device)) / height * self.extent
        right, up, forward = (row[..., None, None, :] for row in self.rotation.unbind(-2))
        offset = y[:, None, None] * up + x[:, None] * right
        eye = self.eye[..., None, None, :]
        if self.kind == "perspective":
            return eye.expand_as(offset), offset + forward
        return eye + offset, forward.expand_as(offset)


def field_of_view(degrees: float) -> float:
    """`extent` of a perspective camera from its vertical field of view.

    Raises:
        ValueError: the angle does not lie between 0 and 180.
    """
    if not 0.0 < degrees < 180.0:
        raise ValueError(f"a field of view must lie between 0 and 180 degrees, got {degrees}")
    return math.tan(math.radians(degrees) / 2)
