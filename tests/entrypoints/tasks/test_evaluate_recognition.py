import csv
import json
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from components.errors import InputError
from components.synthetic.actions import write_humanact12
from entrypoints.evaluate import evaluate_run
from entrypoints.runs import build_datamodule, load_run
from entrypoints.tasks.evaluate_recognition import prepare_recognizer
from tests.entrypoints.actor_run import NAMES, write_run
from tests.entrypoints.recognizer_run import write_recognizer

CONF = Path(__file__).resolve().parents[3] / "conf"
_SHARED, _OWN = (yaml.safe_load((CONF / name).read_text()) for name in ("evaluate.yaml", "protocol/actor.yaml"))
OPTIONS: dict[str, Any] = {key: value for key, value in (_SHARED | _OWN).items() if key != "defaults"} | {
    "data": _SHARED["data"] | _OWN["data"], "device": "cpu", "samples": 2, "seeds": 2, "batch_size": 7,
}  # fmt: skip
METRICS = ("accuracy", "fid", "kid", "diversity", "multimodality")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "humanact12"
    folder.mkdir()
    write_humanact12(folder, clips_per_action=4)
    return folder


def evaluate(run: Path, recognizer: Path, **options: Any) -> Any:
    return evaluate_run({**OPTIONS, **options, "run": str(run), "recognizer": str(recognizer)})


def test_results_of_a_run_with_a_held_out_split(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), conditioning="single", val_fraction=0.5)
    recognizer = write_recognizer(tmp_path / "recognizer", str(data))
    report, folder = evaluate(run, recognizer)
    metrics = json.loads((run / "metrics.json").read_text())
    for metric in METRICS:
        for which in ("gen", "gt", "gt2"):
            for split in ("train", "test"):
                assert math.isfinite(metrics[f"eval/recognition/{metric}_{which}_{split}"])
    assert metrics["eval/recognition/fid_gt_test"] == 0
    assert metrics["eval/recognition/fid_gt2_test"] > 0

    content = json.loads((folder / "recognition.json").read_text())
    assert content["motions"] == {"train": 24, "test": 24}
    # The recogniser holds out a clip of each action where this run holds out two.
    assert content["held_out_clips_seen_by_recognizer"] == 12
    assert [each["seed"] for each in content["seeds"]] == [0, 1]
    values = [each["metrics"]["fid_gen_train"] for each in content["seeds"]]
    assert content["summary"]["fid_gen_train"]["mean"] == pytest.approx(sum(values) / 2)
    assert metrics["eval/recognition/fid_gen_train_interval"] == pytest.approx(1.96 * abs(values[0] - values[1]) / 2)
    confusion = torch.tensor(content["seeds"][0]["confusion"]["gt_test"])
    assert confusion.sum(1).tolist() == [2] * 12
    assert content["seeds"][0]["metrics"]["accuracy_gt_test"] == pytest.approx(confusion.trace().item() / 24)

    feats = yaml.safe_load((folder / "evaluation_metrics_0000_all.yaml").read_text())["feats"]
    assert feats["fid_gen_train"] == [f"{value:.6}" for value in values]

    table = (folder / "recognition.md").read_text()
    assert "| generated (gen), test |" in table
    assert "| published: ACTOR (unverified) | 95.5 [0.8] | 0.12 [0] | - |" in table
    with (folder / "recognition.csv").open(newline="") as stream:
        rows = {(row["set"], row["metric"]): row for row in csv.DictReader(stream)}
    assert len(rows) == 30
    assert float(rows["gen_train", "fid"]["mean"]) == metrics["eval/recognition/fid_gen_train"]
    for name in ("confusion", "metrics"):
        for split in ("train", "test"):
            with Image.open(folder / "figures" / f"recognition_{name}_{split}.png") as picture:
                assert picture.width > 600
    assert "recognition" in report.tables


def test_finished_seeds_are_used_again(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Figures of HumanAct12 are not shown for motions of the same classes that we made ourselves.
    monkeypatch.setattr("datamodules.actor.ActorDataModule.is_synthetic", True)
    run = write_run(tmp_path / "run", str(data), val_fraction=0.0, conditioning="single")
    recognizer = write_recognizer(tmp_path / "recognizer")
    _, folder = evaluate(run, recognizer, seeds=1, num_seq_max=20)
    kept = folder / "recognition_seeds" / "seed_000.json"
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "metrics": {**content["metrics"], "fid_gen": 123.0}}))
    with caplog.at_level(logging.INFO):
        report, _ = evaluate(run, recognizer, seeds=2, num_seq_max=20)
    assert "1 of 2 seeds are there already" in caplog.text
    recognition = json.loads((folder / "recognition.json").read_text())
    assert recognition["motions"] == {"all": 20}
    values = [each["metrics"]["fid_gen"] for each in recognition["seeds"]]
    assert values[0] == 123.0
    assert "unverified" not in (folder / "recognition.md").read_text()
    assert report.metrics["eval/recognition/fid_gen"] == pytest.approx((123.0 + values[1]) / 2)


