"""Whole runs of a tiny system from the command line: folder, exit codes, resume after a kill."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.process.command_line import ROOT, TINY, curve, only_run, processor_time, run, run_until_killed

pytestmark = pytest.mark.slow


def test_a_run_leaves_the_promised_folder(tmp_path: Path) -> None:
    run("train", "experiment=tiny", f"paths.output_dir={tmp_path}")
    folder = only_run(tmp_path)
    assert folder.parent.name == "tiny"
    for name in ("train.log", "metrics.csv", "metrics.json", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
                 ".hydra/config.yaml", "figures/loss.png"):  # fmt: skip
        assert (folder / name).is_file(), name
    card = json.loads((folder / "run.json").read_text())
    assert card["status"] == "finished"
    assert card["effective_batch"] == 8
    assert card["steps"] == 24
    assert card["monitor"]["name"] == "val/loss"
    assert card["monitor"]["value"] == pytest.approx(json.loads((folder / "metrics.json").read_text())["test/loss"])
    entry = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["troupe"]
    assert entry["experiment"] == "tiny"
    assert entry["config"]["optimizer"]["lr"] == 0.01
    assert entry["facts"] == {"clips": 64, "synthetic": True}


def test_a_killed_run_resumes_to_the_same_curve(tmp_path: Path) -> None:
    common = ("experiment=tiny", "trainer.max_epochs=5", "data.num_workers=2")
    run("train", *common, f"paths.output_dir={tmp_path / 'whole'}")
    # In the middle of the third of five epochs, which have eight steps
    run_until_killed(
        "train",
        *common,
        f"paths.output_dir={tmp_path / 'killed'}",
        dies="tests.entrypoints.tiny.system:TinyModule.training_step@20",
    )
    assert len(curve(only_run(tmp_path / "killed"))) < 10
    output = run("train", *common, f"paths.output_dir={tmp_path / 'killed'}", "resume=auto")
    assert "resume: continuing in" in output
    whole, resumed = curve(only_run(tmp_path / "whole")), curve(only_run(tmp_path / "killed"))
    assert resumed == whole
    assert json.loads((only_run(tmp_path / "killed") / "run.json").read_text())["resumed"] == 1
    # Nothing is left to resume now.
    assert "starting a new one" in run(
        "train", *common, "debug=fast", f"paths.output_dir={tmp_path / 'killed'}", "resume=auto"
    )


def test_exit_codes_and_messages(tmp_path: Path) -> None:
    output = f"paths.output_dir={tmp_path}"
    text = run("train", "experiment=tiny", output, "trainer.max_epoch=3", "optimizer.lrr=1", code=2)
    assert "2 faults" in text
    assert "Traceback" not in text
    text = run("train", "experiment=tiny_user", output, f"data.root={tmp_path / 'nowhere'}", code=2)
    assert "nowhere does not exist" in text
    assert "Traceback" not in text
    text = run("train", "experiment=tiny", output, "model.fail=true", code=1)
    assert "made to fail on purpose" in text
    cards = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert [card["status"] for card in cards] == ["failed", "failed"]
    assert "missing. Choose one of" in run("train", code=2)


def test_unwritable_output_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    text = run("train", "experiment=tiny", f"paths.output_dir={tmp_path / 'file'}", code=2)
    assert "paths.output_dir" in text
    assert "cannot write" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(("kib", "place"), [(4, "paths.output_dir"), (100, "best.ckpt")])
def test_a_full_disk_is_bad_input_at_the_start_and_in_the_middle(kib: int, place: str, tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: writing more fails in the same way."""
    arguments = ["experiment=tiny", "data.width=8000", "trainer.max_epochs=1", f"paths.output_dir={tmp_path}"]
    command = [sys.executable, "-m", "entrypoints.train", "--config-dir", str(TINY), *arguments]
    done = subprocess.run(
        ["bash", "-c", f'ulimit -f {kib}; exec "$@"', "bash", *command],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr[-3000:]
    message = done.stderr.strip().splitlines()[-2:]
    assert "cannot write" in " ".join(message)
    assert place in " ".join(message)
    assert not list(tmp_path.rglob(".best*")), "half a file was left"


def test_help_is_readable_and_quick() -> None:
    text, seconds = processor_time("train", "--help")
    assert "python -m entrypoints.train experiment=NAME" in text
    assert "actor_mix" in text
    assert seconds < 5
