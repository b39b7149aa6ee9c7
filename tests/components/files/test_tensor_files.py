import argparse
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.files.tensor_files import Options, read_tensors

CONTENT = {"model": {"weight": torch.arange(6.0), "bias": torch.ones(2)}, "args": argparse.Namespace(temp=0.07)}


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_and_options(tmp_path: Path, zipped: bool) -> None:
    """Files of today, and of before torch 1.6."""
    torch.save(CONTENT, tmp_path / "file.pth", _use_new_zipfile_serialization=zipped)
    content = read_tensors(tmp_path / "file.pth", "weights")
    assert content["model"]["weight"].tolist() == [0, 1, 2, 3, 4, 5]
    assert isinstance(content["args"], Options)
    assert content["args"].values == {"temp": 0.07}


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_of_any_kind_is_the_files(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "file.pth"
    torch.save(CONTENT, path, _use_new_zipfile_serialization=zipped)
    whole, chance, refused = path.read_bytes(), random.Random(0), []
    for number in range(150):
        damaged = bytearray(whole)
        for _ in range(number % 4):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged[: len(damaged) if number % 4 else chance.randrange(len(damaged))])
        try:
            read_tensors(path, "weights of a test")
        except InputError as error:
            refused.append(str(error))
    assert len(refused) > 50
    for message in refused:
        assert message.startswith(f"checkpoint={path} ")
        assert message.endswith("\nExpected weights of a test")
        assert len(message.splitlines()) == 2


def test_single_numbers_of_numpy_are_read(tmp_path: Path) -> None:
    facts = {"best_score": np.float64(0.9), "epoch": np.int64(3), "done": np.bool_(True)}
    torch.save({"meta": facts}, tmp_path / "file.pth")
    assert read_tensors(tmp_path / "file.pth", "weights") == {"meta": facts}
    torch.save({"meta": np.array([{"a": 1}], dtype=object)}, tmp_path / "file.pth")
    with pytest.raises(InputError, match="is refused"):
        read_tensors(tmp_path / "file.pth", "weights")


def test_code_is_refused(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"model": Hostile()}, tmp_path / "file.pth")
    with pytest.raises(InputError, match="is refused: it holds more than tensors and plain data"):
        read_tensors(tmp_path / "file.pth", "weights")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="does not exist; expected weights"):
        read_tensors(tmp_path / "gone.pth", "weights")
