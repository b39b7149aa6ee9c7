import csv
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf

from components.errors import InputError
from entrypoints.config_check import check
from entrypoints.evaluate import evaluate_run
from entrypoints.runs import build_datamodule, load_module, load_run
from lightning_modules.skeletonclip import clip_answers
from tests.entrypoints.skeleton_run import (
    NAMES,
    classifier_config,
    clip_config,
    data_config,
    write_clips,
    write_skeleton_run,
)
from tests.entrypoints.videowalk_run import write_walk_run
from tests.process import command_line

QUICK = ("clips=2", "tsne_samples=0")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture
def run(tmp_path: Path, clips: Path) -> Path:
    return write_skeleton_run(tmp_path / "run", clips)


@functools.cache
def defaults() -> DictConfig:
    config = check("evaluate", ["protocol=skeletonclip", "run=x", "device=cpu"])
    return OmegaConf.masked_copy(config, [str(key) for key in config if key not in ("hydra", "paths")])


def evaluate(run: Path, *overrides: str) -> tuple[Any, Path]:
    given = OmegaConf.from_dotlist([f"run={run}", *QUICK, *overrides])
    return evaluate_run(OmegaConf.to_container(OmegaConf.merge(defaults(), given)))  # type: ignore[arg-type]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def scores_of(folder: Path, name: str = "results") -> dict[str, np.ndarray]:
    with np.load(folder / f"{name}.npz", allow_pickle=False) as stored:
        return dict(stored)


