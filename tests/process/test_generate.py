"""predict and evaluate from the command line, on a run folder with a tiny network."""

from pathlib import Path

import numpy as np
import pytest

from components.synthetic.actions import write_humanact12
from tests.entrypoints.actor_run import write_run
from tests.process.command_line import processor_time, run

pytestmark = pytest.mark.slow


def test_generate_from_the_command_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    output = f"output={tmp_path / 'made'}"
    text = run(
        "predict", f"run={folder}", "task=generate", "actions=[walk+drink,run]", "duration=4", "samples=2", "size=48",
        "formats=[npz,stick]", output,
    )  # fmt: skip
    assert str(tmp_path / "made") in text
    with np.load(tmp_path / "made" / "generation.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (4, 4, 72)
    assert (tmp_path / "made" / "videos" / "walk+drink_stick.mp4").is_file()
    text = run("predict", f"run={folder}", "task=generate", "actions=[wlak]", output, "force=true", code=2)
    assert "did you mean 'walk'?" in text
    assert "Traceback" not in text


def test_chain_on_the_command_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", translation=True)
    chain = "chain=[walk:30, sit:10,walk+drink:12]"
    run(
        "predict",
        f"run={folder}",
        "task=generate",
        chain,
        "samples=1",
        "formats=[npz,html]",
        f"output={tmp_path / 'a'}",
    )
    with np.load(tmp_path / "a" / "generation.npz", allow_pickle=False) as file:
        assert file["poses"].shape == (1, 52, 72)
        assert file["frame_second_action"][0].tolist() == ["walk"] * 30 + ["sit"] * 10 + ["drink"] * 12
    assert (tmp_path / "a" / "viewer.html").is_file()
    text = run("predict", f"run={folder}", "task=generate", "chain=[walk:30,sit:ten]", code=2)
    assert "chain: 'sit:ten': expected action:frames such as walk:60" in text


def test_faults_of_the_command_line_come_together(tmp_path: Path) -> None:
    text = run("predict", f"run={tmp_path}", "task=generate", "sampels=3", "veiw=front", code=2)
    assert "2 faults in task=generate" in text
    assert "did you mean 'samples'?" in text
    assert "did you mean 'view'?" in text
    assert "task=<name>: missing. Choose one of: classify, gallery, generate" in run(
        "predict", f"run={tmp_path}", code=2
    )
    assert "holds no checkpoints" in run("predict", f"run={tmp_path}", "task=generate", code=2)


def test_evaluate_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_humanact12(tmp_path / "data", clips_per_action=3)
    folder = write_run(tmp_path / "run", str(tmp_path / "data"))
    text = run("evaluate", f"run={folder}", "samples=2")
    assert "Reconstruction of the test split" in text
    assert (folder / "evaluation" / "reconstruction.md").is_file()
    assert "run: no value" in run("evaluate", code=2)


@pytest.mark.parametrize("entry", ["predict", "evaluate"])
def test_help_is_readable_and_quick(entry: str) -> None:
    text, seconds = processor_time(entry, "--help")
    assert f"python -m entrypoints.{entry} run=FOLDER" in text
    assert seconds < 5
