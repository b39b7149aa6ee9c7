"""Reads numeric arrays of MATLAB files (format 5, `.mat`), without trusting them: sizes are held against the file.

Other variables (text, cells, structures, sparse matrices, objects) are passed over. Files of MATLAB 7.3 are HDF5, and
those of version 4 have no header; both are refused by name.
Source: MathWorks, "MAT-File Format".
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from components.errors import InputError

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Element types that hold numbers, and the array classes that are plain numbers.
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_COMPLEX_FLAG = 0x0800
# More than any file of joints; what unpacks to more is no such file.
_MAX_UNPACKED = 1 << 28


class _Broken(Exception):
    """What is wrong with the file."""


def read_mat(path: str | Path) -> dict[str, np.ndarray]:
    """The numeric variables of a file by name, each with at least two dimensions, in native byte order.

    Raises:
        InputError: no such file, another format, truncated or damaged.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
        order = _byte_order(content)
        return dict(_variables(content[_HEADER:], order))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a MATLAB file (.mat)") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (_Broken, zlib.error, struct.error, ValueError) as error:
        raise InputError(
            f"{path}: not a readable MATLAB file of format 5 ({error}).\n"
            "Write it anew with save('-v7') or scipy.io.savemat"
        ) from error


def _byte_order(content: bytes) -> str:
    if content.startswith(b"\x89HDF") or content[:10] == b"MATLAB 7.3":
        raise _Broken("it is of version 7.3")
    orders = {b"IM": "<", b"MI": ">"}
    order = orders.get(content[126:128])
    if order is None:
        raise _Broken("no header of that format")
    return order


def _variables(content: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    """All numeric variables among the elements; what is compressed is unpacked one element at a time."""
    for kind, data in _elements(content, order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(data, _MAX_UNPACKED)
            if not unpacker.eof:
                raise _Broken("a compressed variable is cut off or too large")
            for inner_kind, inner in _elements(unpacked, order):
                if inner_kind == _MATRIX:
                    yield from _matrix(inner, order)
        elif kind == _MATRIX:
            yield from _matrix(data, order)


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of every element; content of up to four bytes lies inside the tag."""
    place = 0
    while place + 8 <= len(content):
        word, size = struct.unpack_from(f"{order}II", content, place)
        if word >> 16:
            kind, size, start, end = word & 0xFFFF, word >> 16, place + 4, place + 8
            if size > 4:
                raise _Broken(f"a short element of {size} bytes")
        else:
            kind, start = word, place + 8
            # Compressed elements alone are not filled up to eight bytes.
            end = start + size + (0 if kind == _COMPRESSED else -size % 8)
        if start + size > len(content):
            raise _Broken(f"cut off: an element of {size} bytes, and {len(content) - start} are left")
        yield kind, content[start : start + size]
        place = end


def _matrix(data: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of a matrix element; nothing where it is no plain array of real numbers."""
    parts = list(_elements(data, order))
    if len(parts) < 4:
        return
    (_, flags), (_, sizes), (_, name), (kind, numbers) = parts[:4]
    word = struct.unpack_from(f"{order}I", flags)[0]
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if word & 0xFF not in _CLASSES or word & _COMPLEX_FLAG:
        return
    if kind not in _NUMBERS or any(side < 0 for side in shape):
        raise _Broken(f"variable of shape {list(shape)} with elements of type {kind}")
    # MATLAB stores small whole numbers in the smallest type that holds them.
    stored = np.frombuffer(numbers, dtype=f"{order}{_NUMBERS[kind]}")
    if stored.size != math.prod(shape):
        raise _Broken(f"variable of shape {list(shape)} with {stored.size} numbers")
    array = stored.astype(_CLASSES[word & 0xFF]).reshape(shape, order="F")
    yield name.decode("ascii", errors="replace"), array