def test_scores_and_files(run: Path, clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report, folder = evaluate(run, "tsne_samples=100", "tsne_steps=20", "clip_chunk=3")
    loaded = load_run(run)
    module = load_module(loaded)
    data = build_datamodule(loaded.config)
    data.setup("test")
    with torch.no_grad():
        expected = torch.cat([module.clip_scores(batch["imgs"]) for batch in data.test_dataloader()]).numpy()
    results = scores_of(folder)
    assert results["sample_names"].tolist() == data.sample_names("test") == [f"c{number}" for number in range(12, 24)]
    np.testing.assert_allclose(results["outputs"], expected, atol=1e-6)
    assert expected.std() > 1e-3
    labels = np.arange(12, 24) % 4
    assert results["labels"].tolist() == labels.tolist()
    right = results["outputs"].argmax(1) == labels
    assert report.metrics["test/top1"] == right.mean()
    assert report.metrics["test/top1_low"] < right.mean() < report.metrics["test/top1_high"]
    published = json.loads((folder / "test_metric.json").read_text())
    assert published["top1_acc"] == report.metrics["test/top1"]
    assert published["Class Wise Recall"] == [round(float(right[labels == label].mean()), 3) for label in range(4)]
    assert published["Overall F1-score"] == report.metrics["test/macro_f1"]
    wrong = json.loads((folder / "wrong_sample_statistics.json").read_text())
    assert len(wrong) == 12 - right.sum()
    first = next(number for number in range(12) if not right[number])
    said = NAMES[results["outputs"][first].argmax()]
    assert wrong[f"c{first + 12}"] == f"{NAMES[labels[first]]} but wrong predicted as {said}"
    confusion = rows_of(folder / "confusion_matrix.csv")
    assert [row[""] for row in confusion] == NAMES
    assert sum(int(row[name]) for row in confusion for name in NAMES) == 12
    assert sum(int(confusion[label][NAMES[label]]) for label in range(4)) == right.sum()
    stored = json.loads((folder / "results.json").read_text())
    assert stored["class_names"] == NAMES
    np.testing.assert_allclose([sample["scores"] for sample in stored["samples"]], results["outputs"], atol=1e-6)
    for name in ("confusion_matrix", "pca50-t_sne_vis"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 5000
    assert scores_of(folder, "t_sne_vis_out")["target_outputs"].shape == (12, 12)
    assert rows_of(folder / "features.csv")[0].keys() == {"sample", "class", "pca_1", "pca_2", "t_sne_1", "t_sne_2"}
    assert json.loads((run / "metrics.json").read_text())["test/top1"] == report.metrics["test/top1"]

    # Again: nothing is asked, every byte is the same; nor does it matter where the work was cut off.
    asked: list[int] = []
    honest = clip_answers.clip_answers

    def telling(module: Any, imgs: torch.Tensor, chunk: int) -> Any:
        asked.append(len(imgs))
        return honest(module, imgs, chunk)

    monkeypatch.setattr(clip_answers, "clip_answers", telling)
    files = [file for file in folder.rglob("*") if file.suffix in (".json", ".csv", ".md", ".npz")]
    before = {file: file.read_bytes() for file in files}
    options = ("tsne_samples=100", "tsne_steps=20", "clip_chunk=3")
    evaluate(run, *options)
    assert asked == []
    (part,) = folder.glob("parts/*/00000.npz")
    part.write_bytes(part.read_bytes()[:-50])
    evaluate(run, *options)
    assert asked == [4, 4, 4]
    assert {file: file.read_bytes() for file in files} == before
    # Another split is other work, and no figure of the run's own data.
    evaluate(run, "split=train", f"output={folder.parent / 'other'}")
    assert asked[3:] == [4, 4, 4]
    assert json.loads((run / "metrics.json").read_text())["test/top1"] == report.metrics["test/top1"]


def test_texts_are_read_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder

    read: list[int] = []
    encode = TextEncoder.encode

    def telling(self: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        read.append(len(input_ids))
        return encode(self, input_ids, attention_mask)

    monkeypatch.setattr(TextEncoder, "encode", telling)
    evaluate(run, "flip=false")
    assert read == [4]


def test_late_fusion(run: Path, clips: Path, tmp_path: Path) -> None:
    limbs = data_config(clips)["heatmap"] | {"kind": "limb"}
    other = write_skeleton_run(tmp_path / "limbs", clips, clip_config("mean_then_embed"), seed=8, heatmap=limbs)
    report, folder = evaluate(run, f"fuse=[{other}]", "fuse_weights=[1,3]")
    rows = rows_of(folder / "recognition.csv")
    assert [row["run"] for row in rows] == [
        "skeletonclip_tiny run", "skeletonclip_tiny limbs", "fused 1:1", "fused 2:1", "fused 1:2", "fused 1:3",
    ]  # fmt: skip
    own, fused = scores_of(folder), scores_of(folder, "results_fused")
    alone = scores_of(evaluate(other)[1])
    assert abs(own["outputs"] - alone["outputs"]).max() > 1e-4
    np.testing.assert_allclose(fused["outputs"], own["outputs"] + 3 * alone["outputs"], atol=1e-5)
    twice = 2 * own["outputs"] + alone["outputs"]
    assert report.metrics["test/fused_2_1_top1"] == (twice.argmax(1) == own["labels"]).mean()
    # Stored results serve as well, in any order of the samples.
    stored = {name: value[::-1] for name, value in alone.items() if name != "class_names"}
    np.savez(tmp_path / "stored.npz", **stored)  # type: ignore[arg-type]
    again, _ = evaluate(run, f"fuse=[{tmp_path / 'stored.npz'}]")
    assert again.metrics["test/fused_2_1_top1"] == report.metrics["test/fused_2_1_top1"]


def test_what_cannot_be_fused(run: Path, clips: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="checkpoint of 'videowalk', expected 'skeletonclip'"):
        evaluate(run, f"fuse=[{write_walk_run(tmp_path / 'walk')}]")
    fewer = write_clips(tmp_path / "fewer")
    (fewer / "labels.csv").write_text("id,name\n0,a\n1,b\n2,c\n3,d\n")
    with pytest.raises(InputError, match="only scores of the same classes"):
        evaluate(run, f"fuse=[{write_skeleton_run(tmp_path / 'classes', fewer)}]")
    more = write_clips(tmp_path / "more", per_class=8)
    with pytest.raises(InputError, match="scores of 16 samples, the first one of 12"):
        evaluate(run, f"fuse=[{write_skeleton_run(tmp_path / 'samples', more)}]")
    np.savez(tmp_path / "bad.npz", outputs=np.zeros((3, 4)))
    with pytest.raises(InputError, match=r"bad\.npz cannot be read"):
        evaluate(run, f"fuse=[{tmp_path / 'bad.npz'}]")


def test_unseen_classes(clips: Path, tmp_path: Path) -> None:
    run = write_skeleton_run(tmp_path / "unseen", clips, unseen_classes=["jump", "run"])
    report, folder = evaluate(run)
    rows = rows_of(folder / "unseen.csv")
    assert [row["samples of classes"] for row in rows] == [
        "unseen among the 2 unseen",
        "unseen among all 4",
        "seen among all 4",
    ]
    assert [row["samples"] for row in rows] == ["6", "6", "6"]
    assert [float(row["chance %"]) for row in rows] == [50, 25, 25]
    # The run's own test, of the unseen classes among themselves.
    loaded = load_run(run)
    data = build_datamodule(loaded.config)
    data.setup("test")
    module = load_module(loaded).with_texts(data.texts("test").names)
    with torch.no_grad():
        scores = torch.cat([module.clip_scores(batch["imgs"]) for batch in data.test_dataloader()]).numpy()
    np.testing.assert_allclose(scores_of(folder)["outputs"], scores, atol=1e-6)
    assert report.metrics["test/top1"] == (scores.argmax(1) == data.labels("test")).mean()
    assert report.metrics["test/unseen_top1"] == report.metrics["test/top1"]
    assert report.metrics["test/unseen_chance"] == 0.5
    assert report.metrics["test/unseen_p_permuted"] in (0.5, 1.0)
    assert scores_of(folder)["class_names"].tolist() == ["run", "jump"]
    # All clips of the file: the seen ones of the training are left out.
    report, folder = evaluate(run, "split=all")
    assert [row["samples"] for row in rows_of(folder / "unseen.csv")] == ["12", "12", "6"]
    classifier = write_skeleton_run(tmp_path / "classifier", clips, classifier_config(), unseen_classes=["jump"])
    with pytest.raises(InputError, match="a classifier knows no texts"):
        evaluate(classifier)


def test_the_baseline(clips: Path, tmp_path: Path) -> None:
    run = write_skeleton_run(tmp_path / "run", clips, classifier_config())
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/top1\n" + "0,1,2.0,0.2\n1,2,1.5,0.3\n2,3,1.2,0.5\n")
    report, folder = evaluate(run, "clip_chunk=1")
    data = build_datamodule(load_run(run).config)
    data.setup("test")
    module = load_module(load_run(run))
    with torch.no_grad():
        expected = torch.cat([module.clip_scores(batch["imgs"]) for batch in data.test_dataloader()]).numpy()
    np.testing.assert_allclose(scores_of(folder)["outputs"], expected, atol=1e-6)
    assert "retrieval" not in report.tables
    assert (folder / "figures" / "curves_of_runs.png").stat().st_size > 5000
    few = write_clips(tmp_path / "few")
    (few / "labels.csv").write_text("id,name\n0,a\n1,b\n2,c\n3,d\n4,e\n")
    with pytest.raises(InputError, match="tells 4 classes apart"):
        evaluate(run, f"data.root={few}")


def test_faults(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="4 faults in evaluate"):
        evaluate(run, "clip_chunk=0", "clips=0", "fuse_weights=[1]", "perplexity=1")
    with pytest.raises(InputError, match="clip_chunk"):
        evaluate(run, "clip_chunk=many")
    with pytest.raises(InputError, match=r"data\.test_split=testt: .*no such split.*did you mean 'test'"):
        evaluate(run, "split=testt")
    with pytest.raises(InputError, match=r"empty: this split .* names no clip"):
        evaluate(run, "split=empty")
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["state_dict"]["net.temp"] += torch.nan
    checkpoint["state_dict"]["net.text_proj.bias"] += torch.nan
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    with pytest.raises(InputError, match="not finite"):
        evaluate(run)
    assert not (run / "evaluation" / "metrics.json").exists()


def test_scores_over_the_temperature(run: Path) -> None:
    _, folder = evaluate(run)
    (part,) = folder.glob("parts/*/00000.npz")
    cosines = np.load(part)["answers"].astype(np.float64)
    bare = scores_of(folder)["outputs"]
    sharp = scores_of(evaluate(run, "use_temperature=true")[1])["outputs"]
    for outputs, divisor in ((bare, 1.0), (sharp, 0.07)):
        powers = np.exp(cosines / divisor)
        np.testing.assert_allclose(outputs, (powers / powers.sum(2, keepdims=True)).mean(1), atol=1e-6)


def test_the_test_of_the_training_says_the_same(run: Path) -> None:
    loaded = load_run(run)
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False,
    )  # fmt: skip
    (tested,) = trainer.test(load_module(loaded), datamodule=build_datamodule(loaded.config), verbose=False)
    metrics = evaluate(run)[0].metrics
    for name in ("test/top1", "test/top5", "test/mean_class_acc"):
        assert metrics[name] == pytest.approx(tested[name], abs=1e-6)


@pytest.mark.slow
def test_the_command_line(run: Path) -> None:
    printed = command_line.run("evaluate", f"run={run}", "device=cpu", *QUICK)
    assert "### Recognition of test: 4 classes" in printed
    assert (run / "evaluation" / "figures" / "confusion_matrix.png").is_file()
