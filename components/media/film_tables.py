"""Tables of films: titled rows and columns that play together, and still pictures of them."""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import ImageFont

from components.media.frames import Frames, as_film, evenly_spaced
from components.media.pictures import draw_text, fitting_size

_PAPER = 255
_BAR = 20
# What is left of the light of a last frame that is held.
_HELD_LIGHT = 0.82
_GAP = 4
_BAR_WIDTH = 6


@dataclass(frozen=True)
class FilmTable:
    """R x C films `[T, S, S', 3]` uint8, all of one size; None leaves a cell empty.

    Args:
        rows: titles at the left.
        columns: titles on top.
        films: R lists of C films; lengths may differ.
        bar_after: a black bar stands behind so many columns; None = no bar.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    films: Sequence[Sequence[Frames | None]]
    bar_after: int | None = None

    @property
    def frames(self) -> int:
        """Length of the longest film."""
        return max((len(film) for row in self.films for film in row if film is not None), default=0)

    def transposed(self) -> "FilmTable":
        """Rows for columns; the bar goes."""
        return FilmTable(self.columns, self.rows, [list(column) for column in zip(*self.films, strict=True)])


def play_table(table: FilmTable, caption_size: int = 14) -> Iterator[np.ndarray]:
    """Pictures of the whole table, one per frame; films that are over show their last frame, darkened.

    Args:
        table: what to show.
        caption_size: height of the letters, pixels.

    Yields:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: no film at all, films of different sizes, or other numbers of rows and columns than of titles.
    """
    films = [[None if film is None else as_film(film) for film in row] for row in table.films]
    sizes = {film.shape[1:3] for row in films for film in row if film is not None}
    if len(sizes) != 1:
        raise ValueError(f"a table needs films of one size, got {sorted(sizes)}")
    if len(films) != len(table.rows) or any(len(row) != len(table.columns) for row in films):
        raise ValueError(f"{len(table.rows)} x {len(table.columns)} titles do not fit the films")
    (cell,) = sizes
    sheet, lefts, tops = _frame(table, cell, caption_size)
    last = np.zeros_like(sheet)
    for frame in range(table.frames):
        picture = sheet.copy() if frame == 0 else last
        for top, row in zip(tops, films):
            for left, film in zip(lefts, row):
                if film is None or frame > len(film):  # nothing there, or held already
                    continue
                moment = film[frame] if frame < len(film) else (film[-1] * _HELD_LIGHT).astype(np.uint8)
                picture[top : top + cell[0], left : left + cell[1]] = moment
        last = picture
        yield picture.copy()


def still_table(table: FilmTable, moments: int | None = None, width: int = 2400, caption_size: int = 16) -> np.ndarray:
    """One picture `[H, W, 3]`: each cell shows moments of its film, first and last included.

    Args:
        table: what to show; stands on its side where it is wide and low.
        moments: per cell; None = as many as fit into `width`, 1 to 8.
        width: pixels, about.
        caption_size: height of the letters, pixels.
    """
    if len(table.columns) > 2 * len(table.rows):
        table = table.transposed()
    cell = next(film.shape[2] for row in table.films for film in row if film is not None)
    count = moments or max(1, min(8, width // (cell * len(table.columns))))
    pictures = [[None if film is None else _moments(as_film(film), count)[None] for film in row] for row in table.films]
    return next(play_table(replace(table, films=pictures), caption_size))


def _moments(film: np.ndarray, count: int) -> np.ndarray:
    """Moments side by side, always the width of `count`: a film of fewer frames repeats some."""
    chosen = evenly_spaced(len(film), count) if count > 1 else np.array([len(film) // 2])
    chosen = chosen[np.linspace(0, len(chosen) - 1, count).round().astype(int)]
    return np.concatenate([film[index] for index in chosen], axis=1)


def _frame(table: FilmTable, cell: tuple[int, int], caption_size: int) -> tuple[np.ndarray, list[int], list[int]]:
    """The sheet with titles and bar, and where cells begin."""
    height, width = cell
    titles = [_wrapped(title, height, caption_size) for title in table.rows]
    margin = max((_text_width(title, caption_size) for title in titles), default=0) + caption_size
    bar = 0 if table.bar_after is None else _BAR_WIDTH + _GAP
    head = 2 * caption_size
    lefts = [
        margin + column * (width + _GAP) + (bar if table.bar_after is not None and column >= table.bar_after else 0)
        for column in range(len(table.columns))
    ]
    tops = [head + row * (height + _GAP) for row in range(len(table.rows))]
    sheet = np.full((tops[-1] + height + _GAP, lefts[-1] + width + _GAP, 3), _PAPER, dtype=np.uint8)
    for title, top in zip(titles, tops):
        sheet[top : top + height, :margin] = draw_text(
            sheet[top : top + height, :margin], title, (0.5, 0.5), caption_size
        )
    for title, left in zip(table.columns, lefts):
        size = fitting_size(title, caption_size, width)
        sheet[:head, left : left + width] = draw_text(sheet[:head, left : left + width], title, (0.5, 0.5), size)
    if table.bar_after is not None and 0 < table.bar_after < len(lefts):
        start = lefts[table.bar_after] - _GAP - _BAR_WIDTH
        sheet[head:-_GAP, start : start + _BAR_WIDTH] = _BAR
    return sheet, lefts, tops


def _wrapped(title: str, height: int, caption_size: int) -> str:
    """Lines of about a dozen letters, no more of them than there is room for."""
    room = max(1, int(height / (1.4 * caption_size)))
    for letters in range(11, 60, 4):
        lines = textwrap.wrap(title, letters, break_long_words=False)
        if len(lines) <= room:
            break
    return "\n".join(lines)


def _text_width(text: str, size: int) -> int:
    font = ImageFont.load_default(size)
    return max((round(font.getlength(line)) for line in text.split("\n")), default=0)
