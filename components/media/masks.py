"""Masks of several objects as indexed pictures: the pixel value is the object's id, the colour is only for the eye."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from components.errors import InputError
from components.files.atomic import atomic_path
from components.media.frame_sequences import NO_PICTURE

# Ids that DAVIS gives a colour of its own; from here on its palette is grey.
_COLOURED = 22
_READABLE = ("P", "L", "1")
# What compresses by leaving details out; WebP does so as a rule.
_LOSSY = ("JPEG", "JPEG2000", "WEBP", "AVIF")


class IndexedMask(NamedTuple):
    """Which object every pixel belongs to."""

    ids: np.ndarray  # height width, uint8; 0 is background
    palette: np.ndarray | None  # 256 3, uint8; None where the file is grey


def davis_palette() -> np.ndarray:
    """The colours of the DAVIS annotations, uint8 `[256, 3]`: three bits of the id per channel, then greys."""
    palette = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    ids = np.arange(_COLOURED)[:, None] >> np.arange(3)  # the bit of each channel comes to the right
    palette[:_COLOURED] = 128 * (ids & 1) + 64 * (ids >> 3 & 1)
    palette[:_COLOURED][palette[:_COLOURED] == 192] = 191  # so it stands in the files
    return palette


def read_mask(path: str | Path, size: tuple[int, int] | None = None) -> IndexedMask:
    """Read ids from an indexed PNG (mode P), or from a grey one of 8 bits whose grey values are the ids.

    Args:
        path: the file.
        size: (height, width) that it must have; None = any.

    Raises:
        InputError: no such file, no picture, colours instead of ids, more than 8 bits, or another size.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"mask {path}: no such file.\nGive an indexed PNG whose pixel values are object ids.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                mode, lossy = picture.mode, picture.format in _LOSSY
                if mode in _READABLE:
                    # `convert` would map a palette to brightness; the array of a mode P picture holds the indices.
                    ids = np.array(picture, dtype=np.uint8)
                    palette = _palette_of(picture)
    except NO_PICTURE as error:
        raise InputError(
            f"mask {path}: cannot be read as a picture ({error}).\nGive an indexed PNG whose values are object ids."
        ) from error
    if lossy:
        raise InputError(
            f"mask {path}: is a {path.suffix.lstrip('.').upper() or 'JPEG'} picture, whose values are not exact.\n"
            "Give an indexed PNG whose values are object ids."
        )
    if mode not in _READABLE:
        kind = "16-bit or float" if mode[0] in "IF" else f"colour ({mode})"
        raise InputError(
            f"mask {path}: is a {kind} picture; expected an indexed PNG (mode P, or 8-bit grey) whose values are ids.\n"
            "Colours do not say which object is which: save it as a palette PNG of at most 254 objects."
        )
    if size is not None and ids.shape != tuple(size):
        raise InputError(
            f"mask {path}: is {ids.shape[1]} x {ids.shape[0]} pixels, the frames are {size[1]} x {size[0]}.\n"
            "Expected a mask of the very size of the first frame; resize it with nearest-neighbour sampling."
        )
    return IndexedMask(ids, palette)


def write_mask(path: str | Path, ids: np.ndarray, palette: np.ndarray | None = None) -> Path:
    """Write ids as an indexed PNG (mode P); the file appears whole or not at all.

    Args:
        path: target, ends in `.png`.
        ids: uint8 `[H, W]`.
        palette: uint8 `[256, 3]`; None = `davis_palette()`.

    Raises:
        ValueError: wrong type or shape.
        InputError: the file cannot be written.
    """
    if ids.dtype != np.uint8 or ids.ndim != 2 or 0 in ids.shape:
        raise ValueError(f"ids must be uint8 [H, W] and not empty, got {ids.dtype} {list(ids.shape)}")
    colours = davis_palette() if palette is None else palette
    if colours.dtype != np.uint8 or colours.shape != (256, 3):
        raise ValueError(f"palette must be uint8 [256, 3], got {colours.dtype} {list(colours.shape)}")
    picture = Image.fromarray(np.ascontiguousarray(ids))
    picture.putpalette(colours.tobytes())  # turns the grey picture into mode P
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG")
    return Path(path)


def _palette_of(picture: Image.Image) -> np.ndarray | None:
    """`[256, 3]`, short palettes filled up with the DAVIS colours."""
    flat = picture.getpalette("RGB") if picture.mode == "P" else None
    if flat is None:
        return None
    palette = davis_palette()
    palette[: len(flat) // 3] = np.asarray(flat, dtype=np.uint8).reshape(-1, 3)
    return palette
