import logging
from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule

from callbacks.run_card import read_run_card
from callbacks.run_size import RunSize, describe, differences
from components.errors import InputError
from tests.callbacks.tiny import TinyModule, loader, trainer


class Repeated(LightningDataModule):
    repeat = 10

    def train_dataloader(self) -> object:
        return loader()

    def val_dataloader(self) -> object:
        return loader(8, 1)


def start(folder: Path, reported: dict | None) -> dict:
    runner = trainer(folder, [RunSize(str(folder), reported)], max_epochs=2, accumulate_grad_batches=3)
    runner.fit(TinyModule(), datamodule=Repeated())
    card = read_run_card(folder)
    assert card is not None
    return card


def test_size_of_the_run_is_told_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        card = start(tmp_path, None)
    assert "effective batch 12 (4 x 1 device x 3 accumulated), 10 repeats x 2 epochs, 2 steps" in caplog.text
    assert {key: card[key] for key in ("effective_batch", "repeat", "planned_steps")} == {
        "effective_batch": 12, "repeat": 10, "planned_steps": 2,
    }  # fmt: skip
    assert "reported" not in card
    assert "published" not in caplog.text


def test_differences_to_the_published_run_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reported = {"top1": 92.3, "effective_batch": 64, "repeat": 10, "epochs": None}
    card = start(tmp_path, reported)
    assert [record.levelname for record in caplog.records if "published" in record.message] == ["WARNING"]
    assert "effective batch is 12, and 64 in the published run" in caplog.text
    assert "trainer.accumulate_grad_batches" in caplog.text
    assert card["reported"] == reported
    assert card["differs_from_reported"] == {"effective_batch": {"this_run": 12, "reported": 64}}


def test_unknown_numbers_are_not_compared() -> None:
    size = {"batch": None, "devices": 2, "accumulate": 1, "effective_batch": None, "repeat": 1, "epochs": None,
            "steps": None}  # fmt: skip
    assert differences(size, {"effective_batch": 64, "epochs": 24, "repeat": 1}) == {}
    assert differences(size, {"repeat": 10}) == {"repeat": (1, 10)}
    assert describe(size) == "unknown batch, no number of epochs, endless steps"


def test_text_where_a_number_belongs() -> None:
    with pytest.raises(InputError, match=r"reported\.repeat=often"):
        RunSize("somewhere", {"repeat": "often"})
