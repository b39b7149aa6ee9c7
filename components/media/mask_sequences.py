"""A film whose frames have masks of ids: objects of DAVIS, body parts of VIP."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.errors import InputError
from components.media.frame_sequences import FrameSequence
from components.media.masks import read_mask

# Pixels nobody labelled.
VOID = 255


@dataclass(frozen=True)
class MaskSequence:
    """Frames and the files of their masks; None where a frame has none."""

    frames: FrameSequence
    masks: tuple[Path | None, ...]

    @property
    def name(self) -> str:
        """Of the film."""
        return self.frames.name

    def __len__(self) -> int:
        return len(self.frames)

    def ids(self, index: int) -> np.ndarray:
        """The mask of a frame, uint8 `[H, W]`.

        Raises:
            InputError: the frame has none, or it cannot be read or has another size than the frames.
        """
        path = self.masks[index]
        if path is None:
            raise InputError(f"{self.name}: frame {self.frames.frames[index].name} has no mask")
        return read_mask(path, self.frames.size).ids

    def first_ids(self) -> np.ndarray:
        """The mask of the first frame as propagation takes it: void is background. Errors as of `ids`."""
        ids = self.ids(0)
        return np.where(ids == VOID, 0, ids).astype(np.uint8)

    def annotated(self) -> list[int]:
        """Frames that have a mask."""
        return [index for index, path in enumerate(self.masks) if path is not None]


def late_objects(first_ids: np.ndarray, later: Iterable[Path], size: tuple[int, int] | None = None) -> str:
    """Which objects come into view only after the first frame, in words; empty where none does.

    Nothing tells what such objects look like, so no method can follow them.

    Args:
        first_ids: the mask of the first frame.
        later: files of other masks, in the order of time.
        size: (height, width) that they must have; None = any.

    Raises:
        InputError: one of the files cannot be read, holds no ids or has another size.
    """
    known = {*np.unique(first_ids).tolist(), 0, VOID}
    late: dict[int, str] = {}
    for path in later:
        for index in np.flatnonzero(np.bincount(read_mask(path, size).ids.ravel())).tolist():
            if index not in known:
                late.setdefault(index, path.name)
    return ", ".join(f"{index} (from {name} on)" for index, name in sorted(late.items()))


def fingerprint(files: Iterable[Path | None]) -> str:
    """Changes when a file does: a digest of names, sizes and times.

    Raises:
        InputError: a file is gone.
    """
    digest = hashlib.sha256()
    for path in files:
        try:
            status = None if path is None else path.stat()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        known = "-" if path is None or status is None else f"{path.name} {status.st_size} {status.st_mtime_ns}"
        digest.update(f"{known}\n".encode())
    return digest.hexdigest()[:16]
