import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from components.errors import InputError
from entrypoints.config_check import check
from entrypoints.evaluate import evaluate_run
from tests.entrypoints.actor_run import NAMES, write_run

OPTIONS: dict[str, Any] = {
    "device": "cpu", "output": None, "seed": 0, "samples": 2, "pairs": ["walk+drink"],
    "recognizer": None, "seeds": 2, "num_seq_max": 3000, "batch_size": 64, "ema": True,
    "max_pairs": 2, "pair_samples": 2, "pair_recognizer": None,
    "data": {"root": None, "batch_size": None, "num_workers": None, "cache_dir": None},
}  # fmt: skip


def evaluate(run: Path, **options: Any) -> Any:
    return evaluate_run({**OPTIONS, **options, "run": str(run)})


def test_report_of_a_run_on_pairs(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data))
    (run / "metrics.json").write_text(json.dumps({"val/rc": 0.5, "test/rc": 99.0}))
    report, folder = evaluate(run)
    assert folder == run / "evaluation"

    merged = json.loads((run / "metrics.json").read_text())
    assert merged["val/rc"] == 0.5
    assert merged["test/rc"] != 99.0
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics.items() <= merged.items()
    # Lightning's test loop and the table by class measure the same thing.
    assert metrics["eval/rc"] == pytest.approx(metrics["test/rc"], rel=1e-4)
    assert metrics["eval/rcxyz"] == pytest.approx(metrics["test/rcxyz"], rel=1e-4)
    assert metrics["eval/rc_to_mean_pose"] > 1  # an untrained network is worse than a constant
    assert metrics["eval/legs/walk+drink"] >= 0
    assert all(math.isfinite(value) for value in metrics.values())

    with (folder / "reconstruction.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["action"] for row in rows] == [*NAMES, "all"]
    assert float(rows[-1]["rc"]) == pytest.approx(metrics["eval/rc"])
    assert sum(int(row["clips"]) for row in rows[:-1]) == int(rows[-1]["clips"]) == 12
    assert "| walk |" in (folder / "generation.md").read_text()
    assert "| walk+drink |" in (folder / "pairs.md").read_text()
    for name in ("reconstruction", "generation"):
        with Image.open(folder / "figures" / f"{name}.png") as picture:
            assert picture.width > 600
    assert report.tables["pairs"].rows[0][0] == "walk+drink"
    # Again, into the same place.
    assert evaluate(run)[0].metrics == report.metrics


def test_other_data_leave_the_numbers_of_the_run_alone(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "nowhere", conditioning="single")
    report, _ = evaluate(run, data={**OPTIONS["data"], "root": str(data)}, output=str(tmp_path / "out"), pairs=None)
    assert (tmp_path / "out" / "metrics.json").is_file()
    assert not (run / "metrics.json").exists()
    assert "pairs" not in report.tables


def test_imported_checkpoints_need_to_be_told_where_the_data_are(data: Path, tmp_path: Path) -> None:
    file = write_run(tmp_path / "run") / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    config = checkpoint["troupe"]["config"]["data"]
    checkpoint["troupe"]["config"]["data"] = {
        "pose_rep": "rot6d",
        "translation": False,
        "num_frames": config["num_frames"],
    }
    checkpoint["troupe"]["facts"] = {
        "action_names": [f"action_{label:02d}" for label in range(12)],
        "imported_from": "x",
    }
    torch.save(checkpoint, tmp_path / "imported.ckpt")
    with pytest.raises(InputError, match=r"data\.root=<folder>"):
        evaluate(tmp_path / "imported.ckpt")
    report, folder = evaluate(tmp_path / "imported.ckpt", data={**OPTIONS["data"], "root": str(data)})
    assert folder == tmp_path / "evaluation"
    assert "eval/legs/walk+drink" in report.metrics


def test_missing_data_leave_nothing_behind(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere"):
        evaluate(run)
    assert sorted(file.name for file in run.iterdir()) == ["checkpoints"]


def test_data_with_other_actions(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "humanact12poses.pkl").write_bytes((data / "humanact12poses.pkl").read_bytes())
    names = {str(label): f"dance_{label}" for label in range(12)}
    (other / "actions.json").write_text(json.dumps(names))
    with pytest.raises(InputError, match="dance_0"):
        evaluate(write_run(tmp_path / "run", str(other)))


def test_pairs_need_a_model_of_pairs(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="experiment=actor_mix"):
        evaluate(write_run(tmp_path / "run", str(data), conditioning="single"))


def test_options_out_of_range_are_reported_together(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(write_run(tmp_path / "run"), samples=1, seed=-1, pairs="walk+drink")
    assert str(caught.value).startswith("ConfigError: 3 faults in evaluate")


def test_the_config_composes() -> None:
    config = check("evaluate", ["run=somewhere", "data.root=elsewhere"])
    assert config.data.root == "elsewhere"
    with pytest.raises(InputError, match="set run="):
        check("evaluate", [])
    with pytest.raises(InputError, match="did you mean 'samples'"):
        check("evaluate", ["run=x", "sample=3"])


def test_latents_of_an_autoencoder_have_no_divergence(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), "single")
    file = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    model = checkpoint["troupe"]["config"]["model"]
    model["net"]["_target_"] = "lightning_modules.actor.networks.cvae.ActorCAE"
    model["losses"]["_target_"] = "lightning_modules.actor.losses.AutoencoderLosses"
    torch.save(checkpoint, file)
    report, _ = evaluate(run, pairs=None)
    assert report.metrics["eval/rc"] > 0
    assert not {"eval/kl_per_dim", "eval/active_dims", "test/kl"} & report.metrics.keys()
