"""Light that changes while a film runs, and what a cheap camera adds: blur and noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from components.synthetic.curves import Draw, wander

# Noise is taken from a large picture of it at a random place: fresh noise for every pixel would cost a third of a film.
_NOISE_MARGIN = 32
# One over half the width of a shadow's edge; the picture shows about two thirds of the background, whose side is 2.
_SHADOW_SLOPE = 4.0


@dataclass(frozen=True)
class Lighting:
    """What happens to the values of a film.

    Args:
        gain: `[T, 3]` factor per colour: exposure and colour cast.
        offset: `[T]` added to all: haze.
        shadow: `[T, 3]` a soft edge that lies on the background and creeps over it: cosine, sine and offset, in the
            background's coordinates.
        darkness: share of the light that the shadow takes.
        blur: weight of the neighbours on each side, 0 to 0.3.
        noise: standard deviation.
        seed: of the noise.
    """

    gain: Tensor
    offset: Tensor
    shadow: Tensor
    darkness: float
    blur: float
    noise: float
    seed: int

    def apply(self, film: Tensor, frames: slice, grid: Tensor) -> Tensor:
        """Films `[n, H, W, 3]` in [0, 1] as a camera sees them, uint8; `grid [n, H, W, 2]` is each pixel's place on the
        background.

        A shadow that stayed in the picture while the camera moves would tell every place apart from all others, and
        networks would learn to read it instead of what things look like.
        """
        n, height, width = film.shape[:3]
        x, y = grid.unbind(-1)
        cosine, sine, away = self.shadow[frames, :, None, None].unbind(1)
        # A soft step without exponentials: this runs over every pixel.
        edge = ((cosine * x + sine * y + away) * _SHADOW_SLOPE).clamp_(-1, 1)
        light = 1 - self.darkness * (0.5 + 0.25 * edge * (3 - edge * edge))
        film = film * (light.unsqueeze(-1) * self.gain[frames, None, None])
        if self.blur > 0:
            film = _blurred(film, self.blur)
        film += self.offset[frames, None, None, None]
        if self.noise > 0:
            film += self._noise(n, height, width, frames.start or 0)
        return film.mul_(255).round_().clamp_(0, 255).to(torch.uint8)

    def _noise(self, n: int, height: int, width: int, first: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        bank = self.noise * torch.randn(
            height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3, generator=generator, dtype=torch.float32
        )
        pieces = []
        for index in range(first, first + n):
            place = torch.Generator().manual_seed(self.seed + 1 + index)
            top, left = torch.randint(0, _NOISE_MARGIN + 1, (2,), generator=place).tolist()
            pieces.append(bank[top : top + height, left : left + width])
        return torch.stack(pieces)


def draw_lighting(draw: Draw, frames: int, strength: float = 1.0) -> Lighting:
    """Light of one film.

    Args:
        draw: every choice.
        frames: T.
        strength: 1: exposure changes by about a seventh over a clip, the cast by half of that.
    """
    exposure = (1 + wander(draw, frames, 0.15 * strength))[:, None]
    cast = torch.stack([wander(draw, frames, 0.08 * strength) for _ in range(3)], dim=-1)
    gain = exposure * (1 + cast)
    angle = draw.uniform(0.0, 2 * math.pi) + wander(draw, frames, 0.1)
    away = draw.uniform(-0.5, 0.5) + torch.linspace(-0.5, 0.5, frames, dtype=torch.float64) * draw.normal(0.2)
    return Lighting(
        gain=gain.float(),
        offset=wander(draw, frames, 0.03 * strength).float(),
        shadow=torch.stack([torch.cos(angle), torch.sin(angle), away], dim=-1).float(),
        darkness=draw.uniform(0.05, 0.25) * strength,
        blur=draw.uniform(0.05, 0.22),
        noise=draw.uniform(0.006, 0.018),
        seed=draw.integer(0, 2**31 - 1),
    )


def _blurred(film: Tensor, weight: float) -> Tensor:
    """Three-tap blur along both sides of `[n, H, W, 3]`, the border repeated."""
    for axis in (1, 2):
        last = film.shape[axis] - 1
        wide = film * (1 - 2 * weight)
        wide.narrow(axis, 1, last).add_(film.narrow(axis, 0, last), alpha=weight)
        wide.narrow(axis, 0, last).add_(film.narrow(axis, 1, last), alpha=weight)
        for edge in (0, last):
            wide.narrow(axis, edge, 1).add_(film.narrow(axis, edge, 1), alpha=weight)
        film = wide
    return film
