"""Wavefront OBJ: one file for each frame of a motion, for programs that read nothing else."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from components.errors import InputError


def write_obj_sequence(folder: str | Path, frames: Iterable[np.ndarray], faces: np.ndarray) -> int:
    """Write `frame_0000.obj`, ... as the frames come; only one is in memory.

    Args:
        folder: made if it is missing.
        frames: `[V, 3]` vertices each, metres, y up.
        faces: `[F, 3]` vertex indices from 0.

    Returns:
        How many files were written.

    Raises:
        InputError: a file cannot be written.
    """
    folder = Path(folder)
    corners = "".join(f"f {a} {b} {c}\n" for a, b, c in (faces + 1).tolist())
    count = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for count, vertices in enumerate(frames, start=1):
            points = "".join(f"v {x:.5f} {y:.5f} {z:.5f}\n" for x, y, z in vertices.tolist())
            (folder / f"frame_{count - 1:04d}.obj").write_text(points + corners, encoding="ascii")
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}.\nFree some space") from error
    return count
