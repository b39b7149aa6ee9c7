import logging
from pathlib import Path

import pytest

from callbacks.progress_bar import TerminalProgressBar
from callbacks.progress_log import ProgressLog, duration
from tests.callbacks.tiny import fit


def test_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="callbacks.progress_log"):
        fit(tmp_path, [ProgressLog(every_seconds=0)], max_epochs=3)
    lines = [record.getMessage() for record in caplog.records if record.name == "callbacks.progress_log"]
    assert [line.split(",")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "val/loss" in lines[0]
    assert "left" in lines[0]
    assert "left" not in lines[2]


def test_the_last_epoch_is_always_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="callbacks.progress_log"):
        fit(tmp_path, [ProgressLog(every_seconds=1e6)], max_epochs=3)
    lines = [record.getMessage() for record in caplog.records if record.name == "callbacks.progress_log"]
    assert len(lines) == 1
    assert lines[0].startswith("epoch 3/3")


def test_long_epochs_have_lines_inside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="callbacks.progress_log"):
        fit(tmp_path, [ProgressLog(every_seconds=1e6, inside_seconds=0)], max_epochs=1)
    lines = [record.getMessage() for record in caplog.records if record.name == "callbacks.progress_log"]
    assert [line.split(",")[:2] for line in lines[:-1]] == [["epoch 1", f" batch {n} of 3"] for n in (1, 2, 3)]
    assert lines[0].endswith("left in this epoch")


def test_durations() -> None:
    assert [duration(seconds) for seconds in (3, 600, 7200)] == ["3 s", "10 min", "2.0 h"]


def test_no_bar_without_a_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, [TerminalProgressBar()], enable_progress_bar=True)
    assert "Epoch" not in capfd.readouterr().out
