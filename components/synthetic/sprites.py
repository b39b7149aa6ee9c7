"""Textured things without a skeleton: irregular outlines that travel, turn, change size and bend like jelly."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from components.synthetic.curves import Draw, keyframes, wander
from components.synthetic.textures import draw_texture

_HARMONICS = 6
# Own coordinates of a sprite reach this far beyond its outline's mean radius 1.
_REACH = 1.75


@dataclass(frozen=True)
class Patch:
    """A piece of film to lay over another: `color [n, h, w, 3]`, `cover [n, h, w]` in [0, 1], and its corner in the
    picture for each frame, `left [n]` and `top [n]`, whole pixels that may lie outside."""

    color: Tensor
    cover: Tensor
    left: Tensor
    top: Tensor


@dataclass(frozen=True)
class Sprite:
    """One thing over all frames of a clip.

    Args:
        texture: `[3, S, S]` over own coordinates of [-1.75, 1.75].
        outline: `[2, H]` cosine and sine parts of the outline's radius over the angle, around 1.
        center: `[T, 2]` x and y in pixels.
        angle: `[T]` radians.
        radius: `[T]` mean radius, pixels.
        stretch: `[T]` factor on the own x axis, its inverse on y.
        bend: `[T, 2, 2]` amplitude times cosine and sine of the wave that bends x along y (0) and y along x (1).
    """

    texture: Tensor
    outline: Tensor
    center: Tensor
    angle: Tensor
    radius: Tensor
    stretch: Tensor
    bend: Tensor

    def patch(self, frames: slice) -> Patch:
        """The sprite alone in some frames of the clip."""
        center, radius = self.center[frames], self.radius[frames]
        half = math.ceil(_REACH * float((radius * torch.maximum(self.stretch[frames], 1 / self.stretch[frames])).max()))
        corner = center.floor() - half
        span = torch.arange(2 * half + 1, dtype=torch.float32)
        x = (corner[:, 0] - center[:, 0])[:, None, None] + span  # n 1 w
        y = (corner[:, 1] - center[:, 1])[:, None, None] + span[:, None]  # n h 1
        cosine, sine = (f(self.angle[frames]) / radius for f in (torch.cos, torch.sin))
        along = (cosine[:, None, None] * x + sine[:, None, None] * y) / self.stretch[frames, None, None]
        across = (cosine[:, None, None] * y - sine[:, None, None] * x) * self.stretch[frames, None, None]
        bend = self.bend[frames, :, :, None, None]
        u = along + bend[:, 0, 0] * torch.cos(2.2 * across) + bend[:, 0, 1] * torch.sin(2.2 * across)
        v = across + bend[:, 1, 0] * torch.cos(2.2 * along) + bend[:, 1, 1] * torch.sin(2.2 * along)
        inside = self._rim(torch.atan2(v, u)) - torch.sqrt(u * u + v * v)
        cover = (inside * radius[:, None, None] + 0.5).clamp(0, 1)
        grid = torch.stack([u, v], dim=-1) / _REACH
        color = F.grid_sample(
            self.texture.expand(len(center), -1, -1, -1), grid, align_corners=True, padding_mode="reflection"
        )
        return Patch(color.permute(0, 2, 3, 1), cover, corner[:, 0].long(), corner[:, 1].long())

    def _rim(self, angle: Tensor) -> Tensor:
        """Radius of the outline at angles, by a table: harmonics per pixel would cost more than all the rest."""
        steps = 512
        at = torch.arange(steps + 1, dtype=torch.float32) * (2 * math.pi / steps)
        order = torch.arange(2, 2 + _HARMONICS, dtype=torch.float32)[:, None] * at
        table = 1 + self.outline[0] @ torch.cos(order) + self.outline[1] @ torch.sin(order)
        place = (angle / (2 * math.pi) % 1.0) * steps
        index = place.long().clamp(0, steps - 1)
        return torch.lerp(table[index], table[index + 1], place - index)


def draw_sprite(
    draw: Draw, palette: Tensor, size: tuple[int, int], frames: int, radius: float, speed: float = 1.0
) -> Sprite:
    """A sprite that wanders through a picture.

    Args:
        draw: every choice.
        palette: colours of the scene, `[K, 3]`.
        size: (height, width) of the picture, pixels.
        frames: T.
        radius: typical radius as a share of the height.
        speed: 1: about a tenth of the height in four frames, turning about 3 degrees a frame.
    """
    height = size[0]
    ripple = torch.randn(2, _HARMONICS, generator=draw.generator)
    outline = 0.26 * ripple / torch.arange(2, 2 + _HARMONICS, dtype=torch.float32).pow(0.9)
    outline *= min(1.0, 0.55 / float(outline.norm(dim=0).sum()))
    texture = draw_texture(draw, palette, 128, grain=draw.uniform(0.7, 1.1))
    scale = (1 + wander(draw, frames, 0.24)).float()
    spin = draw.uniform(0.2, 1.0) * (1 if draw.chance(0.5) else -1) * 0.05 * speed
    turn = draw.uniform(0.0, 2 * math.pi) + spin * torch.arange(frames) + wander(draw, frames, 0.25)
    waves = [wander(draw, frames, draw.uniform(0.05, 0.16)) for _ in range(4)]
    return Sprite(
        texture=texture,
        outline=outline,
        center=draw_path(draw, size, frames, 0.025 * speed * height),
        angle=turn.float(),
        radius=radius * height * scale,
        stretch=(1 + wander(draw, frames, 0.18)).float(),
        bend=torch.stack(waves, dim=-1).float().unflatten(-1, (2, 2)),
    )


def draw_path(draw: Draw, size: tuple[int, int], frames: int, step: float) -> Tensor:
    """A way through the picture, `[T, 2]` x and y in pixels, about `step` pixels a frame, that stays near the middle.

    It goes straight for some ten frames, then to another place; what walks along it may reach over the border.
    """
    height, width = size
    low = torch.tensor([0.14 * width, 0.18 * height])
    span = torch.tensor([0.72 * width, 0.64 * height])
    points, times = [low + span * torch.rand(2, generator=draw.generator)], [0.0]
    while times[-1] < frames:
        # The farthest of a few places: a path should lead somewhere.
        places = low + span * torch.rand(3, 2, generator=draw.generator)
        distance = (places - points[-1]).norm(dim=1)
        points.append(places[distance.argmax()])
        times.append(times[-1] + max(6.0, float(distance.max()) / step))
    path = keyframes(frames, times, [point.tolist() for point in points])
    sway = torch.stack([wander(draw, frames, 0.25 * step * 4) for _ in range(2)], dim=-1)
    return (path + sway).float()
