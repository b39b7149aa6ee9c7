"""Trainings in this process: every experiment of actor."""

from pathlib import Path

import pytest

from entrypoints.config_check import available
from tests.datamodules.actor.vibe_files import motion, write_ntu13, write_uestc
from tests.entrypoints.actor_run import write_run
from tests.entrypoints.training import train_here

EXPERIMENTS = [name for name in available("experiment") if name.startswith("actor")]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_runs_one_batch_of_everything(
    experiment: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["debug=fast", f"paths.data={tmp_path / 'made'}"]
    if "finetune" in experiment:
        arguments.append(f"ckpt={write_run(tmp_path / 'start', str(data))}")
    if experiment.endswith("_ntu13"):
        people = {f"S001C001P00{number}R001A006.pkl": {1: motion(number, 70)} for number in (1, 2)}
        arguments.append(f"data.root={write_ntu13(tmp_path / 'ntu13', people)}")
    elif experiment.endswith("_uestc"):
        folder = write_uestc(tmp_path / "uestc", actions=[f"action {label}" for label in range(12)])
        arguments += [f"data.root={folder}", "data.num_classes=12", "data.min_share=0", "data.val_fraction=0"]
    else:
        arguments.append(f"data.root={data}")
    card = train_here(experiment, tmp_path / "run", *arguments)
    assert ("test/accuracy" if "recognizer" in experiment else "test/rc") in capsys.readouterr().out
    assert card["status"] == "finished"
