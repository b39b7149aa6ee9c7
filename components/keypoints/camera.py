"""From 3D joints to pixels: annotations without pictures, such as those of Kinect, become 2D ones to make heatmaps of.

Coordinates are right-handed, as those of Kinect, of SMPL and of motion capture are: then a person's left stays their
left in the picture. Pixel centres are whole numbers, x to the right and y down.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.geometry.cameras import LookAtCamera, field_of_view

# Nearer than this (in the units of the joints) nothing can be seen.
_NEAR = 1e-3
_UP: dict[str, tuple[float, float, float]] = {
    "y": (0.0, 1.0, 0.0), "-y": (0.0, -1.0, 0.0), "z": (0.0, 0.0, 1.0), "-z": (0.0, 0.0, -1.0)
}  # fmt: skip


class ProjectedJoints(NamedTuple):
    """Joints in a picture: `keypoint` `[M, T, V, 2]` float32 pixels (x, y), `score` `[M, T, V]` float32 (1, or 0 for
    joints that are missing or behind the camera, whose pixels are zeros) and `img_shape` (height, width)."""

    keypoint: np.ndarray
    score: np.ndarray
    img_shape: tuple[int, int]


class JointCamera:
    """Projects the 3D joints of clips, one call per clip. The default sees joints as Kinect v2's colour camera does.

    Args:
        kind: `perspective`: a pinhole camera; `drop_z`: the depth is dropped and what is left is fitted into the
            picture, with one scale for the whole clip.
        height, width: of the picture, pixels.
        field_of_view: vertical, degrees; perspective only.
        fill: share of the picture's height or width that the clip may take; `drop_z` only.
        eye, target: where the camera stands and what it looks at, in the joints' coordinates; the default is for
            joints in a depth camera's own frame. `drop_z` takes the direction alone.
        up: axis that points up in the joints' coordinates: `y` (Kinect, SMPL, motion capture), `-y` (x right, y down,
            z away), `z` or `-z`.

    Raises:
        InputError: a value is out of range; the camera looks along `up`.
    """

    def __init__(
        self,
        kind: Literal["perspective", "drop_z"] = "perspective",
        height: int = 1080,
        width: int = 1920,
        field_of_view: float = 53.8,
        fill: float = 0.9,
        eye: Sequence[float] = (0.0, 0.0, 0.0),
        target: Sequence[float] = (0.0, 0.0, 1.0),
        up: Literal["y", "-y", "z", "-z"] = "y",
    ) -> None:
        if kind not in ("perspective", "drop_z"):
            raise InputError(f"camera.kind='{kind}' is not one of perspective, drop_z")
        if up not in _UP:
            raise InputError(f"camera.up='{up}' is not one of {', '.join(_UP)}")
        if min(height, width) < 1:
            raise InputError(f"camera.height={height}, camera.width={width}: expected at least 1 pixel each")
        if not 0.0 < field_of_view < 180.0:
            raise InputError(f"camera.field_of_view={field_of_view:g}, expected degrees between 0 and 180")
        if not 0.0 < fill <= 1.0:
            raise InputError(f"camera.fill={fill:g}, expected a share of the picture in (0, 1]")
        if len(eye) != 3 or len(target) != 3:
            raise InputError(f"camera.eye={list(eye)}, camera.target={list(target)}: expected three numbers each")
        view = np.subtract(target, eye)
        if np.linalg.norm(np.cross(view, _UP[up])) < 1e-6 * max(1.0, float(np.linalg.norm(view))):
            raise InputError(
                f"camera.eye={list(eye)} looks at camera.target={list(target)} along camera.up='{up}'; "
                "move one of them or name another axis"
            )
        self.kind, self.fill = kind, fill
        self.img_shape = (int(height), int(width))
        self.field_of_view = float(field_of_view)
        self.eye, self.target = [float(number) for number in eye], [float(number) for number in target]
        self.up = _UP[up]

    def __call__(self, keypoint: np.ndarray) -> ProjectedJoints:
        """Project one clip.

        Args:
            keypoint: `[M, T, V, 3]`; joints at the origin or with NaN are missing.

        Raises:
            InputError: another shape, or (`perspective`) every joint lies behind the camera.
        """
        joints = np.asarray(keypoint, dtype=np.float64)
        if joints.ndim != 4 or joints.shape[-1] != 3:
            raise InputError(f"keypoint has shape {list(joints.shape)}; a camera projects 3D joints [M, T, V, 3]")
        seen = np.isfinite(joints).all(-1)
        # In a world frame a joint may lie near the origin, but never at it exactly.
        seen &= (joints != 0).any(-1)
        points = torch.from_numpy(np.where(seen[..., None], joints, 0.0))
        camera = self._camera(points[torch.from_numpy(seen)])
        pixels, depth = to_pixels(points, camera, self.img_shape)
        ahead = depth.numpy() > _NEAR if self.kind == "perspective" else np.ones_like(seen)
        if seen.any() and not (seen & ahead).any():
            raise InputError(
                f"all 3D joints lie behind the camera at eye={self.eye} looking at {self.target}.\n"
                "Give camera.eye and camera.target in the joints' coordinates, or camera.kind=drop_z"
            )
        seen = seen & ahead
        found = np.where(seen[..., None], pixels.numpy(), 0.0).astype(np.float32)
        return ProjectedJoints(found, seen.astype(np.float32), self.img_shape)

    def _camera(self, points: Tensor) -> LookAtCamera:
        """The camera for a clip with these joints `[N, 3]`."""
        eye, target = (torch.tensor(place, dtype=torch.float64) for place in (self.eye, self.target))
        height, width = self.img_shape
        if self.kind == "perspective":
            return LookAtCamera(eye, target, field_of_view(self.field_of_view), width / height, up=self.up)
        camera = LookAtCamera(eye, target, 1.0, 1.0, "orthographic", self.up)
        if len(points) == 0:
            return camera
        # Along the view the place does not matter: the eye goes before the middle of what is seen.
        flat = camera.to_raster(points)[:, :2]
        low, high = flat.amin(0), flat.amax(0)
        right, upwards, _ = camera.rotation.unbind(-2)
        middle = (low + high) / 2
        move = middle[0] * right + middle[1] * upwards
        half = torch.maximum((high - low)[1], (high - low)[0] * height / width) / 2 / self.fill
        extent = half.clamp(min=1e-6)
        return LookAtCamera(eye + move, target + move, extent, width / height, "orthographic", self.up)


def to_pixels(points: Tensor, camera: LookAtCamera, img_shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Points `[..., N, 3]` in a picture of (height, width): pixels `[..., N, 2]` and depths `[..., N]`.

    The eye, target and extent of the camera may differ by clip or frame, as they may in `LookAtCamera.to_raster`.
    """
    height, width = img_shape
    x, y, depth = camera.to_raster(points).unbind(-1)
    return torch.stack([((x + 1) * width - 1) / 2, ((1 - y) * height - 1) / 2], dim=-1), depth
