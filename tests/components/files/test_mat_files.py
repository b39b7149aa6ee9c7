import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from components.errors import InputError
from components.files.mat_files import read_mat
from components.files.mat_writer import write_mat

HEADER = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8)


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    if len(content) <= 4 and kind != 14:
        return struct.pack(f"{order}I", len(content) << 16 | kind) + content.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(name: str, array: np.ndarray, kind: int, order: str = "<", array_class: int = 6) -> bytes:
    shape = struct.pack(f"{order}{array.ndim}i", *array.shape)
    flags = struct.pack(f"{order}II", array_class, 0)
    numbers = element(kind, array.tobytes(order="F"), order)
    return element(14, element(6, flags, order) + element(5, shape, order) + element(1, name.encode(), order) + numbers)


def file_of(path: Path, *elements: bytes, order: str = "<") -> Path:
    marks = {"<": b"\x00\x01IM", ">": b"\x01\x00MI"}
    path.write_bytes(HEADER + marks[order] + b"".join(elements))
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    joints = np.random.default_rng(0).random((2, 15, 7))
    np.testing.assert_array_equal(read_mat(write_mat(tmp_path / "j.mat", "pos_img", joints))["pos_img"], joints)


def test_compressed_variables_in_small_types_beside_others(tmp_path: Path) -> None:
    numbers = np.arange(24, dtype="<u1").reshape(2, 3, 4)
    tiny = np.array([[7]], dtype="<u1")
    text = matrix("viewpoint", np.array([[83, 87]], dtype="<u2"), 4, array_class=4)
    packed = zlib.compress(matrix("pos_img", numbers, 2))
    file = file_of(tmp_path / "a.mat", text, struct.pack("<II", 15, len(packed)) + packed, matrix("scale", tiny, 2))
    found = read_mat(file)
    assert sorted(found) == ["pos_img", "scale"]
    assert found["pos_img"].dtype == np.float64
    np.testing.assert_array_equal(found["pos_img"], numbers)
    assert found["scale"].tolist() == [[7]]


def test_big_endian_files(tmp_path: Path) -> None:
    numbers = np.array([[1.5, -2.5]], dtype=">f8")
    big = matrix("x", numbers, 9, ">")
    big = struct.pack(">II", 14, len(big) - 8) + big[8:]
    assert read_mat(file_of(tmp_path / "b.mat", big, order=">"))["x"].tolist() == [[1.5, -2.5]]


@pytest.mark.parametrize("cut", [1, 64, 140, 200, -8])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    file = write_mat(tmp_path / "j.mat", "pos_img", np.zeros((2, 15, 7)))
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"j\.mat.*format 5"):
        read_mat(file)


def test_forged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    forged = matrix("x", np.zeros((2, 2), dtype="<f8"), 9).replace(struct.pack("<2i", 2, 2), struct.pack("<2i", 9, 9))
    with pytest.raises(InputError, match=r"\[9, 9\] with 4 numbers"):
        read_mat(file_of(tmp_path / "a.mat", forged))
    packed = zlib.compress(matrix("x", np.zeros((9, 9), dtype="<f8"), 9))[:-6]
    with pytest.raises(InputError, match="cut off"):
        read_mat(file_of(tmp_path / "b.mat", struct.pack("<II", 15, len(packed)) + packed))
    (tmp_path / "c.mat").write_bytes(b"\x89HDF" + bytes(300))
    with pytest.raises(InputError, match=r"version 7\.3"):
        read_mat(tmp_path / "c.mat")
    with pytest.raises(InputError, match="no such file"):
        read_mat(tmp_path / "none.mat")
