from pathlib import Path
from typing import Any

import pytest
import torch

from components.errors import InputError
from components.files.checkpoint_entry import CHECKPOINT_KEY, troupe_entry
from entrypoints.train import fit

SYSTEM = "tests.entrypoints.tiny.system"


def settings(resume: Path) -> dict[str, Any]:
    """A tiny run that goes on from a checkpoint."""
    return {
        "experiment": "tiny", "overrides": [], "seed": 1, "monitor": {"name": "val/loss", "mode": "min"},
        "resume": str(resume), "ckpt": None, "compile": False, "test": False, "callbacks": None, "logger": None,
        "model": {"_target_": f"{SYSTEM}.TinyModule", "width": 4,
                  "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True},
                  "scheduler": {"_target_": "torch.optim.lr_scheduler.ConstantLR", "_partial_": True}},
        "data": {"_target_": f"{SYSTEM}.TinyDataModule", "width": 4},
        "optimizer": {"_target_": "torch.optim.SGD", "_partial_": True},
        "trainer": {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 1, "max_epochs": 1,
                    "enable_progress_bar": False, "enable_model_summary": False, "fast_dev_run": False},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("system", "weights", "message"),
    [
        ("videowalk", {}, "checkpoint of 'videowalk', expected 'entrypoints'"),
        ("entrypoints", {"net.0.weight": torch.zeros(8, 5)}, "do not fit this model"),
    ],
)
def test_resuming_what_does_not_fit_is_bad_input(
    system: str, weights: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.ckpt"
    torch.save({"state_dict": weights, "epoch": 0, CHECKPOINT_KEY: troupe_entry(system, "other", {}, {})}, file)
    with pytest.raises(InputError, match=message) as caught:
        fit(settings(file), tmp_path / "run")
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": -1}, r"seed=-1: expected a whole number in 0\.\."),
        ({"optimizer": {"_target_": "torch.optim.SGD", "_partial_": True, "lr": -1.0}}, "optimizer: .*learning rate"),
    ],
)
def test_bad_numbers_end_the_run_before_anything_is_built(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        fit(settings(tmp_path / "none.ckpt") | changes, tmp_path / "run")
