"""A film as a sequence of frames that are read one at a time, from a folder of pictures."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from components.errors import InputError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
# What Pillow raises for files that are no pictures, are damaged, or claim to be larger than memory.
NO_PICTURE = (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError)
_LISTED = 3


class Frames(Protocol):
    """What every sequence of frames offers, whatever it is read from."""

    @property
    def name(self) -> str:
        """How results are called."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every frame, pixels."""

    def __len__(self) -> int:
        """Number of frames."""

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, RGB uint8 `[H, W, 3]`."""


@dataclass(frozen=True)
class FrameSequence:
    """Picture files in the order of time.

    Attributes:
        name: how results are called.
        frames: the files; at least one.
        expected_size: (height, width) that `read` insists on; None = that of the first frame, looked up when asked for.
    """

    name: str
    frames: tuple[Path, ...]
    expected_size: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every frame, pixels."""
        return self.expected_size or _header_size(self.frames[0])

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, RGB uint8 `[H, W, 3]`.

        Raises:
            InputError: the file is broken or has another size than the first one.
        """
        path = self.frames[index]
        picture = read_picture(path)
        if self.expected_size is not None and picture.shape[:2] != self.expected_size:
            raise _other_size(path, picture.shape[:2], self.frames[0], self.expected_size)
        return picture


class RecentFrames:
    """A sequence that keeps the frames read last, for two who read it one shortly behind the other.

    Args:
        sequence: the film.
        kept: number of frames in memory.
    """

    def __init__(self, sequence: Frames, kept: int = 8) -> None:
        self.sequence, self.kept = sequence, kept
        self.name, self.size = sequence.name, sequence.size
        self._recent: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.sequence)

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, RGB uint8 `[H, W, 3]`.

        Raises:
            InputError: as of the sequence, or the frame has another size than the first one.
        """
        if index not in self._recent:
            picture = self.sequence.read(index)
            if picture.shape[:2] != self.size:
                raise InputError(
                    f"{self.name}: frame {index} is {picture.shape[1]} x {picture.shape[0]} pixels, the first one is "
                    f"{self.size[1]} x {self.size[0]}.\nExpected frames of one size; cut the film where it changes."
                )
            while len(self._recent) >= self.kept:
                del self._recent[next(iter(self._recent))]
            self._recent[index] = picture
        return self._recent[index]


def open_frames(folder: str | Path, name: str | None = None) -> FrameSequence:
    """The pictures of a folder, sorted by the (last) number in their names; other files are left aside.

    Only headers are read.

    Args:
        folder: holds the frames of one film.
        name: how results are called; None = the folder's name.

    Raises:
        InputError: no such folder, no pictures, names without a number or with the same one, or mixed sizes.
    """
    frames = frame_files(folder)
    size = _header_size(frames[0])
    for path in frames[1:]:
        other = _header_size(path)
        if other != size:
            raise _other_size(path, other, frames[0], size)
    return FrameSequence(name or Path(folder).resolve().name, frames, size)


def frame_files(folder: str | Path) -> tuple[Path, ...]:
    """The pictures of a folder in the order of time, see `open_frames`; no file is opened.

    Raises:
        InputError: no such folder, no pictures, names without a number or with the same one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"frames {folder}: no such folder.\nGive a folder of pictures named by number (00000.jpg ...)."
        )
    pictures = sorted(
        path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )
    if not pictures:
        raise InputError(
            f"frames {folder}: no pictures in it ({', '.join(suffix[1:] for suffix in PICTURE_SUFFIXES)}).\n"
            "Give the folder that holds the frames themselves, named by number (00000.jpg, 00001.jpg ...)."
        )
    return tuple(_by_number(folder, pictures))


def read_picture(path: str | Path) -> np.ndarray:
    """A picture file as RGB uint8 `[H, W, 3]`.

    Raises:
        InputError: missing, broken, or too large to be a frame.
    """
    with _opened(path) as picture:
        try:
            return np.array(picture.convert("RGB"))
        except NO_PICTURE as error:
            raise _unreadable(path, error) from error


def _by_number(folder: Path, pictures: Sequence[Path]) -> list[Path]:
    numbers = {path: re.findall(r"\d+", path.stem) for path in pictures}
    nameless = [path.name for path, found in numbers.items() if not found]
    if nameless:
        raise InputError(
            f"frames {folder}: {_listing(nameless)} without a number in the name, so their order is not known.\n"
            "Name the frames by number (00000.jpg, 00001.jpg ...) and keep other pictures elsewhere."
        )
    by_number: dict[int, Path] = {}
    for path, found in numbers.items():
        number = int(found[-1])
        if number in by_number:
            raise InputError(
                f"frames {folder}: {by_number[number].name} and {path.name} have the same number.\n"
                "Expected one picture per frame; keep masks and other pictures in a folder of their own."
            )
        by_number[number] = path
    return [by_number[number] for number in sorted(by_number)]


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _header_size(path: Path) -> tuple[int, int]:
    with _opened(path) as picture:
        return picture.height, picture.width


def _opened(path: str | Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path)
    except NO_PICTURE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str | Path, error: Exception) -> InputError:
    return InputError(f"frame {path}: cannot be read as a picture ({error}).\nRemove it or write it anew.")


def _other_size(path: Path, size: Sequence[int], first: Path, expected: Sequence[int]) -> InputError:
    return InputError(
        f"frame {path}: is {size[1]} x {size[0]} pixels, {first.name} is {expected[1]} x {expected[0]}.\n"
        "Expected frames of one size; put each film into a folder of its own."
    )
