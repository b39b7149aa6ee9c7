import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from lightning.pytorch import LightningDataModule

from callbacks.checkpoints import BestCheckpoint
from callbacks.divergence_guard import DivergenceGuard, TrainingDiverged
from callbacks.run_card import end_run_card, process_is_gone, read_run_card, start_run_card, update_run_card
from callbacks.run_report import RunReport
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, fit, loader, trainer


class TinyData(LightningDataModule):
    def train_dataloader(self) -> object:
        return loader()

    def val_dataloader(self) -> object:
        return loader(8, 1)

    def facts(self) -> dict:
        return {"clips": np.int64(12), "fps": 20.0, "splits": ("train", "val")}


def card_of(folder: Path) -> dict:
    card = read_run_card(folder)
    assert card is not None
    return card


def test_the_trainers_facts_are_written(tmp_path: Path) -> None:
    start_run_card(tmp_path, experiment="tiny", seed=3)
    best = BestCheckpoint(str(tmp_path / "checkpoints"), monitor="val/loss")
    runner = trainer(tmp_path, [RunReport(str(tmp_path)), best], max_epochs=3, accumulate_grad_batches=3)
    runner.fit(TinyModule(), datamodule=TinyData())
    end_run_card(tmp_path, "finished")
    card = card_of(tmp_path)
    expected = {
        "status": "finished", "experiment": "tiny", "seed": 3, "max_epochs": 3, "epochs": 3, "steps": 3,
        "batch_per_process": 4, "accumulate_grad_batches": 3, "effective_batch": 12, "world_size": 1,
        "batches_per_epoch": 3, "parameters": 21, "facts": {"clips": 12, "fps": 20.0, "splits": ["train", "val"]},
    }  # fmt: skip
    assert {key: card[key] for key in expected} == expected
    assert card["samples_per_second"] > 0
    assert card["best_score"] == pytest.approx(float(best.best_model_score))
    assert card["seconds"] >= 0


def test_a_failure_leaves_how_far_it_came(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged):
        fit(tmp_path, [RunReport(str(tmp_path)), DivergenceGuard(1)], module=TinyModule(bad_step=4))
    assert card_of(tmp_path)["steps"] == 5


def test_what_data_say_of_themselves_is_not_said_twice(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class BrokenData(TinyData):
        def facts(self) -> dict:
            raise InputError("no clip there")

    with pytest.raises(InputError, match="no clip there"):
        trainer(tmp_path, [RunReport(str(tmp_path))]).fit(TinyModule(), datamodule=BrokenData())
    assert "no clip there" not in caplog.text


def test_fast_dev_run(tmp_path: Path) -> None:
    fit(tmp_path, [RunReport(str(tmp_path))], fast_dev_run=True)
    assert card_of(tmp_path)["steps"] == 1


def test_a_card_is_merged_and_counts_resumes(tmp_path: Path) -> None:
    assert start_run_card(tmp_path, seed=1)["resumed"] == 0
    update_run_card(tmp_path, {"steps": 5})
    end_run_card(tmp_path, "failed", ValueError("first line\nsecond line"))
    assert card_of(tmp_path)["error"] == "ValueError: first line"
    card = start_run_card(tmp_path)
    assert (card["status"], card["error"], card["resumed"], card["steps"], card["seed"]) == ("running", None, 1, 5, 1)


def test_a_torn_card_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "run')
    assert read_run_card(tmp_path) is None
    assert update_run_card(tmp_path, {"status": "failed"}) == {"status": "failed"}


def test_a_killed_process_is_noticed(tmp_path: Path) -> None:
    card = start_run_card(tmp_path)
    assert card["pid"] == os.getpid()
    assert not process_is_gone(card)
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    assert process_is_gone(card | {"pid": child.pid})
    assert not process_is_gone(card | {"pid": child.pid, "status": "finished"})
    assert not process_is_gone(card | {"pid": child.pid, "host": "elsewhere"})
