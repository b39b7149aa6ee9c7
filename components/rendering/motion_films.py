"""Films and pictures of motions of a body: on the floor, as a mesh or as a stick figure."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.geometry.rotations import axis_rotation
from components.media.frames import evenly_spaced
from components.media.skeletons import draw_motion
from components.rendering.floor import Color
from components.rendering.framing import smooth_path
from components.rendering.scene import motion_strip, render_motion

# Seconds over which the height of a motion without translation is smoothed: jitter goes, steps stay.
_SETTLE_SECONDS = 0.06
# Width of a strip over its height, and degrees by which its bodies are turned for a three-quarter look.
_STRIP_ASPECT = 4.8
_TURN = 35.0
# Metres over the floor, from which on the camera follows.
_TRAVELS = 1.5


@dataclass(frozen=True)
class StandingMotion:
    """A posed motion whose floor is at height 0."""

    vertices: Tensor  # [T, V, 3]
    joints: Tensor  # [T, 24, 3]
    faces: Tensor  # [F, 3]

    def mesh_film(self, size: int, view: str = "three_quarter", color: Color | Tensor | None = None) -> Tensor:
        """The body, `[T, size, size, 3]` uint8."""
        return render_motion(self.vertices, self.faces, (size, size), view=view, color=color, follow=self.travels)

    def stick_film(self, size: int, view: str = "three_quarter") -> Tensor:
        """The stick figure, `[T, size, size, 3]` uint8."""
        return draw_motion(self.joints, (size, size), view=view, follow=self.travels)

    def strip(self, height: int, color: Color | Tensor | None = None, poses: int = 8) -> Tensor:
        """Moments of the body side by side, `[height, 4.8 height, 3]` uint8: strips of all motions fit together."""
        size = (height, round(_STRIP_ASPECT * height))
        spacing = self._spacing(min(poses, len(self.vertices)))
        return motion_strip(self.vertices, self.faces, size, color=color, poses=poses, turn=_TURN, spacing=spacing)

    def _spacing(self, poses: int) -> float:
        """Metres between the moments of a strip: they fill its width, and the widest two do not touch."""
        moments = self.vertices[evenly_spaced(len(self.vertices), poses)]
        across = moments @ axis_rotation("Y", torch.tensor(_TURN).deg2rad())[0].to(moments)
        widest = float((across.amax(1) - across.amin(1)).max())
        row = _STRIP_ASPECT * 1.1 * float(moments[..., 1].amax() - moments[..., 1].amin())
        return max(widest + 0.1, (row - widest) / max(1, poses - 1))

    @property
    def travels(self) -> bool:
        """See `travels`."""
        return travels(self.joints)


def travels(joints: Tensor) -> bool:
    """Whether the root of `[T, J, 3]` leaves its place so far that a still camera would show the body small."""
    way = joints[:, 0, [0, 2]]
    return bool((way.amax(0) - way.amin(0)).max() > _TRAVELS)


@torch.no_grad()
def stand(motion: BodyMotion, body: BodyModel) -> StandingMotion:
    """Pose a body and put it on the floor.

    With translation the lowest point of the clip touches the floor. Without, the lowest point of every frame does,
    smoothed over a few frames: heights are unknown, so a jump in place never leaves the floor.
    """
    vertices, joints = motion.pose(body)
    lowest = vertices[..., 1].amin(1)
    if motion.in_place:
        height = smooth_path(lowest[:, None], sigma=max(0.5, _SETTLE_SECONDS * motion.fps))[:, 0]
    else:
        height = lowest.min().expand(len(lowest))
    shift = F.pad(height[:, None], (1, 1))[:, None]
    return StandingMotion(vertices - shift, joints - shift, body.faces)


@torch.no_grad()
def settled(motion: BodyMotion, body: BodyModel) -> BodyMotion:
    """The motion with translations that put it on the floor as `stand` does."""
    height = stand(motion, body).joints[:, 0].cpu()
    betas = None if motion.betas is None else motion.betas.to(body.v_template.device)
    return replace(motion, trans=height - body.rest(betas).joints[0, 0].cpu(), in_place=False)


def shrink_film(film: Tensor, factor: int) -> Tensor:
    """`[T, H, W, 3]` uint8 made smaller by a whole factor: means of squares of pixels."""
    if factor <= 1:
        return film
    height, width = film.shape[1] // factor * factor, film.shape[2] // factor * factor
    blocks = film[:, :height, :width].unflatten(2, (-1, factor)).unflatten(1, (-1, factor))
    return blocks.float().mean((2, 4)).round().to(torch.uint8)
