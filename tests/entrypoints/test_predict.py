from pathlib import Path
from typing import Any

import pytest
import torch

from components.errors import InputError
from entrypoints.config_check import check
from entrypoints.predict import TASKS, run_task
from tests.entrypoints.actor_run import write_run

SMALL: dict[str, Any] = {"actions": ["walk"], "duration": 4, "samples": 1, "formats": ["npz"], "device": "cpu"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_run(tmp_path_factory.mktemp("runs") / "pair"))


def fault(run: str, task: str = "generate", **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        run_task(task, run, SMALL | options)
    assert len(str(caught.value).splitlines()) <= 4
    return str(caught.value)


def test_results_go_into_the_run_by_default(tmp_path: Path) -> None:
    folder = run_task("generate", str(write_run(tmp_path / "run")), SMALL)
    assert folder.parent == tmp_path / "run" / "generated"
    assert sorted(file.name for file in folder.iterdir()) == [
        "generation.npz", "motions", "motions.csv", "settings.json",
    ]  # fmt: skip


def test_a_lone_checkpoint_file_is_enough(run: str, tmp_path: Path) -> None:
    (tmp_path / "mine.ckpt").write_bytes((Path(run) / "checkpoints" / "best.ckpt").read_bytes())
    assert run_task("generate", str(tmp_path / "mine.ckpt"), SMALL).parent == tmp_path / "generated"


def test_unknown_task_lists_those_there_are(run: str) -> None:
    assert "task=generat: no such task (did you mean 'generate'?); known: generate" in fault(run, "generat")


def test_task_of_another_system_says_what_this_run_offers(tmp_path: Path, run: str) -> None:
    checkpoint = torch.load(Path(run) / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["troupe"]["system"] = "videowalk"
    torch.save(checkpoint, tmp_path / "other.ckpt")
    text = fault(str(tmp_path / "other.ckpt"))
    assert "task=generate needs a run of actor" in text
    assert "is of 'videowalk', which offers: propagate" in text
    checkpoint["troupe"]["system"] = "other"
    torch.save(checkpoint, tmp_path / "other.ckpt")
    assert "is of 'other', which offers no task yet" in fault(str(tmp_path / "other.ckpt"))


def test_wrong_types_and_unknown_options_are_reported_together(run: str) -> None:
    text = fault(run, samples="many", view="top", sizee=3)
    assert text.startswith("ConfigError: 3 faults in task=generate")
    assert "samples: 'many' is not of type int" in text
    assert "view: 'top' is not one of front, side, three_quarter, back" in text
    assert "sizee: unknown key (did you mean 'size'?)" in text


def test_run_without_a_checkpoint(tmp_path: Path) -> None:
    assert "does not exist" in fault(str(tmp_path / "nowhere"))
    assert "holds no checkpoints/best.ckpt" in fault(str(tmp_path))


def test_foreign_and_damaged_checkpoints(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    assert "was not written by this project" in fault(str(tmp_path / "foreign.ckpt"))
    (tmp_path / "damaged.ckpt").write_bytes(b"no checkpoint")
    assert "damaged.ckpt" in fault(str(tmp_path / "damaged.ckpt"))


def test_output_that_holds_files_is_left_alone(run: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    assert "holds files already; choose another folder or add force=true" in fault(run, output=str(tmp_path / "out"))
    run_task("generate", run, SMALL | {"output": str(tmp_path / "out"), "force": True})
    assert (tmp_path / "out" / "mine.txt").read_text() == "precious"
    assert (tmp_path / "out" / "motions" / "walk_0.npz").is_file()


def test_output_that_cannot_be_written(run: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "output" in fault(run, output=str(tmp_path / "file" / "out"))
    assert "is a file; expected a folder" in fault(run, output=str(tmp_path / "file"))


def test_a_failure_leaves_no_half_written_folder(run: str, tmp_path: Path) -> None:
    assert "unknown action 'wlak' (did you mean 'walk'?)" in fault(run, actions=["wlak"], output=str(tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_missing_device(run: str) -> None:
    assert "device=cuda:77 cannot be used here" in fault(run, device="cuda:77")


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_config_of_each_task_composes_with_its_options(task: str) -> None:
    config = check("predict", [f"task={task}", "run=somewhere"])
    assert config.run == "somewhere"


def test_misspelt_option_on_the_command_line() -> None:
    with pytest.raises(InputError, match="did you mean 'samples'"):
        check("predict", ["task=generate", "run=x", "sampels=3"])
    with pytest.raises(InputError, match="no such choice"):
        check("predict", ["task=dance", "run=x"])
