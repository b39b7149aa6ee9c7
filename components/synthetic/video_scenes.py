"""Scenes of synthetic films: a moving background, sprites and people in front of each other, changing light.

All is painted with the few colours of the scene, so that colour alone tells little; exposure and colour cast drift, and
some sprites are there only to be mistaken for others. What shows where is known to the pixel.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from components.synthetic.curves import Draw, wander
from components.synthetic.lighting import Lighting, draw_lighting
from components.synthetic.people import Person, draw_person
from components.synthetic.sprites import Patch, Sprite, draw_path, draw_sprite
from components.synthetic.textures import draw_palette, draw_patchwork

# Frames painted at a time: their layers should stay in the cache.
_AT_ONCE = 8
# Texels of the background for each pixel of the picture's width: about two thirds of it are seen at a time.
_BACKGROUND_TEXELS = 1.2


@dataclass(frozen=True)
class Casting:
    """What a scene shows.

    Args:
        sprites: sprites that are objects of the scene.
        people: people that are objects of the scene.
        distractors: sprites that are part of the background (id 0).
        actions: what people may do.
        radius: range of sprite radii, share of the height.
        tall: range of body heights, share of the picture's.
        speed: 1: things travel about a fortieth of the height a frame.
        light: strength of the changes of light.
        zoom: strength of the camera's moves.
        people_in_front: no sprite passes before people.
    """

    sprites: int = 2
    people: int = 0
    distractors: int = 1
    actions: tuple[str, ...] = ("walk",)
    radius: tuple[float, float] = (0.13, 0.22)
    tall: tuple[float, float] = (0.62, 0.85)
    speed: float = 1.0
    light: float = 1.0
    zoom: float = 1.0
    people_in_front: bool = False


class Film(NamedTuple):
    """Painted frames: `images [n, H, W, 3]` uint8, `ids [n, H, W]` uint8 object of each pixel (0 is background), and
    `parts [n, H, W]` uint8 VIP class of people's pixels."""

    images: Tensor
    ids: Tensor
    parts: Tensor


@dataclass(frozen=True)
class Scene:
    """A film that is not painted yet.

    Args:
        size: (height, width), pixels.
        frames: T.
        background: `[3, S, S]`.
        camera: `[T, 2, 3]` from the picture's coordinates to the background's, both [-1, 1].
        layers: from back to front, each with its object id (0: a distractor).
        lighting: what happens to the values.
    """

    size: tuple[int, int]
    frames: int
    background: Tensor
    camera: Tensor
    layers: list[tuple[int, Sprite | Person]]
    lighting: Lighting
    palette: Tensor = field(repr=False)

    @property
    def people(self) -> list[Person]:
        """From back to front."""
        return [layer for _, layer in self.layers if isinstance(layer, Person)]

    def render(self) -> Film:
        """Paint all frames."""
        films = [self.paint(slice(at, min(at + _AT_ONCE, self.frames))) for at in range(0, self.frames, _AT_ONCE)]
        return Film(*(torch.cat(parts) for parts in zip(*films)))

    @torch.no_grad()
    def paint(self, frames: slice) -> Film:
        """Paint some frames; each frame is the same whichever others are painted with it."""
        camera = self.camera[frames]
        n, (height, width) = len(camera), self.size
        x, y = torch.linspace(-1, 1, width), torch.linspace(-1, 1, height)[:, None]
        rows = camera[..., None, None]
        grid = torch.stack([rows[:, axis, 0] * x + (rows[:, axis, 1] * y + rows[:, axis, 2]) for axis in (0, 1)], -1)
        texture = self.background.expand(n, -1, -1, -1)
        film = F.grid_sample(texture, grid, padding_mode="reflection", align_corners=True)
        film = film.permute(0, 2, 3, 1).contiguous()
        ids = torch.zeros(n, height, width, dtype=torch.uint8)
        parts = torch.zeros(n, height, width, dtype=torch.uint8)
        for number, layer in self.layers:
            if isinstance(layer, Sprite):
                _lay_patch(film, ids, parts, layer.patch(frames), number)
            else:
                paint = layer.paint(frames)
                flat = film.view(-1, 3)
                old = flat.index_select(0, paint.pixel)
                flat.index_copy_(0, paint.pixel, torch.lerp(old, paint.color, paint.cover.unsqueeze(1)))
                shown = paint.pixel[paint.cover >= 0.5]
                ids.view(-1)[shown] = number
                parts.view(-1)[shown] = paint.part[paint.cover >= 0.5].to(torch.uint8)
        return Film(self.lighting.apply(film, frames, grid), ids, parts)


