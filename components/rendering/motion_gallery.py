"""Videos and pictures of many motions: a row for each group, and one sheet with all of them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.cores import usable_cores
from components.media import gif_pace, image_grid, write_gif, write_mp4, write_png
from components.rendering.floor import Color
from components.rendering.motion_films import StandingMotion, shrink_film, stand
from components.rendering.outfits import outfit_colors
from components.rendering.scene import BODY_COLORS

Kind = Literal["mp4", "gif", "stick", "strip"]
KINDS: tuple[Kind, ...] = ("mp4", "gif", "stick", "strip")
# Strips of more samples than this make no better picture.
_MAX_STRIPS = 3
_MAX_COLUMNS = 6
# Largest width and height of the sheet's film, and pixels times frames of its gif.
_SHEET_SIZE = (1920, 1280)
_GIF_VOLUME = 40_000_000


@dataclass(frozen=True)
class GalleryItem:
    """One motion on show."""

    group: str
    """Motions of one group stand in one row and one file; also the file's name."""
    caption: str
    motion: BodyMotion


def gallery_frames(items: Sequence[GalleryItem], kinds: Iterable[Kind]) -> int:
    """How many frames `write_gallery` will draw: the total of its `advance` calls."""
    wanted = set(kinds)
    frames = sum(len(item.motion.poses) for item in items)
    return frames * (int(bool(wanted & {"mp4", "gif"})) + int("stick" in wanted))