def test_raw_and_averaged_weights(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), val_fraction=0.0, conditioning="single")
    file = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["current_model_state"] = {name: 3 * value for name, value in checkpoint["state_dict"].items()}
    torch.save(checkpoint, file)
    recognizer = write_recognizer(tmp_path / "recognizer")
    figures = {ema: evaluate(run, recognizer, seeds=1, ema=ema, num_seq_max=12)[0].metrics for ema in (True, False)}
    assert figures[True]["eval/recognition/fid_gen"] != figures[False]["eval/recognition/fid_gen"]
    assert figures[True]["eval/recognition/fid_gt2"] == figures[False]["eval/recognition/fid_gt2"]


def test_what_the_recogniser_has_seen_is_said(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = load_run(write_run(tmp_path / "run", str(data), conditioning="single"))
    datamodule = build_datamodule(run.config)
    fair = write_recognizer(tmp_path / "fair", str(data))
    cheat = write_recognizer(tmp_path / "cheat", str(data), val_fraction=0.0)
    for recognizer, seen in ((fair, 0), (cheat, 12)):
        caplog.clear()
        assert prepare_recognizer(str(recognizer), run, datamodule).seen == seen
        assert ("trained on 12 clips" in caplog.text) == (seen > 0)


def test_faults_show_before_anything_takes_long(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*arguments: Any) -> Any:
        raise AssertionError("tested already")

    monkeypatch.setattr("entrypoints.tasks.actor_protocol._test", too_late)
    pairs, single = write_run(tmp_path / "pairs", str(data)), write_run(tmp_path / "single", str(data), "single")
    recognizer = write_recognizer(tmp_path / "recognizer", str(data))
    with pytest.raises(InputError, match=r"^recognizer=.*nowhere does not exist"):
        evaluate(single, tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"^pair_recognizer=.*nowhere does not exist"):
        evaluate(pairs, recognizer, pairs=["walk+drink"], pair_recognizer=str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"^pair_recognizer=.*trained on single"):
        evaluate(single, recognizer, pair_recognizer=str(recognizer))
    with pytest.raises(InputError, match=r"^pairs: unknown action 'wlak'.*did you mean 'walk'"):
        evaluate(pairs, recognizer, pairs=["wlak+drink"])
    with pytest.raises(InputError, match=r"data\.translation=false"):
        evaluate(pairs, write_recognizer(tmp_path / "moving", translation=True))
    assert not (single / "evaluation").exists()


def test_what_is_no_recogniser_of_these_motions(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data))
    with pytest.raises(InputError, match="actor_recognizer_gru"):
        evaluate(run, run)
    names = ["dance", *NAMES[1:]]
    with pytest.raises(InputError, match="dance") as caught:
        evaluate(run, write_recognizer(tmp_path / "dancer", names=names))
    assert NAMES[0] in str(caught.value)
    recognizer = write_recognizer(tmp_path / "recognizer", str(data))
    with pytest.raises(InputError, match="a recogniser itself"):
        evaluate(recognizer, recognizer)
    with pytest.raises(InputError, match=r"data\.translation=false"):
        evaluate(run, write_recognizer(tmp_path / "moving", translation=True))


def test_a_recogniser_has_an_evaluation_of_its_own(data: Path, tmp_path: Path) -> None:
    recognizer = write_recognizer(tmp_path / "recognizer", str(data))
    report, folder = evaluate_run({**OPTIONS, "run": str(recognizer), "recognizer": None})
    assert report.metrics["eval/accuracy"] == pytest.approx(report.metrics["test/accuracy"])
    assert "| walk |" in (folder / "recognition.md").read_text()
    assert (folder / "figures" / "confusion.png").is_file()


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), conditioning="single")
    recognizer = write_recognizer(tmp_path / "recognizer")
    for name in ("one", "two"):
        command = [
            sys.executable, "-m", "entrypoints.evaluate", f"run={run}", f"recognizer={recognizer}", "seeds=2",
            "samples=2", "device=cpu", f"output={tmp_path / name}",
        ]  # fmt: skip
        done = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=Path(__file__).resolve().parents[3], timeout=200,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert "generated (gen), test" in done.stdout
    files = ["recognition.json", "metrics.json", "recognition.csv", "evaluation_metrics_0000_all.yaml"]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
