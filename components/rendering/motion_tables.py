"""Tables of motions as films and pictures: posed bodies or stick figures in titled rows and columns."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.errors import InputError
from components.media import gif_pace, write_gif, write_mp4, write_png
from components.media.film_tables import FilmTable, play_table, still_table
from components.media.skeletons import draw_motion
from components.rendering.motion_films import shrink_film, stand, travels
from components.rendering.motion_gallery import draw_films, looks_of

Style = Literal["body", "stick"]
TableKind = Literal["mp4", "gif", "strip"]
# Joints `[T, 24, 3]`, metres, y up, stand for a motion without rotations.
Shown = BodyMotion | Tensor
# Largest width and height of a film, and pixels times frames of a gif.
_FILM_SIZE = (1920, 1700)
_GIF_VOLUME = 30_000_000


@dataclass(frozen=True)
class MotionTable:
    """R x C motions.

    Args:
        name: of the files.
        question: what the table shows, one line.
        rows, columns: titles.
        cells: R lists of C motions; None leaves a cell empty.
        bar_after: a black bar stands behind so many columns.
        outfits: a number per row; rows of the same one are dressed alike. None = all alike.
    """

    name: str
    question: str
    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[Shown | None]]
    bar_after: int | None = None
    outfits: Sequence[int] | None = None

    @property
    def frames(self) -> int:
        """Frames to draw."""
        return sum(_length(cell) for row in self.cells for cell in row if cell is not None)


def draw_table(
    table: MotionTable,
    body: BodyModel,
    style: Style = "body",
    size: int = 128,
    view: str = "three_quarter",
    advance: Callable[[int], None] = lambda frames: None,
) -> FilmTable:
    """Draw every motion, several at a time.

    Args:
        table: the motions.
        body: posed by them.
        style: mesh or stick figure.
        size: pixels of one film's side.
        view: front, side, three_quarter or back.
        advance: called with the number of frames drawn since the last call.

    Raises:
        InputError: `style=body` for joints without rotations, or an unknown style.
    """
    if style not in get_args(Style):
        raise InputError(f"style='{style}' is not one of {', '.join(get_args(Style))}")
    outfits = table.outfits or [0] * len(table.rows)
    work = [
        (cell, outfit) for row, outfit in zip(table.cells, outfits, strict=True) for cell in row if cell is not None
    ]
    if style == "body" and any(isinstance(cell, Tensor) for cell, _ in work):
        raise InputError(
            "these motions are joint positions (data.pose_rep=xyz), which move no body; draw them with style=stick"
        )

    def draw(job: tuple[Shown, int]) -> Tensor:
        cell, outfit = job
        if isinstance(cell, Tensor):
            return _positions_film(cell, size, view)
        posed = stand(cell, body)
        return posed.stick_film(size, view) if style == "stick" else posed.mesh_film(size, view, looks_of(body, outfit))

    films = iter(draw_films(draw, work, advance))
    drawn = [[None if cell is None else next(films) for cell in row] for row in table.cells]
    return FilmTable(table.rows, table.columns, drawn, table.bar_after)


def _positions_film(joints: Tensor, size: int, view: str) -> Tensor:
    """Stick figure of joints whose height is unknown: its lowest one of the clip touches the floor."""
    return draw_motion(joints, (size, size), view=view, follow=travels(joints))


def write_table(
    folder: str | Path,
    name: str,
    table: FilmTable,
    fps: float,
    kinds: Collection[TableKind] = ("mp4", "gif", "strip"),
) -> list[Path]:
    """Write `<name>.mp4`, `<name>.gif` and `<name>.png` (moments).

    Large tables are made smaller to fit a screen, and the gif further, so that pages can hold several.

    Returns:
        The files.

    Raises:
        InputError: a file cannot be written.
    """
    folder = Path(folder)
    films = _smaller(table, max(1, math.ceil(max(_excess(table)))))
    written = []
    if "mp4" in kinds:
        written.append(write_mp4(folder / f"{name}.mp4", play_table(films, _letters(films)), fps))
    if "gif" in kinds:
        step, pace = gif_pace(fps)
        height, width = _cell(films)
        volume = height * width * len(films.rows) * len(films.columns) * films.frames / step
        small = _smaller(films, max(1, math.ceil(math.sqrt(volume / _GIF_VOLUME))))
        pictures = np.stack(list(play_table(small, _letters(small)))[::step])
        written.append(write_gif(folder / f"{name}.gif", pictures, pace))
    if "strip" in kinds:
        written.append(write_png(folder / f"{name}.png", still_table(films, caption_size=_letters(films))))
    return written


def join_rows(tables: Iterable[FilmTable], rows: Sequence[str]) -> FilmTable:
    """The first row of each table, under the columns of the first table."""
    tables = list(tables)
    return FilmTable(rows, tables[0].columns, [table.films[0] for table in tables], tables[0].bar_after)


def _length(cell: Shown) -> int:
    return len(cell) if isinstance(cell, Tensor) else len(cell.poses)


def _cell(table: FilmTable) -> tuple[int, int]:
    return next((film.shape[1], film.shape[2]) for row in table.films for film in row if film is not None)


def _excess(table: FilmTable) -> tuple[float, float]:
    """By which factors the table is too wide and too high."""
    height, width = _cell(table)
    return width * len(table.columns) / _FILM_SIZE[0], height * len(table.rows) / _FILM_SIZE[1]


def _letters(table: FilmTable) -> int:
    return max(9, min(18, round(_cell(table)[0] / 9)))


def _smaller(table: FilmTable, factor: int) -> FilmTable:
    if factor == 1:
        return table
    films = [
        [None if film is None else shrink_film(torch.as_tensor(film), factor) for film in row] for row in table.films
    ]
    return FilmTable(table.rows, table.columns, films, table.bar_after)
