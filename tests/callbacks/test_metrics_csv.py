from pathlib import Path

import pytest
import torch

from callbacks.checkpoints import LastCheckpoint
from callbacks.epoch_seed import EpochSeed
from callbacks.metrics_csv import MetricsCSVLogger, read_metrics, read_rows
from tests.callbacks.tiny import fit


def test_rows_are_on_disk_at_once_and_columns_may_come_late(tmp_path: Path) -> None:
    logger = MetricsCSVLogger(str(tmp_path / "run"))
    logger.log_metrics({"train/loss": torch.tensor(0.5), "epoch": 0}, step=3)
    file = tmp_path / "run" / "metrics.csv"
    assert file.read_text() == "epoch,step,train/loss\n0,3,0.5\n"
    logger.log_metrics({"val/loss": 0.25, "epoch": 0}, step=3)
    assert read_metrics(file) == [
        {"epoch": 0, "step": 3, "train/loss": 0.5},
        {"epoch": 0, "step": 3, "val/loss": 0.25},
    ]


def test_rows_without_a_number_are_no_rows(tmp_path: Path) -> None:
    logger = MetricsCSVLogger(str(tmp_path))
    logger.log_metrics({"epoch": 1}, step=3)
    assert read_metrics(tmp_path / "metrics.csv") == []


def by_epoch(folder: Path, name: str) -> dict[float, list[float]]:
    table: dict[float, list[float]] = {}
    for row in read_metrics(folder / "metrics.csv"):
        if name in row:
            table.setdefault(row["epoch"], []).append(row[name])
    return table


@pytest.mark.parametrize("told", [True, False])
def test_a_resumed_run_gives_the_curves_of_an_uninterrupted_one(tmp_path: Path, told: bool) -> None:
    """The killed run had gone on for an epoch after its checkpoint; those rows are replaced, not repeated."""
    fit(tmp_path, [EpochSeed(0)], logger=MetricsCSVLogger(str(tmp_path / "whole")), max_epochs=5)
    cut = tmp_path / "cut"
    fit(tmp_path, [EpochSeed(0), LastCheckpoint(str(cut))], logger=MetricsCSVLogger(str(cut)), max_epochs=2)
    checkpoint = (cut / "last.ckpt").rename(cut / "kept.ckpt")
    fit(tmp_path, [EpochSeed(0)], logger=MetricsCSVLogger(str(tmp_path / "spare")), max_epochs=3)
    beyond = [row for row in read_rows(tmp_path / "spare" / "metrics.csv") if row["epoch"] == "2"]
    assert len(beyond) > 2
    appended = MetricsCSVLogger(str(cut))
    appended.keep_epochs(1)
    for row in beyond:
        wrong = {name: float(value) + 100 for name, value in row.items() if "/" in name}
        appended.log_metrics(wrong | {"epoch": 2}, int(row["step"]))

    logger = MetricsCSVLogger(str(cut))
    if told:
        logger.keep_epochs(1)
    fit(tmp_path, [EpochSeed(0)], logger=logger, max_epochs=5, ckpt_path=str(checkpoint))
    for name in ("train/loss", "train/rc", "val/loss"):
        assert by_epoch(cut, name) == by_epoch(tmp_path / "whole", name), name


def test_fast_dev_run_leaves_no_file(tmp_path: Path) -> None:
    fit(tmp_path, [], logger=MetricsCSVLogger(str(tmp_path)), fast_dev_run=True)
    assert not (tmp_path / "metrics.csv").exists()
