"""ACTOR from the command line: two processes, a kill, and that it learns."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from components.synthetic.actions import write_humanact12
from tests.process.command_line import ROOT, curve, only_run, run, run_until_killed

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("TROUPE_DATA", ROOT.parent / "shared" / "data"))
SMALL = ("model.net.latent_dim=32", "model.net.ff_size=32", "model.net.num_layers=1", "callbacks=default")


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven synthetic clips of each of the twelve actions, in the layout of HumanAct12Poses."""
    folder = tmp_path_factory.mktemp("motions")
    write_humanact12(folder, clips_per_action=7)
    return folder


def test_two_processes_share_batches_and_evaluate_every_clip_once(motions: Path, tmp_path: Path) -> None:
    cards, values = [], []
    for trainer in ("cpu", "ddp_cpu"):
        run("train", "experiment=actor_mix", *SMALL, f"data.root={motions}", "data.val_fraction=0.3", "optimizer.lr=0",
            "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1", f"trainer={trainer}",
            f"paths.output_dir={tmp_path / trainer}")  # fmt: skip
        folder = only_run(tmp_path / trainer)
        cards.append(json.loads((folder / "run.json").read_text()))
        values.append(json.loads((folder / "metrics.json").read_text())["test/rc"])
    assert [card["effective_batch"] for card in cards] == [12, 24]
    assert cards[1]["steps"] in (math.ceil(cards[0]["steps"] / 2), cards[0]["steps"] // 2)
    # The same weights, those of the start, give the same figure: no clip is counted twice or left out.
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_killed_actor_mix_resumes_to_the_same_losses(motions: Path, tmp_path: Path) -> None:
    arguments = ("experiment=actor_mix", *SMALL, "model.net.dropout=0.1", f"data.root={motions}", "data.num_workers=1",
                 "data.val_fraction=0.3", "trainer=cpu", "trainer.max_epochs=4",
                 "trainer.check_val_every_n_epoch=1")  # fmt: skip
    run("train", *arguments, f"paths.output_dir={tmp_path / 'whole'}")
    run_until_killed("train", *arguments, f"paths.output_dir={tmp_path / 'killed'}",
                     dies="callbacks.metrics_csv:MetricsCSVLogger.log_metrics@5")  # fmt: skip
    before = len(curve(only_run(tmp_path / "killed")))
    run("train", *arguments, f"paths.output_dir={tmp_path / 'killed'}", "resume=auto")
    whole, resumed = (curve(only_run(tmp_path / name)) for name in ("whole", "killed"))
    assert before < len(whole)
    assert resumed == whole


def test_it_learns_more_than_the_mean_pose(tmp_path: Path) -> None:
    """Half a minute of training already halves the error of always predicting the mean pose."""
    run("train", "experiment=actor_mix", "trainer=cpu", "trainer.max_epochs=6", "trainer.check_val_every_n_epoch=6",
        "callbacks=default", "model.net.latent_dim=128", "model.net.ff_size=512", "data.synthetic.clips_per_action=20",
        f"paths.output_dir={tmp_path / 'out'}", f"paths.data={tmp_path / 'data'}")  # fmt: skip
    folder = only_run(tmp_path / "out")
    run("evaluate", f"run={folder}")
    figures = json.loads((folder / "evaluation" / "metrics.json").read_text())
    assert figures["eval/rc_to_mean_pose"] < 0.7
    assert figures["eval/legs_to_real"] > 0


def test_real_motion_capture_trains(tmp_path: Path) -> None:
    root = DATA / "humanact12_format"
    if not root.is_dir():
        pytest.skip(f"{root} is absent: set TROUPE_DATA to the folder of the real data sets")
    run("train", "experiment=actor_mix", *SMALL, f"data.root={root}", "trainer=cpu", "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1", f"paths.output_dir={tmp_path / 'out'}",
        f"paths.data={tmp_path / 'data'}")  # fmt: skip
    folder = only_run(tmp_path / "out")
    facts = json.loads((folder / "run.json").read_text())["facts"]
    assert facts["action_names"][10] == "wave_left_hand"
    assert not facts["synthetic"]
    assert np.isfinite(json.loads((folder / "metrics.json").read_text())["test/rc"])
