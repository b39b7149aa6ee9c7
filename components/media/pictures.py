"""PNG and GIF files, grids with captions, film strips, text."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from components.files.atomic import atomic_path
from components.media.frames import Frames, as_array, as_film, as_picture, evenly_spaced

Rgb = tuple[int, int, int]
_PAPER: Rgb = (255, 255, 255)
_INK: Rgb = (45, 50, 60)
# Players show gifs no faster.
_GIF_FPS = 50.0


def write_png(path: str | Path, image: Frames) -> Path:
    """Write a picture `[H, W, 3]` losslessly; the file appears whole or not at all.

    Raises:
        ValueError: wrong type or shape.
        InputError: the file cannot be written.
    """
    picture = Image.fromarray(as_picture(image))
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
    return Path(path)


def gif_pace(fps: float) -> tuple[int, float]:
    """For a film of any frame rate: every how many frames go into a gif, and its frames per second."""
    step = math.ceil(fps / _GIF_FPS)
    return step, fps / step


def write_gif(path: str | Path, frames: Frames, fps: float, colors: int = 256) -> Path:
    """Write an endless GIF with one palette for the whole film, so that still parts do not flicker.

    Args:
        path: target; appears whole or not at all.
        frames: uint8 `[T, H, W, 3]`.
        fps: frames per second, at most 50; see `gif_pace`.
        colors: size of the palette, 2 to 256.

    Raises:
        ValueError: wrong type or shape, or fps outside (0, 50].
        InputError: the file cannot be written.
    """
    if not 0 < fps <= _GIF_FPS:
        raise ValueError(f"fps of a gif must lie in (0, {_GIF_FPS:g}], got {fps}")
    film = as_film(frames)
    sample = film[evenly_spaced(len(film), 12), ::2, ::2]
    sheet = Image.fromarray(sample.reshape(-1, sample.shape[2], 3))
    palette = sheet.quantize(colors=colors, method=Image.Quantize.MEDIANCUT, kmeans=1)
    pages = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in film]
    # Times are whole hundredths of a second: round the ends of the frames, not their lengths, to keep the total.
    ends = np.round(np.arange(len(film) + 1) * 100 / fps).astype(int)
    with atomic_path(path) as temporary:
        pages[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=pages[1:],
            duration=[int(10 * length) for length in np.diff(ends)],
            loop=0,
            optimize=False,
        )
    return Path(path)


def draw_text(
    image: Frames,
    text: str,
    position: tuple[float, float] = (0.5, 0.0),
    size: int = 16,
    color: Rgb = _INK,
    plate: Rgb | None = None,
) -> np.ndarray:
    """Write text onto a picture, or the same onto every frame of a film.

    Args:
        image: uint8 `[H, W, 3]` or `[T, H, W, 3]`; not changed.
        text: may hold line breaks.
        position: where the text stands in the free space, 0 to 1 from left and from top: (0, 0) is the upper left
            corner, (0.5, 1) the middle of the lower edge.
        size: height of the letters, pixels.
        color: of the letters.
        plate: colour of a plate behind the text; None = none.

    Returns:
        A copy with the text, numpy uint8 of the same shape.
    """
    frames = as_film(image, "image").copy()
    height, width = frames.shape[1:3]
    font = ImageFont.load_default(size)
    margin = max(2, size // 3)
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=font)
    x = margin + position[0] * max(0, width - 2 * margin - (right - left))
    y = margin + position[1] * max(0, height - 2 * margin - (bottom - top))
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).multiline_text((x - left, y - top), text, fill=255, font=font, align="center")
    if plate is not None:
        box = [x - margin, y - margin, x + right - left + margin, y + bottom - top + margin]
        ground = Image.new("L", (width, height))
        ImageDraw.Draw(ground).rounded_rectangle(box, radius=margin, fill=255)
        frames = _blend(frames, ground, plate)
    frames = _blend(frames, mask, color)
    return frames if as_array(image, "image").ndim == 4 else frames[0]


def image_grid(
    images: Sequence[Frames] | Frames,
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    title: str | None = None,
    gap: int = 6,
    caption_size: int = 15,
    paper: Rgb = _PAPER,
) -> np.ndarray:
    """Pictures in rows and columns with a line of text under each.

    Args:
        images: N pictures `[H, W, 3]`, or N films `[T, H, W, 3]` (then the result is a film; shorter ones hold their
            last frame). Smaller ones are centred in their cell.
        columns: None = a grid about as wide as high.
        captions: one per picture; a caption that is too wide is set smaller.
        title: a line above the grid.
        gap: pixels between the cells and round the grid.
        caption_size: height of the letters, pixels.
        paper: background.

    Returns:
        numpy uint8 `[H, W, 3]`, or `[T, H, W, 3]` for films.

    Raises:
        ValueError: no pictures, or another number of captions than of pictures.
    """
    arrays = [as_array(image, "images") for image in images]
    if not arrays:
        raise ValueError("a grid needs at least one picture")
    if captions is not None and len(captions) != len(arrays):
        raise ValueError(f"{len(arrays)} pictures but {len(captions)} captions")
    is_film = any(array.ndim == 4 for array in arrays)
    films = [as_film(array, "images") for array in arrays]
    frames = max(len(film) for film in films)
    cell_height, cell_width = max(film.shape[1] for film in films), max(film.shape[2] for film in films)
    columns = columns or int(np.ceil(np.sqrt(len(films) * cell_height / cell_width)))
    columns = max(1, min(columns, len(films)))
    rows = -(-len(films) // columns)
    strip = round(1.7 * caption_size) if captions is not None else 0
    head = round(2.4 * caption_size) if title else 0

    height, width = head + gap + rows * (cell_height + strip + gap), gap + columns * (cell_width + gap)
    sheet = np.empty((height, width, 3), dtype=np.uint8)
    sheet[:] = paper
    if title:
        sheet[:head] = draw_text(sheet[:head], title, (0.5, 0.6), fitting_size(title, round(1.3 * caption_size), width))
    for index in range(len(films) if captions is not None else 0):
        caption = captions[index] if captions is not None else ""
        y = head + gap + (index // columns) * (cell_height + strip + gap) + cell_height
        x = gap + (index % columns) * (cell_width + gap)
        label = draw_text(
            sheet[y : y + strip, x : x + cell_width],
            caption,
            (0.5, 0.5),
            fitting_size(caption, caption_size, cell_width),
        )
        sheet[y : y + strip, x : x + cell_width] = label
    result = np.repeat(sheet[None], frames, axis=0)
    for index, film in enumerate(films):
        y = head + gap + (index // columns) * (cell_height + strip + gap) + (cell_height - film.shape[1]) // 2
        x = gap + (index % columns) * (cell_width + gap) + (cell_width - film.shape[2]) // 2
        held = film[np.minimum(np.arange(frames), len(film) - 1)]
        result[:, y : y + film.shape[1], x : x + film.shape[2]] = held
    return result if is_film else result[0]


def film_strip(frames: Frames, count: int = 8, caption: str | None = None, fps: float | None = None) -> np.ndarray:
    """Moments of a film side by side, first and last included.

    Args:
        frames: uint8 `[T, H, W, 3]`.
        count: number of moments.
        caption: a line under the strip.
        fps: writes the time of each moment into its corner.

    Returns:
        numpy uint8 `[H', W', 3]`.
    """
    film = as_film(frames)
    chosen = evenly_spaced(len(film), count)
    moments = [film[index] for index in chosen]
    if fps is not None:
        letters = max(10, film.shape[1] // 20)
        moments = [
            draw_text(moment, f"{index / fps:.1f} s", (0.0, 1.0), letters)
            for index, moment in zip(chosen, moments, strict=True)
        ]
    strip = np.concatenate(moments, axis=1)
    return (
        strip if caption is None else image_grid([strip], 1, [caption], gap=0, caption_size=max(14, len(strip) // 14))
    )


def fitting_size(text: str, size: int, width: int) -> int:
    """The largest letter height up to `size` at which the text is no wider than `width`."""
    while size > 7 and ImageFont.load_default(size).getlength(text) > width - 2 * max(2, size // 3):
        size -= 1
    return size


def _blend(frames: np.ndarray, mask: Image.Image, color: Rgb) -> np.ndarray:
    """Paint a colour through a mask onto `[T, H, W, 3]`; only the box that the mask touches is computed."""
    box = mask.getbbox()
    if box is None:
        return frames
    x0, y0, x1, y1 = box
    weight = np.asarray(mask, dtype=np.float32)[y0:y1, x0:x1, None] / 255
    part = frames[:, y0:y1, x0:x1]
    frames[:, y0:y1, x0:x1] = np.round(part + (np.asarray(color, dtype=np.float32) - part) * weight).astype(np.uint8)
    return frames
