import struct
from pathlib import Path

import numpy as np
import pytest

from components.files.mat_writer import write_mat


def test_bytes_of_the_format(tmp_path: Path) -> None:
    """Against the published description of level 5 MAT-files, element by element."""
    data = write_mat(tmp_path / "a.mat", "pos_img", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).read_bytes()
    assert data[:19] == b"MATLAB 5.0 MAT-file"
    assert data[124:128] == b"\x00\x01IM"  # version 1, read as little endian
    kind, size = struct.unpack_from("<II", data, 128)
    assert (kind, size) == (14, len(data) - 136)
    assert struct.unpack_from("<IIII", data, 136) == (6, 8, 6, 0)  # flags: an array of doubles
    assert struct.unpack_from("<IIii", data, 152) == (5, 8, 2, 3)
    assert struct.unpack_from("<II8s", data, 168) == (1, 7, b"pos_img\0")
    assert struct.unpack_from("<II6d", data, 184) == (9, 48, 1.0, 4.0, 2.0, 5.0, 3.0, 6.0)  # column by column
    assert len(data) == 240


@pytest.mark.parametrize("name", ["", "two words", "größe", "x" * 64])
def test_names_that_matlab_does_not_know(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="MATLAB variable"):
        write_mat(tmp_path / "a.mat", name, np.zeros(3))
    assert list(tmp_path.iterdir()) == []
