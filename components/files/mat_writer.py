"""MATLAB files (format 5, `.mat`) of one array, for layouts that keep numbers in them."""

import struct
from pathlib import Path

import numpy as np

from components.files.atomic import atomic_path

# Names of the format: data types of elements, and the class of an array.
_INT8, _INT32, _UINT32, _DOUBLE, _MATRIX = 1, 5, 6, 9, 14
_DOUBLE_CLASS = 6


def write_mat(path: str | Path, name: str, array: np.ndarray) -> Path:
    """Write one array of doubles under a name, uncompressed, little endian; the file appears whole or not at all.

    Args:
        path: target, ends in `.mat`.
        name: of the variable: ASCII letters, digits and underscores.
        array: numbers of any shape; MATLAB knows no fewer than two dimensions, so `[N]` becomes `[1, N]`.

    Raises:
        ValueError: no such name can be given.
        InputError: the file cannot be written.
    """
    if not (name.isascii() and name.isidentifier()) or len(name) > 63:
        raise ValueError(f"'{name}' cannot be the name of a MATLAB variable")
    values = np.atleast_2d(np.asarray(array, dtype="<f8"))
    matrix = (
        _element(_UINT32, struct.pack("<II", _DOUBLE_CLASS, 0))
        + _element(_INT32, struct.pack(f"<{values.ndim}i", *values.shape))
        + _element(_INT8, name.encode("ascii"))
        + _element(_DOUBLE, values.tobytes(order="F"))
    )
    text = b"MATLAB 5.0 MAT-file, written by Troupe".ljust(116)
    header = text + bytes(8) + struct.pack("<H", 0x0100) + b"IM"
    with atomic_path(path) as temporary:
        temporary.write_bytes(header + _element(_MATRIX, matrix))
    return Path(path)


def _element(kind: int, content: bytes) -> bytes:
    """Tag, content, and zeros up to the next multiple of eight bytes."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)
