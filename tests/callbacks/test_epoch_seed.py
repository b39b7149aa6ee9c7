import random
from pathlib import Path

import numpy as np
import pytest
import torch

from callbacks.checkpoints import LastCheckpoint
from callbacks.epoch_seed import EpochSeed, seed_global_generators
from tests.callbacks.tiny import fit


def draw() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_each_part_of_the_key_gives_another_stream() -> None:
    drawn = set()
    for key in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0)]:
        seed_global_generators(*key)
        drawn.update(draw())
    assert len(drawn) == 15  # the sixth key repeats the first


@pytest.mark.parametrize("seed", [0, 7])
def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path: Path, seed: int) -> None:
    """Dropout draws from the global generator; three batches an epoch; the process state is disturbed in between."""
    whole, _ = fit(tmp_path / "whole", [EpochSeed(seed)], max_epochs=4)
    fit(tmp_path / "cut", [EpochSeed(seed), LastCheckpoint(str(tmp_path))], max_epochs=2)
    torch.rand(17)
    rest, _ = fit(tmp_path / "cut", [EpochSeed(seed)], max_epochs=4, ckpt_path=str(tmp_path / "last.ckpt"))
    assert rest.losses == whole.losses[6:]
    assert rest.noise[-4:] == whole.noise[-4:]


def test_without_the_callback_it_would_not(tmp_path: Path) -> None:
    whole, _ = fit(tmp_path / "whole", [], max_epochs=4)
    fit(tmp_path / "cut", [LastCheckpoint(str(tmp_path))], max_epochs=2)
    torch.rand(17)
    rest, _ = fit(tmp_path / "cut", [], max_epochs=4, ckpt_path=str(tmp_path / "last.ckpt"))
    assert rest.losses != whole.losses[6:]


def test_validation_does_not_change_training(tmp_path: Path) -> None:
    often, _ = fit(tmp_path, [EpochSeed(3)], max_epochs=2, val_check_interval=1)
    rarely, _ = fit(tmp_path, [EpochSeed(3)], max_epochs=2, limit_val_batches=0)
    assert often.losses == rarely.losses


def test_another_seed_trains_differently(tmp_path: Path) -> None:
    first, _ = fit(tmp_path, [EpochSeed(1)])
    second, _ = fit(tmp_path, [EpochSeed(2)])
    assert first.losses != second.losses