def draw_scene(draw: Draw, casting: Casting, size: tuple[int, int], frames: int, side: int = 1) -> Scene:
    """A scene; the same draw gives the same scene.

    Args:
        draw: every choice.
        casting: what it shows.
        size: (height, width), pixels.
        frames: T.
        side: samples per pixel and axis for people (sprites have smooth edges anyway).
    """
    height = size[0]
    palette = draw_palette(draw)
    background = draw_patchwork(draw, palette, round(_BACKGROUND_TEXELS * size[1]), grain=draw.uniform(1.3, 1.9))
    layers: list[tuple[int, Sprite | Person]] = []
    for index in range(casting.sprites + casting.distractors):
        number = index + 1 if index < casting.sprites else 0
        sprite = draw_sprite(draw, palette, size, frames, draw.uniform(*casting.radius), casting.speed)
        layers.append((number, sprite))
    for index in range(casting.people):
        action = casting.actions[draw.integer(0, len(casting.actions) - 1)]
        tall = draw.uniform(*casting.tall)
        path = draw_path(draw, size, frames, 0.016 * casting.speed * height)
        # Tall people cannot go far up or down.
        path[:, 1] = height / 2 + (path[:, 1] - height / 2) * (1 - min(0.9, tall))
        person = draw_person(draw, palette, size, frames, action, tall, path, side)
        layers.append((casting.sprites + index + 1, person))
    order = torch.randperm(len(layers), generator=draw.generator).tolist()
    if casting.people_in_front:
        order.sort(key=lambda index: isinstance(layers[index][1], Person))
    return Scene(
        size=size,
        frames=frames,
        background=background,
        camera=_draw_camera(draw, size, frames, casting.zoom),
        layers=[layers[index] for index in order],
        lighting=draw_lighting(draw, frames, casting.light),
        palette=palette,
    )


def _draw_camera(draw: Draw, size: tuple[int, int], frames: int, strength: float) -> Tensor:
    """Pan, zoom and a little roll, `[T, 2, 3]`."""
    height, width = size
    zoom = 0.62 * (1 + wander(draw, frames, 0.15 * strength))
    roll = wander(draw, frames, 0.10 * strength)
    slide = torch.stack([wander(draw, frames, 0.22 * strength) for _ in range(2)], dim=-1)
    start, drift = draw.uniform(-0.1, 0.1), draw.normal(0.25 * strength)
    slide[:, 0] += start + drift * torch.linspace(-0.5, 0.5, frames, dtype=torch.float64)
    cosine, sine, tall = zoom * torch.cos(roll), zoom * torch.sin(roll), height / width
    rows = [cosine, -sine * tall, slide[:, 0], sine, cosine * tall, slide[:, 1]]
    return torch.stack(rows, dim=-1).float().unflatten(-1, (2, 3))


def _lay_patch(film: Tensor, ids: Tensor, parts: Tensor, patch: Patch, number: int) -> None:
    """Blend a patch over frames, in place, and note whose pixels they are."""
    height, width = ids.shape[1:]
    tall, wide = patch.cover.shape[1:]
    for index, (left, top) in enumerate(zip(patch.left.tolist(), patch.top.tolist(), strict=True)):
        rows = slice(max(0, top), min(height, top + tall))
        columns = slice(max(0, left), min(width, left + wide))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        own = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        cover = patch.cover[index][own]
        film[index, rows, columns].lerp_(patch.color[index][own], cover.unsqueeze(-1))
        shown = cover >= 0.5
        ids[index, rows, columns].masked_fill_(shown, number)
        parts[index, rows, columns].masked_fill_(shown, 0)
