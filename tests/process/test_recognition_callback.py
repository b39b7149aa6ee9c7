"""The recogniser's figures during a training of two processes."""

import json
from pathlib import Path

import pytest

from components.synthetic.actions import write_humanact12
from tests.entrypoints.recognizer_run import write_recognizer
from tests.process.command_line import curve, only_run, run

pytestmark = pytest.mark.slow


def test_two_processes_agree_with_each_other_and_choose_by_fid(tmp_path: Path) -> None:
    write_humanact12(tmp_path / "motions", clips_per_action=4)
    recognizer = write_recognizer(tmp_path / "recognizer", str(tmp_path / "motions"))
    arguments = ("experiment=actor_mix", "model.net.latent_dim=16", "model.net.ff_size=16", "model.net.num_layers=1",
                 f"data.root={tmp_path / 'motions'}", "data.val_fraction=0.3", "callbacks=[ema,recognition]",
                 "callbacks.recognition.samples=30", "monitor.name=val/fid",
                 "trainer.check_val_every_n_epoch=1")  # fmt: skip
    run("train", *arguments, f"callbacks.recognition.recognizer={recognizer}", "trainer=ddp_cpu",
        "trainer.max_epochs=2", f"paths.output_dir={tmp_path / 'out'}")  # fmt: skip
    folder = only_run(tmp_path / "out")
    fids = [float(row["val/fid"]) for row in curve(folder) if "val/fid" in row]
    assert len(fids) == 2
    card = json.loads((folder / "run.json").read_text())
    assert card["monitor"]["value"] == pytest.approx(min(fids), rel=1e-4)
