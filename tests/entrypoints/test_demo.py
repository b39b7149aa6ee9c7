import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from components.errors import InputError
from components.synthetic.actions import ACTIONS
from entrypoints import demo
from entrypoints.config_check import check
from entrypoints.predict import run_task
from tests.entrypoints.actor_run import write_run


def test_the_three_commands_are_sound(tmp_path: Path) -> None:
    folder = tmp_path / "a folder, with 'signs'"
    train, evaluate, predict = demo.commands(folder, folder / "out", ["trainer.max_epochs=2"])
    assert [command[2] for command in (train, evaluate, predict)] == [
        "entrypoints.train", "entrypoints.evaluate", "entrypoints.predict",
    ]  # fmt: skip
    config = check("train", train[3:])
    assert config.trainer.max_epochs == 2
    assert config.hydra.run.dir == str(folder)
    assert check("evaluate", evaluate[3:]).run == str(folder)
    composed = check("predict", predict[3:])
    assert composed.output == str(folder / "out")
    assert list(composed.actions) == [*demo.PAIRS, *demo.SINGLES]


def test_its_actions_exist() -> None:
    for action in (*demo.PAIRS, *demo.SINGLES):
        assert set(action.split("+")) <= set(ACTIONS)


@pytest.mark.parametrize("name", ["plain", "two words", "it's", "a,b", "x=[1]"])
def test_paths_survive_the_command_line(name: str) -> None:
    override = OverridesParser.create().parse_override(f"run={demo._quoted(Path(name))}")
    assert override.value() == name


def test_it_stops_at_the_first_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    entries: list[str] = []

    def fail_in_evaluate(command: list[str], check: bool) -> Any:
        entries.append(command[2])
        return SimpleNamespace(returncode=2 if command[2] == "entrypoints.evaluate" else 0)

    monkeypatch.setattr(subprocess, "run", fail_in_evaluate)
    assert demo.demo(tmp_path) == 2
    assert entries == ["entrypoints.train", "entrypoints.evaluate"]
    assert "ended with exit code 2" in capsys.readouterr().err


def test_the_summary_names_files_that_are_there(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "metrics.json").write_text(json.dumps({"test/rc": 0.01, "eval/mpjpe_mm": 45.678}))
    options = {"actions": ["walk", "run"], "duration": 2, "samples": 1, "size": 32, "formats": ["strip"]}
    generated = run_task("generate", str(run), {**options, "output": str(run / "generated" / "demo")})
    lines = demo.summary(run, generated)
    assert lines[0].split() == ["pictures", str(generated / "pictures" / "all.png")]
    assert any(line.startswith("45.68 ") for line in lines)
    assert not any("all.mp4" in line for line in lines)


def test_no_checkpoint_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no checkpoints"):
        run_task("generate", str(tmp_path), {"actions": ["walk"]})
