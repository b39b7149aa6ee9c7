"""Fine-tuning from the command line."""

import csv
from pathlib import Path

import pytest

from components.synthetic.actions import write_humanact12
from tests.entrypoints.actor_run import write_run
from tests.process.command_line import only_run, run

pytestmark = pytest.mark.slow


def test_a_run_goes_on_with_other_lengths(tmp_path: Path) -> None:
    write_humanact12(tmp_path / "motions", clips_per_action=3)
    before = write_run(tmp_path / "run", str(tmp_path / "motions"))
    common = (f"ckpt={before}", "trainer=cpu", "callbacks.motion_pictures=null")
    run("train", "experiment=actor_mix_finetune", *common, "trainer.max_epochs=2", "trainer.check_val_every_n_epoch=1",
        "test=false", "optimizer.lr=1e-2", f"paths.output_dir={tmp_path / 'out'}")  # fmt: skip
    folder = only_run(tmp_path / "out")
    rows = list(csv.DictReader((folder / "durations.csv").open()))
    assert [row["frames"] for row in rows] == ["60", "80", "100"]
    assert all(float(row["rc_after"]) < float(row["rc_before"]) for row in rows)
    assert "model.net.latent_dim=16" in (folder / ".hydra" / "overrides.yaml").read_text()
    text = run("train", "experiment=actor_finetune", *common, "model.net.latent_dim=32",
               f"paths.output_dir={tmp_path / 'other'}", code=2)  # fmt: skip
    assert "Set model.net.latent_dim=16" in text
    assert "goes on from a trained run" in run("train", "experiment=actor_finetune", code=2)
