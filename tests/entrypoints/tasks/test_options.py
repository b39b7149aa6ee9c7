import logging
import math
from pathlib import Path

import pytest

from entrypoints.tasks.options import stamped_folder, wanted_actions
from entrypoints.tasks.tables import Table, finite_mean


def test_results_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = []
    for _ in range(3):
        folders.append(stamped_folder(tmp_path))
        folders[-1].mkdir()
    assert len(set(folders)) == 3
    assert all(folder.parent == tmp_path for folder in folders)


def test_without_actions_a_run_shows_its_first_ones(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"action_{label}" for label in range(40)]
    assert wanted_actions("walk", names) == ["walk"]
    assert wanted_actions(["walk", "run"], names) == ["walk", "run"]
    assert wanted_actions(None, names[:3]) == names[:3]
    with caplog.at_level(logging.INFO):
        assert wanted_actions(None, names) == names[:24]
    assert "the run has 40 actions; showing the first 24" in caplog.text


def test_means_and_names_in_tables() -> None:
    assert finite_mean([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(finite_mean([math.nan]))
    assert r"| a\|b | 1 |" in Table("t", ["action", "n"], [["a|b", 1]]).to_markdown()
