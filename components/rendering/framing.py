"""Where the camera stands so that a whole clip is in the picture."""

import math
from typing import Literal

import torch
from torch import Tensor

from components.geometry.cameras import LookAtCamera, field_of_view, look_at_rotation

View = Literal["front", "side", "three_quarter", "back"]

# Azimuth (0 = from +z, the side that an SMPL body faces; positive = towards its left hand) and elevation, degrees.
VIEWS: dict[str, tuple[float, float]] = {
    "front": (0.0, 8.0),
    "side": (-90.0, 8.0),
    "three_quarter": (35.0, 13.0),
    "back": (180.0, 8.0),
}


def viewing_direction(view: str) -> Tensor:
    """Unit vector `[3]` from the scene towards the camera.

    Raises:
        ValueError: unknown view.
    """
    if view not in VIEWS:
        raise ValueError(f"view must be one of {', '.join(VIEWS)}, got '{view}'")
    azimuth, elevation = (math.radians(angle) for angle in VIEWS[view])
    return torch.tensor(
        [math.cos(elevation) * math.sin(azimuth), math.sin(elevation), math.cos(elevation) * math.cos(azimuth)]
    )


def frame_points(
    points: Tensor, view: str = "three_quarter", aspect: float = 1.0, degrees: float = 26.0, fill: float = 0.86
) -> LookAtCamera:
    """The nearest perspective camera of a given direction that sees all points.

    Args:
        points: `[N, 3]` finite world points.
        view: a key of `VIEWS`.
        aspect: width / height of the picture.
        degrees: field of view along the longer side of the picture, about.
        fill: share of the picture's width or height that the points may take.

    Returns:
        A single camera (eye `[3]`).
    """
    towards = viewing_direction(view).to(points)
    up = points.new_tensor([0.0, 1.0, 0.0])
    rotation = look_at_rotation(towards, torch.zeros_like(towards), up)
    center = (points.amin(0) + points.amax(0)) / 2
    x, y, z = ((points - center) @ rotation.T).unbind(-1)
    extent = field_of_view(degrees) / max(1.0, aspect)
    # A point is inside the right plane where x - shift <= slope * (z + distance), and so on for the other three.
    shifts, distances = [], []
    for coordinate, slope in ((x, extent * aspect * fill), (y, extent * fill)):
        high, low = (coordinate / slope - z).max(), (-coordinate / slope - z).max()
        distances.append((high + low) / 2)
        shifts.append((high - low) / 2 * slope)
    distance = torch.maximum(torch.stack(distances).max(), 0.2 - z.min())
    eye = center + torch.stack([*shifts, -distance]) @ rotation
    return LookAtCamera(eye, eye + rotation[2], extent, aspect)


def smooth_path(centers: Tensor, sigma: float) -> Tensor:
    """Gaussian mean along time of `[T, C]`, ends held; `sigma` in frames."""
    radius = max(1, int(3 * sigma))
    taps = torch.arange(-radius, radius + 1, dtype=centers.dtype, device=centers.device)
    weights = torch.exp(-0.5 * (taps / max(sigma, 1e-6)) ** 2)
    index = torch.arange(len(centers), device=centers.device)[:, None] + taps.long()
    return (centers[index.clamp(0, len(centers) - 1)] * (weights / weights.sum())[:, None]).sum(1)
