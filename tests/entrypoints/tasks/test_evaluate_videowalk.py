import csv
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from components.errors import InputError
from components.media.masks import read_mask, write_mask
from components.metrics.davis import score_sequence
from entrypoints.config_check import check
from entrypoints.evaluate import evaluate_run
from entrypoints.tasks import videowalk_parts
from entrypoints.tasks.videowalk_parts import fresh_config
from tests.entrypoints.videowalk_run import (
    film,
    walk_config,
    write_davis_set,
    write_jhmdb_set,
    write_vip_set,
    write_walk_run,
)
from tests.process.command_line import run_until_killed

Told = list[tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_walk_run(tmp_path / "run")


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Rows and sequences that are computed rather than found."""
    told: Told = []
    compute = videowalk_parts.compute

    def telling(part: Any) -> None:
        told.append((part.row.name, part.sequence.name))
        compute(part)

    monkeypatch.setattr(videowalk_parts, "compute", telling)
    return told


@functools.cache
def defaults() -> DictConfig:
    config = check("evaluate", ["protocol=videowalk", "run=x", "device=cpu", "workers=1", "synthetic=nowhere"])
    return OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "paths")])


def evaluate(run: Path, root: Path | str, *overrides: str) -> tuple[Any, Path]:
    given = OmegaConf.from_dotlist([f"run={run}", f"data.root={root}", *overrides])
    return evaluate_run(OmegaConf.to_container(OmegaConf.merge(defaults(), given)))  # type: ignore[arg-type]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_fresh_networks_stand_beside_a_whitened_one_with_and_without(tmp_path: Path, computed: Told) -> None:
    run = write_walk_run(tmp_path / "white", whitening=True)
    report, folder = evaluate(run, write_davis_set(tmp_path / "davis"), "untrained_seeds=[7,8]")
    names = [row["row"] for row in rows_of(folder / "davis.csv")]
    assert names == [
        "trained", "untrained, mean of 2 seeds", "untrained, std of 2 seeds",
        "untrained, whitened, mean of 2 seeds", "untrained, whitened, std of 2 seeds", "copy_first_mask",
    ]  # fmt: skip
    assert len(computed) == 6 * 2
    scores = [report.metrics[f"eval/{name}jf"] for name in ("", "untrained_", "untrained_whitened_")]
    assert len(set(scores)) == 3
    columns = list(rows_of(folder / "davis_sequences.csv")[0])
    assert "J&F untrained_whitened" in columns
    # Whichever process computes which sequence: statistics are of the sequence alone.
    alone = evaluate(run, tmp_path / "davis", "untrained_seeds=[8]", "sequences=[cow]", f"output={tmp_path / 'cow'}")[1]
    (part,) = alone.glob("parts/davis-whitened_8-*/cow.json")
    (before,) = folder.glob("parts/davis-whitened_8-*/cow.json")
    assert json.loads(part.read_text())["content"] == json.loads(before.read_text())["content"]


def test_davis(run: Path, tmp_path: Path, computed: Told) -> None:
    root = write_davis_set(tmp_path / "davis")
    report, folder = evaluate(run, root, "untrained_seeds=[0,1]")
    assert len(computed) == 4 * 2
    rows = rows_of(folder / "davis.csv")
    assert [row["row"] for row in rows] == [
        "trained", "untrained, mean of 2 seeds", "untrained, std of 2 seeds", "copy_first_mask",
    ]  # fmt: skip
    assert float(rows[0]["J&F-Mean"]) == report.metrics["eval/jf"]
    assert float(rows[1]["J&F-Mean"]) == report.metrics["eval/untrained_jf"]
    # The copied mask by hand: the moving square in the first sequence, the still one.
    truth = np.stack(film(5, 0)[1])
    expected = [each.row() for each in score_sequence("x", truth, np.repeat(truth[:1], 5, axis=0))]
    assert report.metrics["eval/copy_first_j"] == pytest.approx(np.mean([row[0] for row in expected]), abs=1e-9)
    assert report.metrics["eval/copy_first_f"] == pytest.approx(np.mean([row[3] for row in expected]), abs=1e-9)
    # The files of the published evaluation.
    (line,) = rows_of(folder / "global_results-val.csv")
    assert list(line) == ["J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay"]
    assert float(line["J-Mean"]) == pytest.approx(report.metrics["eval/j"], abs=6e-4)
    objects = rows_of(folder / "per-sequence_results-val.csv")
    assert [row["Sequence"] for row in objects] == ["bear_1", "bear_2", "cow_1", "cow_2"]
    assert list(objects[0]) == ["Sequence", "J-Mean", "F-Mean"]
    for name in ("davis_sequences", "davis_best", "davis_worst"):
        with Image.open(folder / "figures" / f"{name}.png") as picture:
            assert picture.width > 400
    (masks,) = folder.glob("parts/davis-trained-*/masks/bear")
    assert len(list(masks.iterdir())) == 5
    # The run's own metrics are of its own data.
    assert not (run / "metrics.json").exists()

    # Again: everything is there. A file that was cut off, or whose sequence has changed, is not trusted.
    computed.clear()
    assert evaluate(run, root, "untrained_seeds=[0,1]")[0].metrics == report.metrics
    assert computed == []
    (part,) = folder.glob("parts/davis-trained-*/cow.json")
    part.write_text(part.read_text()[:-40])
    write_mask(root / "Annotations" / "480p" / "bear" / "00003.png", np.zeros(truth.shape[1:], dtype=np.uint8))
    evaluate(run, root, "untrained_seeds=[1]")
    assert sorted(computed) == [("copy_first_mask", "bear"), ("trained", "bear"), ("trained", "cow"),
                                ("untrained_1", "bear")]  # fmt: skip
    # Masks that somebody has removed are made again: the pictures show them.
    computed.clear()
    next(folder.glob("parts/davis-trained-*/masks/cow/00002.png")).unlink()
    evaluate(run, root, "untrained_seeds=[1]")
    assert computed == [("trained", "cow")]
    # Other settings and other weights are other parts.
    computed.clear()
    one = evaluate(run, root, "untrained_seeds=[]", "topk=3", "sequences=[cow]")[0]
    write_walk_run(run, seed=8)
    other = evaluate(run, root, "untrained_seeds=[]", "topk=3", "sequences=[cow]")[0]
    assert computed == [("trained", "cow")] * 2
    assert one.metrics["eval/jf"] != other.metrics["eval/jf"]


def test_every_mask_is_looked_at_first(
    run: Path, tmp_path: Path, computed: Told, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_davis_set(tmp_path / "davis")
    mask = root / "Annotations" / "480p" / "cow" / "00003.png"
    late = read_mask(mask).ids.copy()
    late[:4, :4], late[4:8, :4] = 7, 255
    write_mask(mask, late)
    report, _ = evaluate(run, root, "untrained_seeds=[]", "sequences=[cow]")
    assert "cow: ids that the first mask does not have are not followed: 7 (from 00003.png on)" in caplog.text
    assert report.metrics["eval/jf"] >= 0
    computed.clear()
    for array, message in ((late.astype(np.uint16), "16-bit"), (late[1:], "the frames are")):
        Image.fromarray(array).save(mask)
        with pytest.raises(InputError, match=rf"cow/00003\.png: is .*{message}"):
            evaluate(run, root, "untrained_seeds=[]")
    assert computed == []


def test_the_published_settings_reach_the_propagation(run: Path, tmp_path: Path) -> None:
    root = write_davis_set(tmp_path / "davis", ("bear",), frames=6)
    shared = ("untrained_seeds=[]", "context=2", "radius=2")
    scores = {
        options: evaluate(run, root, *shared, *options)[0].metrics["eval/jf"]
        for options in (
            ("long_memory=[0,1]",), ("long_memory=[0,1]", "published_long_memory=true"), ("normalize=false",),
            ("norm_mask=true",),
        )
    }  # fmt: skip
    assert len(set(scores.values())) == 4, scores


def test_jhmdb(run: Path, tmp_path: Path) -> None:
    report, folder = evaluate(run, write_jhmdb_set(tmp_path / "jhmdb"), "untrained_seeds=[0]", "size=[64,80]")
    assert json.loads((folder / "protocol.json").read_text())["context"] == 7
    # Joints move 5 pixels per frame in a box of about 0.6 x 50 pixels.
    assert report.metrics["eval/copy_first_pck_0.1"] == 0
    assert report.metrics["eval/copy_first_pck_0.5"] > 0
    assert 0 <= report.metrics["eval/strict_pck_0.2"] <= report.metrics["eval/strict_pck_0.5"] <= 100
    assert len(rows_of(folder / "jhmdb_joints.csv")) == 15
    assert [row["row"] for row in rows_of(folder / "jhmdb.csv")] == ["trained", "untrained", "copy_first_mask"]
    assert (folder / "figures" / "jhmdb_only.png").is_file()


def test_vip(run: Path, tmp_path: Path) -> None:
    root = write_vip_set(tmp_path / "vip")
    report, folder = evaluate(run, root, "untrained_seeds=[]", "size=[64,80]", "adapt_steps=1")
    assert [row["row"] for row in rows_of(folder / "vip.csv")] == ["trained", "adapted", "copy_first_mask"]
    classes = {row["class"]: row for row in rows_of(folder / "vip_classes.csv")}
    assert float(classes["pants"]["IoU copy_first"]) == 1  # stands still
    assert float(classes["hair"]["IoU copy_first"]) < 1
    assert classes["hat"]["IoU trained"] == "nan"
    assert 0 < report.metrics["eval/copy_first_miou"] < 1
    assert 0 < report.metrics["eval/miou"] < 1
    assert "eval/adapted_miou" in report.metrics


def test_only_whole_sets_enter_the_metrics_of_the_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_davis_set(tmp_path / "davis", frames=3)
    monkeypatch.setattr("entrypoints.tasks.evaluate_videowalk._synthetic", lambda benchmark, folder: root)
    for options, entered in (("sequences=[cow]", False), ("topk=5", True)):
        evaluate(run, "null", "untrained_seeds=[]", options)
        assert (run / "metrics.json").exists() == entered


def test_an_empty_first_mask_stays_empty(run: Path, tmp_path: Path) -> None:
    """A video of VIP may begin before anybody enters; an empty mask of DAVIS has nothing to score."""
    root = write_vip_set(tmp_path / "vip")
    first = root / "Annotations" / "Category_ids" / "videos1" / f"{1:012d}.png"
    write_mask(first, np.zeros_like(read_mask(first).ids))
    report, _ = evaluate(run, root, "untrained_seeds=[]", "size=[64,80]")
    assert report.metrics["eval/miou"] == report.metrics["eval/copy_first_miou"]
    root = write_davis_set(tmp_path / "davis")
    first = root / "Annotations" / "480p" / "cow" / "00000.png"
    write_mask(first, np.zeros_like(read_mask(first).ids))
    with pytest.raises(InputError, match="cow: the annotation of the first frame has no object"):
        evaluate(run, root)
    assert not list(run.glob("evaluation/parts/davis-*"))


def test_runs_that_began_with_a_file_of_weights(run: Path, tmp_path: Path) -> None:
    """The file need not be there any more, and the fresh networks do not begin with it."""
    file = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    checkpoint["troupe"]["config"]["model"]["encoder"].update(weights="resnet18-5c106cde.pth", layout="torchvision")
    torch.save(checkpoint, file)
    root = write_davis_set(tmp_path / "davis", ("bear",), frames=3)
    started = evaluate(run, root, "untrained_seeds=[0]")[0]
    scratch = evaluate(write_walk_run(tmp_path / "scratch"), root, "untrained_seeds=[0]")[0]
    assert started.metrics == scratch.metrics


def test_fresh_networks_of_other_encoders_are_random() -> None:
    config = walk_config()
    config["model"]["encoder"] = {"_target_": "x.HuggingFaceEncoder", "folder": "vit"}
    assert fresh_config(config)["model"]["encoder"]["pretrained"] is False
    assert "pretrained" not in config["model"]["encoder"]


def test_threads_are_put_back(run: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    evaluate(run, write_davis_set(tmp_path / "davis", ("bear",), frames=3), "untrained_seeds=[]")
    assert torch.get_num_threads() == before


def test_faults(run: Path, tmp_path: Path) -> None:
    root = write_davis_set(tmp_path / "davis", ("bear",), frames=3)
    with pytest.raises(InputError, match="3 faults in evaluate"):
        evaluate(run, root, "workers=0", "untrained_seeds=[1,1]", "sequences=[]")
    with pytest.raises(InputError, match="topk"):
        evaluate(run, root, "topk=many")
    with pytest.raises(InputError, match="radius=0"):
        evaluate(run, root, "radius=0")
    with pytest.raises(InputError, match="did you mean 'bear'"):
        evaluate(run, root, "sequences=[beer]")
    with pytest.raises(InputError, match="none of the benchmarks"):
        evaluate(run, tmp_path)
    with pytest.raises(InputError, match="not in the layout of VIP"):
        evaluate(run, root, "benchmark=vip")
    with pytest.raises(InputError, match="use_head=true"):
        evaluate(run, root, "use_head=true")
    write_mask(root / "Annotations" / "480p" / "bear" / "00000.png", np.ones((8, 8), dtype=np.uint8))
    with pytest.raises(InputError, match=r"00000\.png: is 8 x 8"):
        evaluate(run, root, "untrained_seeds=[]")
    assert not (run / "evaluation" / "metrics.json").exists()


@pytest.mark.slow
def test_processes_give_the_same_and_a_killed_evaluation_goes_on(run: Path, tmp_path: Path) -> None:
    root = write_davis_set(tmp_path / "davis", ("bear", "cow", "dog", "elk"), frames=6)
    report, whole = evaluate(run, root, "untrained_seeds=[0]", f"output={tmp_path / 'whole'}")
    output = tmp_path / "killed"
    arguments = [f"run={run}", f"data.root={root}", "device=cpu", "untrained_seeds=[0]", f"output={output}"]
    # The first result that comes from a worker is the last that is seen; the workers hold the pipe: they end too.
    run_until_killed("evaluate", *arguments, "workers=2", dies="concurrent.futures:Future.set_result@1")
    done = {file: file.stat().st_mtime_ns for file in output.glob("parts/*/*.json")}
    assert 1 <= len(done) < 12
    assert all(json.loads(file.read_text())["content"]["objects"] for file in done)
    assert not (output / "metrics.json").exists()
    evaluate(run, root, "untrained_seeds=[0]", f"output={output}")
    assert all(file.stat().st_mtime_ns == made for file, made in done.items())
    assert json.loads((output / "metrics.json").read_text()) == report.metrics
    for file in whole.glob("parts/*/*.json"):
        assert (output / file.relative_to(whole)).read_bytes() == file.read_bytes()
