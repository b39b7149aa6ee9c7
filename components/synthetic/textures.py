"""Procedural textures of a few colours each.

Low noise in every pattern makes each of its places unique: no stripe looks quite like the next one.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from components.synthetic.curves import Draw

TEXTURES: tuple[str, ...] = ("noise", "stripes", "checks", "blobs", "cells", "waves")
# Share of the pattern's own contrast; the rest is noise that makes places unique.
_PATTERN = 0.62
_POINTS = 70
# Fewest and most textures of a background.
_REGIONS = (6, 10)


def draw_palette(draw: Draw, colors: int = 5) -> Tensor:
    """Colours of one thing, `[K, 3]` in [0, 1], dark to bright: two families of hues."""
    first = draw.uniform(0.0, 1.0)
    second = first + draw.uniform(0.25, 0.6)
    rows = []
    for index in range(colors):
        hue = (first if index % 2 == 0 else second) + draw.normal(0.05)
        value = 0.18 + 0.72 * (index + draw.uniform(0.2, 0.8)) / colors
        saturation = draw.uniform(0.25, 0.75)
        wheel = (torch.tensor([0.0, 2 / 3, 1 / 3]) + hue) % 1.0
        pure = (torch.abs(wheel * 6 - 3) - 1).clamp(0, 1)
        rows.append(value * (1 - saturation + saturation * pure))
    return torch.stack(rows)


def draw_texture(draw: Draw, palette: Tensor, size: int, kind: str | None = None, grain: float = 1.0) -> Tensor:
    """A square texture, `[3, size, size]` in [0, 1].

    Args:
        draw: every choice.
        palette: `[K, 3]`, K >= 3; the texture takes three of its colours.
        size: pixels.
        kind: a name of `TEXTURES`; None draws one.
        grain: details over the side of the texture: 1 has about seven stripes.

    Raises:
        ValueError: no such kind.
    """
    kind = TEXTURES[draw.integer(0, len(TEXTURES) - 1)] if kind is None else kind
    pattern = _pattern(draw, kind, size, grain)
    noise = _spread(_noise(draw, size, 3.0 * grain, 5))
    field = _PATTERN * pattern + (1 - _PATTERN) * noise
    order = torch.randperm(len(palette), generator=draw.generator)[:3].sort().values
    return _colored(field.clamp(0, 1), palette[order]) * (0.80 + 0.40 * _spread(_noise(draw, size, 12.0 * grain, 3)))


def draw_patchwork(draw: Draw, palette: Tensor, size: int, grain: float = 1.0) -> Tensor:
    """A square background of several textures side by side, `[3, size, size]` in [0, 1].

    One texture all over repeats itself everywhere, and of two of its places nobody can say which is which; a film of a
    real place has walls, floors and furniture.

    Args:
        draw: every choice.
        palette: as in `draw_texture`.
        size: pixels.
        grain: as in `draw_texture`, about which the regions vary.
    """
    count = draw.integer(*_REGIONS)
    line = torch.linspace(-1, 1, size)
    across, down = (line[None] + 0.12 * _noise(draw, size, 4.0, 2), line[:, None] + 0.12 * _noise(draw, size, 4.0, 2))
    seeds = 2.2 * torch.rand(count, 2, generator=draw.generator) - 1.1
    region = torch.stack([(across - x).square() + (down - y).square() for x, y in seeds]).argmin(0)
    picture = torch.empty(3, size, size)
    for index in range(count):
        texture = draw_texture(draw, palette, size, grain=grain * draw.uniform(0.6, 1.4))
        picture = torch.where(region == index, texture * draw.uniform(0.75, 1.2), picture)
    return picture.clamp(0, 1)


def _pattern(draw: Draw, kind: str, size: int, grain: float) -> Tensor:
    """Values in [0, 1], `[size, size]`."""
    line = torch.linspace(-1, 1, size)
    angle = draw.uniform(0.0, math.pi)
    x = line[None] * math.cos(angle) + line[:, None] * math.sin(angle)
    y = line[:, None] * math.cos(angle) - line[None] * math.sin(angle)
    rate = math.pi * grain * draw.uniform(5.0, 9.0)
    if kind == "noise":
        return _spread(_noise(draw, size, 6.0 * grain, 5))
    if kind == "stripes":
        bend = _noise(draw, size, 3.0 * grain, 1) * draw.uniform(0.1, 0.5)
        return torch.sigmoid(6 * torch.sin(rate * x + bend))
    if kind == "checks":
        bend = _noise(draw, size, 2.0 * grain, 1) * 0.3
        return torch.sigmoid(8 * torch.sin(0.75 * rate * x + bend) * torch.sin(0.75 * rate * y + bend))
    if kind == "waves":
        bend = _noise(draw, size, 4.0 * grain, 1) * draw.uniform(1.2, 2.4)
        return 0.5 + 0.5 * torch.sin(0.8 * rate * x + bend)
    if kind == "blobs":
        nearest, _ = _two_nearest(draw, line, int(_POINTS * grain))
        return torch.sigmoid((nearest * math.sqrt(grain) - draw.uniform(0.10, 0.13)) * -60)
    if kind == "cells":
        nearest, second = _two_nearest(draw, line, int(_POINTS * grain))
        return torch.sigmoid(((second - nearest) * math.sqrt(grain) - 0.035) * 80)
    raise ValueError(f"texture '{kind}' is not one of {', '.join(TEXTURES)}")


def _noise(draw: Draw, size: int, cells: float, octaves: int) -> Tensor:
    """Smooth noise of about unit deviation, `[size, size]`, with details from `cells` over the side and up."""
    total = torch.zeros(size, size)
    for octave in range(octaves):
        count = min(size, max(3, round(cells * 2**octave)))
        values = torch.randn(1, 1, count, count, generator=draw.generator)
        total += 0.7**octave * F.interpolate(values, (size, size), mode="bicubic", align_corners=True)[0, 0]
    return total


def _spread(field: Tensor) -> Tensor:
    """Noise to [0, 1], nearly evenly distributed."""
    return 0.5 + 0.5 * torch.erf((field - field.mean()) / (field.std() * math.sqrt(2)))


def _two_nearest(draw: Draw, line: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances of each place to the nearest and the second nearest of random points, `[size, size]` each."""
    points = 2.2 * torch.rand(max(count, 2), 2, generator=draw.generator) - 1.1
    across = (line[None] - points[:, :1]).square()  # points size
    squares = (across[:, None, :] + (line[None] - points[:, 1:]).square()[:, :, None]).flatten(1)
    nearest, second = squares.topk(2, dim=0, largest=False).values.sqrt().unflatten(1, (len(line), -1))
    return nearest, second


def _colored(field: Tensor, colors: Tensor) -> Tensor:
    """Values in [0, 1] to the colours `[3, 3]` and what lies between them, `[3, size, size]`."""
    low, middle, high = colors[:, :, None, None]
    below = (2 * field).clamp(max=1)
    above = (2 * field - 1).clamp(min=0)
    return low + (middle - low) * below + (high - middle) * above