def write_gallery(
    folder: str | Path,
    items: Sequence[GalleryItem],
    body: BodyModel,
    kinds: Iterable[Kind] = KINDS,
    size: int = 256,
    view: str = "three_quarter",
    advance: Callable[[int], None] | None = None,
) -> list[Path]:
    """Render motions.

    Writes `videos/<group>.mp4`, `.gif` and `<group>_stick.mp4`, `pictures/<group>.png` (moments of the first motions),
    and where there are several groups `videos/all.mp4`, `all.gif`, `all_stick.mp4` and `pictures/all.png`.

    Args:
        folder: where the two folders go.
        items: the motions, those of a group in one run; all of the same frame rate.
        body: drawn in its own device's memory.
        kinds: what to write.
        size: pixels of one film's side.
        view: front, side, three_quarter or back.
        advance: called with the number of frames drawn since the last call.

    Returns:
        The files, in the order of writing.

    Raises:
        InputError: a file cannot be written.
    """
    wanted = set(kinds)
    groups: dict[str, list[GalleryItem]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    gallery = _Gallery(Path(folder), wanted, size, view, advance or (lambda frames: None), items, len(groups))
    for index, (group, members) in enumerate(groups.items()):
        gallery.show(group, members, body, looks_of(body, index))
    if len(groups) > 1:
        gallery.show_all()
    return gallery.files


class _Gallery:
    """Draws group by group and keeps what the sheet of all needs, made small."""

    def __init__(
        self,
        folder: Path,
        kinds: set[Kind],
        size: int,
        view: str,
        advance: Callable[[int], None],
        items: Sequence[GalleryItem],
        groups: int,
    ) -> None:
        self.folder, self.kinds, self.size, self.view, self.advance = folder, kinds, size, view, advance
        self.fps = items[0].motion.fps if items else 1.0
        self.columns, self.factor = sheet_layout(len(items), groups, size)
        self.files: list[Path] = []
        self.meshes: list[Tensor] = []
        self.sticks: list[Tensor] = []
        self.captions: list[str] = []
        self.strips: list[Tensor] = []

    def show(self, group: str, members: list[GalleryItem], body: BodyModel, color: Color | Tensor) -> None:
        standing = [stand(item.motion, body) for item in members]
        captions = [item.caption for item in members]
        self.captions += captions
        if self.kinds & {"mp4", "gif"}:
            films = draw_films(lambda each: each.mesh_film(self.size, self.view, color), standing, self.advance)
            row = _in_rows(films, captions)
            if "mp4" in self.kinds:
                self._mp4(group, row)
            if "gif" in self.kinds:
                self._gif(group, row)
            self.meshes += [shrink_film(film, self.factor) for film in films]
        if "stick" in self.kinds:
            films = draw_films(lambda each: each.stick_film(self.size, self.view), standing, self.advance)
            self._mp4(f"{group}_stick", _in_rows(films, captions))
            self.sticks += [shrink_film(film, self.factor) for film in films]
        if "strip" in self.kinds:
            strips = _strips(standing[:_MAX_STRIPS], [color] * _MAX_STRIPS, self.size)
            picture = image_grid(strips, 1, captions[:_MAX_STRIPS], caption_size=max(12, self.size // 14))
            self.files.append(write_png(self.folder / "pictures" / f"{group}.png", picture))
            self.strips.append(strips[0])

    def show_all(self) -> None:
        if "mp4" in self.kinds:
            self._mp4("all", _sheet(self.meshes, self.columns, self.captions))
        if "gif" in self.kinds:
            first = next(_sheet(self.meshes, self.columns, self.captions))
            frames = max(len(film) for film in self.meshes)
            factor = math.ceil(math.sqrt(first[..., 0].size * frames / _GIF_VOLUME))
            small = [shrink_film(film, factor) for film in self.meshes]
            self._gif("all", np.stack(list(_sheet(small, self.columns, self.captions))))
        if "stick" in self.kinds:
            self._mp4("all_stick", _sheet(self.sticks, self.columns, self.captions))
        if "strip" in self.kinds:
            names = list(dict.fromkeys(caption.split("  (")[0] for caption in self.captions))
            columns = 1 if len(self.strips) <= 6 else 2
            picture = image_grid(self.strips, columns, names, caption_size=max(12, self.size // 14))
            self.files.append(write_png(self.folder / "pictures" / "all.png", picture))

    def _mp4(self, name: str, film: np.ndarray | Iterator[np.ndarray]) -> None:
        self.files.append(write_mp4(self.folder / "videos" / f"{name}.mp4", film, self.fps))

    def _gif(self, name: str, film: np.ndarray) -> None:
        step, pace = gif_pace(self.fps)
        self.files.append(write_gif(self.folder / "videos" / f"{name}.gif", film[::step], pace))


def sheet_layout(items: int, groups: int, size: int) -> tuple[int, int]:
    """Columns of the sheet of all films, whole groups in a line, and the whole factor by which its films shrink."""
    members = max(1, math.ceil(items / max(groups, 1)))
    wide = math.sqrt(items * _SHEET_SIZE[0] / _SHEET_SIZE[1])
    columns = min(items, members * max(1, round(wide / members))) if members <= _MAX_COLUMNS else _MAX_COLUMNS
    rows = math.ceil(items / max(columns, 1))
    return columns, max(1, math.ceil(max(columns * size / _SHEET_SIZE[0], rows * size / _SHEET_SIZE[1])))


def looks_of(body: BodyModel, number: int) -> Color | Tensor:
    """Clothes, another outfit for each number, where the body knows its parts; else one colour of the palette."""
    if body.face_parts is None:
        return BODY_COLORS[number % len(BODY_COLORS)]
    return outfit_colors(body.faces, body.face_parts, body.part_names, body.num_vertices, number)


def _workers() -> int:
    return min(8, usable_cores())


def draw_films(
    draw: Callable[[Any], Tensor], shown: Iterable[Any], advance: Callable[[int], None] = lambda frames: None
) -> list[Tensor]:
    """Films drawn side by side: many small operations, for which one thread per film beats all threads for one."""
    films = []
    with ThreadPoolExecutor(_workers(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for film in pool.map(draw, shown):
            advance(len(film))
            films.append(film)
    return films


def _strips(standing: Sequence[StandingMotion], colors: Sequence[Color | Tensor], height: int) -> list[Tensor]:
    with ThreadPoolExecutor(_workers(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return list(pool.map(lambda each, color: each.strip(height, color), standing, colors))


def _in_rows(films: list[Tensor], captions: list[str]) -> np.ndarray:
    return image_grid(films, min(len(films), _MAX_COLUMNS), captions)


def _sheet(films: list[Tensor], columns: int, captions: list[str]) -> Iterator[np.ndarray]:
    """Frame by frame: the whole film of a large sheet would not fit into memory."""
    for frame in range(max(len(film) for film in films)):
        moment = [film[min(frame, len(film) - 1)] for film in films]
        yield image_grid(moment, columns, captions, gap=4, caption_size=max(9, min(15, films[0].shape[1] // 12)))


def write_still_rows(path: str | Path, items: Sequence[GalleryItem], body: BodyModel, height: int = 160) -> Path:
    """One picture with a row of moments for each motion.

    Raises:
        InputError: the file cannot be written.
    """
    colors = [looks_of(body, index) for index in range(len(items))]
    strips = _strips([stand(item.motion, body) for item in items], colors, height)
    columns = 1 if len(strips) <= 4 else 2
    return write_png(path, image_grid(strips, columns, [item.caption for item in items], caption_size=14))


def write_film_sheet(path: str | Path, items: Sequence[GalleryItem], body: BodyModel, size: int = 160) -> Path:
    """One mp4 in which all motions play side by side.

    Raises:
        InputError: the file cannot be written.
    """
    shown = [(stand(item.motion, body), looks_of(body, index)) for index, item in enumerate(items)]
    films = draw_films(lambda each: each[0].mesh_film(size, color=each[1]), shown)
    columns, _ = sheet_layout(len(items), len(items), size)
    return write_mp4(path, _sheet(films, columns, [item.caption for item in items]), items[0].motion.fps)
