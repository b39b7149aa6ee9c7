"""The command line's own flags, wherever they stand between the overrides."""

import sys

import pytest
from hydra._internal.utils import get_args_parser

from entrypoints.cli import _check_swept_experiments, add_overrides
from entrypoints.config_check import ConfigError
from tests.process.command_line import run


@pytest.mark.parametrize(
    "line",
    [
        ["a=1", "b=2"],
        ["a=1", "b=2", "-m"],
        ["-m", "a=1", "b=2"],
        ["a=1", "b=2", "--cfg", "job"],
        ["--config-dir", "a=1", "a=1", "b=2"],
    ],
)
def test_overrides_are_added_beside_the_users(line: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train", *line])
    before = get_args_parser().parse_args()
    add_overrides(["x=3"])
    after = get_args_parser().parse_args()
    assert after.overrides == ["a=1", "b=2", "x=3"]
    assert vars(after) | {"overrides": []} == vars(before) | {"overrides": []}


def test_without_overrides_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["doctor", "--cfg", "job"])
    add_overrides(["x=3"])
    assert sys.argv == ["doctor", "--cfg", "job", "x=3"]


def test_keys_beside_swept_experiments() -> None:
    with pytest.raises(ConfigError, match=r"data\.root=x: with several experiments(.|\n)*Write \+\+data\.root=x"):
        _check_swept_experiments(["experiment=a,b", "data.root=x", "data.fold=1,2", "trainer.max_epochs=1"])
    _check_swept_experiments(["experiment=a,b", "++data.root=x", "model.lr=1,2"])
    _check_swept_experiments(["experiment=a", "data.root=x", "seed=1,2"])


def test_flags_behind_the_overrides() -> None:
    shown = run("train", "experiment=tiny", "seed=77", "--cfg", "job")
    assert "seed: 77" in shown
