"""Evaluation of pairs from run folders to tables and pictures, on tiny untrained networks."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from components.errors import InputError
from entrypoints.evaluate import evaluate_run
from entrypoints.runs import build_datamodule, load_module, load_run
from entrypoints.tasks.evaluate_pairs import evaluate_pairs, plan_pairs
from entrypoints.tasks.evaluate_recognition import prepare_recognizer
from entrypoints.tasks.evaluation_report import Report
from tests.entrypoints.actor_run import NAMES, write_compositional, write_run
from tests.entrypoints.recognizer_run import write_recognizer

OPTIONS: dict[str, Any] = {
    "device": "cpu", "output": None, "seed": 0, "samples": 2, "pairs": None, "seeds": 1, "num_seq_max": 12,
    "batch_size": 16, "ema": True, "max_pairs": 3, "pair_samples": 3, "pair_recognizer": None,
    "data": {"root": None, "batch_size": None, "num_workers": None, "cache_dir": None},
}  # fmt: skip
MIX = {"_target_": "datamodules.actor.mixing.MixingCollate", "_partial_": True}


@pytest.fixture(scope="module")
def recognizer(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recognizer(tmp_path_factory.mktemp("recognizer"), str(data))


def evaluate(folder: Path, recognizer: Path, **options: Any) -> Report:
    """The pairs alone: no reconstruction, no protocol."""
    run = load_run(folder)
    datamodule = build_datamodule(run.config)
    datamodule.setup("test")
    report = Report("pairs")
    options = {**OPTIONS, **options}
    module, judge = load_module(run), prepare_recognizer(str(recognizer), run, datamodule)
    plan = plan_pairs(run, module.net, datamodule, judge, options)
    if plan is not None:
        evaluate_pairs(module, datamodule, judge, plan, options, torch.device("cpu"), report)
    return report


def names_of(report: Report) -> list[Any]:
    return [row[0] for row in report.tables["pair_recognition"].rows]


def test_named_pairs_with_a_recogniser_of_pairs(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), mix=MIX)
    known = write_recognizer(tmp_path / "known", str(data), [*NAMES, "walk+drink"])
    report = evaluate(run, recognizer, pairs=["walk+drink", "sit+phone"], pair_recognizer=str(known))
    table = report.tables["pair_recognition"]
    assert names_of(report) == ["walk+drink", "sit+phone", "all"]
    named = [float(row[list(table.columns).index("named g")]) for row in table.rows]
    assert 0 <= named[0] <= 1
    assert math.isnan(named[1])
    assert named[2] == named[0]
    for name in ("top2", "top2_mixtures", "top2_single", "first_in_top2", "second_in_top2", "legs_like_first",
                 "arms_like_first_mixtures", "accuracy", "top2/sit+phone"):  # fmt: skip
        assert 0 <= report.metrics[f"eval/pairs/{name}"] <= 1
    assert "eval/pairs/accuracy/sit+phone" not in report.metrics
    # The same seed gives the same figures, and a pair's do not depend on what else is asked for.
    again = evaluate(run, recognizer, pairs=["sit+phone"])
    assert again.tables["pair_recognition"].rows[0][2:9] == table.rows[1][2:9]
    assert "named g" not in again.tables["pair_recognition"].columns


@pytest.mark.slow
def test_whole_evaluation_writes_table_metrics_and_picture(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), mix=MIX)
    _, folder = evaluate_run({**OPTIONS, "run": str(run), "recognizer": str(recognizer)})
    assert "eval/pairs/top2" in json.loads((folder / "metrics.json").read_text())
    with Image.open(folder / "figures" / "pair_recognition.png") as picture:
        assert picture.width > 1000
    assert "| all |" in (folder / "pair_recognition.md").read_text()


def test_without_names_legs_meet_arms_of_what_is_trained(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), mix=MIX)
    assert len(names_of(evaluate(run, recognizer, pair_samples=1))) == 3 + 1
    some = {**MIX, "pairs": [["drink", "phone"]], "ordered_pairs": True}
    assert names_of(evaluate(write_run(tmp_path / "some", str(data), mix=some), recognizer)) == ["drink+phone", "all"]


def test_runs_with_pairs_as_classes(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_compositional(tmp_path / "run", str(data))
    assert names_of(evaluate(run, recognizer)) == ["walk+drink", "run+phone", "all"]
    assert names_of(evaluate(run, recognizer, pairs=["run+phone"])) == ["run+phone", "all"]
    with pytest.raises(InputError, match=r"walk\+phone"):
        evaluate(run, recognizer, pairs=["walk+phone"])


@pytest.mark.slow
def test_whole_evaluation_of_a_run_with_pairs_as_classes(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_compositional(tmp_path / "run", str(data))
    report, folder = evaluate_run({**OPTIONS, "run": str(run), "recognizer": str(recognizer)})
    # The protocol looks at single actions; classes without evaluation clips are left out of the metrics.
    assert report.metrics["eval/recognition/accuracy_gt_test"] >= 0
    assert all(math.isfinite(value) for value in json.loads((folder / "metrics.json").read_text()).values())


def test_single_actions_have_no_pairs(data: Path, recognizer: Path, tmp_path: Path) -> None:
    report = evaluate(write_run(tmp_path / "run", str(data), "single"), recognizer)
    assert not report.tables
    assert not report.metrics


def test_faults(data: Path, recognizer: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), mix=MIX)
    with pytest.raises(InputError, match="'walk' is one action"):
        evaluate(run, recognizer, pairs=["walk"])
    with pytest.raises(InputError, match="single actions alone"):
        evaluate(run, recognizer, pairs=["walk+drink"], pair_recognizer=str(recognizer))
    options = {**OPTIONS, "run": str(run), "recognizer": None, "pair_recognizer": str(recognizer)}
    with pytest.raises(InputError, match=r"pair_recognizer.*recognizer=<run>"):
        evaluate_run(options)
    with pytest.raises(InputError, match="3 faults"):
        evaluate_run({**options, "max_pairs": 0, "pair_samples": 0})
