"""Random cameras for synthetic skeletons: from where a person is seen, how large, and how the camera moves."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from components.geometry.cameras import LookAtCamera
from components.keypoints.camera import to_pixels
from components.synthetic.curves import Draw, wander

# Height and width of the pictures, pixels.
PICTURES: tuple[tuple[int, int], ...] = ((480, 640), (360, 640), (720, 1280), (640, 480))


@dataclass(frozen=True)
class View:
    """A moving camera (`eye`, `target` `[T, 3]`) and its picture (height, width)."""

    camera: LookAtCamera
    img_shape: tuple[int, int]

    @property
    def eye(self) -> Tensor:
        """Where the camera stands, `[T, 3]`."""
        return self.camera.eye

    def pixels(self, points: Tensor) -> Tensor:
        """Where points `[T, N, 3]` are in the pictures, `[T, N, 2]`."""
        return to_pixels(points, self.camera, self.img_shape)[0]


def draw_view(draw: Draw, keypoints: Tensor, widest: float) -> View:
    """A camera that keeps a person in its picture.

    It stands before the person up to `widest` degrees to either side of the heading (+z), 3 to 7 metres away, 0.5 to
    2.4 metres high, with up to 6 degrees of roll; it follows who walks by 70 to 100 % of the way, circles them by up to
    10 degrees and shakes a little. The zoom is such that all joints take 60 to 90 % of the picture.

    Args:
        draw: all of these.
        keypoints: `[T, V, 3]` of the person, metres, y up.
        widest: degrees, up to 180.
    """
    frames = len(keypoints)
    img_shape = PICTURES[draw.integer(0, len(PICTURES) - 1)]
    middle = (keypoints.amin(1) + keypoints.amax(1)) / 2
    mean = middle.mean(0)
    # Who follows a person goes along the straight line of their way, not up and down with each step.
    at = torch.linspace(-0.5, 0.5, frames)[:, None]
    slope = (middle * at).sum(0) / at.square().sum() * torch.tensor([1.0, 0.0, 1.0])
    follow = draw.uniform(0.7, 1.0)
    aside = torch.stack([wander(draw, frames, 0.02).float() for _ in range(3)], dim=-1)
    target = mean + follow * slope * at + aside + torch.tensor([draw.normal(0.12), draw.normal(0.08), 0.0])
    azimuth = math.radians(draw.uniform(-widest, widest))
    turning = math.radians(draw.uniform(-10.0, 10.0)) * (2 * at[:, 0]) + wander(draw, frames, 0.008).float()
    distance = draw.uniform(3.0, 7.0)
    angle = azimuth + turning
    away = torch.stack([distance * torch.sin(angle), torch.zeros(frames), distance * torch.cos(angle)], dim=-1)
    eye = target * torch.tensor([1.0, 0.0, 1.0]) + away
    # The floor is where the lowest foot is.
    eye[:, 1] = float(keypoints[..., 1].min()) + draw.uniform(0.5, 2.4)
    roll = math.radians(draw.uniform(-6.0, 6.0))
    # Up leans towards the camera's right, which stands square to the view at the middle of the clip.
    up = (math.sin(roll) * math.cos(azimuth), math.cos(roll), -math.sin(roll) * math.sin(azimuth))
    height, width = img_shape
    camera = LookAtCamera(eye, target, 1.0, width / height, up=up)
    extent = camera.to_raster(keypoints)[..., :2].abs().max() / draw.uniform(0.6, 0.9)
    return View(replace(camera, extent=extent), img_shape)
