import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet, write_skeleton_set
from components.keypoints.camera import JointCamera
from datamodules.skeletonclip import SkeletonDataModule, dataset
from datamodules.skeletonclip.pose_transforms import Compact, RandomCrop
from datamodules.skeletonclip.settings import CanvasSizes, ClipCounts, DoubleFlip, Heatmap

TEXTS = "id,name\n0,drink water\n1,sit down\n1,take a seat\n2,walk\n"


def clip(number: int, label: int | None, dims: int = 2) -> SkeletonClip:
    """A person or two about the middle of a picture, or before a depth camera."""
    generator = np.random.default_rng(number)
    persons, frames = 1 + number % 2, 5 + number
    keypoint = generator.normal(0, 30, (persons, frames, 17, dims)) + [100, 80, 300][:dims]
    if dims == 3:
        keypoint /= 100
    score = generator.uniform(0.2, 1, (persons, frames, 17)).astype(np.float32)
    shape = (160, 200) if dims == 2 else None
    return SkeletonClip(f"clip{number}", label, keypoint.astype(np.float32), score, shape, frames)


def write(folder: Path, dims: int = 2) -> Path:
    clips = [clip(number, number % 3, dims) for number in range(9)]
    splits = {"train": [one.name for one in clips[:6]], "val": [one.name for one in clips[6:]], "none": []}
    (folder / "labels.csv").write_text(TEXTS)
    return write_skeleton_set(folder / "poses.pkl", SkeletonSet(clips, splits))


def module(root: Path, **changed: Any) -> SkeletonDataModule:
    options: dict[str, Any] = {
        "clip_len": 4, "clips": ClipCounts(1, 2, 2), "size": CanvasSizes(16, 12, 14), "crop": RandomCrop(),
        "compact": Compact(), "batch_size": 4, "eval_batch_size": 2, "repeat": 2,
    }  # fmt: skip
    return SkeletonDataModule(str(root), **{**options, **changed})


def batches(data: SkeletonDataModule, stage: str = "train") -> list[Any]:
    return [data.finish(batch) for batch in getattr(data, f"{stage}_dataloader")()]


def test_batches_of_all_stages(tmp_path: Path) -> None:
    write(tmp_path)
    data = module(tmp_path, double_flip=DoubleFlip(val=False, test=True), test_split=None)
    assert (data.num_classes, data.in_channels) == (3, 17)
    assert data.label_texts == ["drink water", ["sit down", "take a seat"], "walk"]
    assert data.sample_names("val") == ["clip6", "clip7", "clip8"]
    data.setup("fit")
    train, val, test = (batches(data, stage) for stage in ("train", "val", "test"))
    assert [tuple(batch["imgs"].shape) for batch in train] == [(4, 1, 17, 4, 12, 12)] * 3
    assert [tuple(batch["imgs"].shape) for batch in val] == [(2, 2, 17, 4, 14, 14), (1, 2, 17, 4, 14, 14)]
    assert test[0]["imgs"].shape[1] == 4
    for batch in (*train, *val, *test):
        assert batch["imgs"].dtype == torch.float32
        assert 0.2 < batch["imgs"].max() <= 1
        assert (batch["label"] == batch["index"] % 3).all()
    assert sorted(torch.cat([batch["index"] for batch in train]).tolist()) == sorted([*range(6)] * 2)
    assert torch.cat([batch["index"] for batch in test]).tolist() == list(range(9))
    torch.testing.assert_close(
        test[0]["imgs"][:, 2:], test[0]["imgs"][:, :2, data.skeleton.joint_mirror].flip(-1), rtol=0, atol=0
    )


@pytest.mark.parametrize("kind", ["keypoint", "limb"])
def test_volumes_drawn_on_the_accelerator_are_the_same(tmp_path: Path, kind: Any) -> None:
    write(tmp_path)
    here, there = (module(tmp_path, heatmap=Heatmap(kind, device=device)) for device in ("worker", "accelerator"))
    for stage in ("train", "test"):
        raw = next(iter(getattr(there, f"{stage}_dataloader")()))
        assert "imgs" not in raw
        assert sum(value.nbytes for value in raw.values() if isinstance(value, torch.Tensor)) < 60_000
        for one, other in zip(batches(here, stage), batches(there, stage), strict=True):
            assert set(one) == set(other) == {"imgs", "label", "index"}
            torch.testing.assert_close(one["imgs"], other["imgs"], rtol=0, atol=0)
            assert one["index"].equal(other["index"])


def test_epochs_differ_and_are_repeatable(tmp_path: Path) -> None:
    write(tmp_path)

    def samples(data: SkeletonDataModule, epoch: int) -> dict[int, list[float]]:
        loader = data.train_dataloader()
        loader.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]
        found: dict[int, list[float]] = {}
        for batch in loader:
            for number, img in zip(batch["index"].tolist(), batch["imgs"]):
                found.setdefault(number, []).append(float(img.double().square().sum()))
        return {number: sorted(sums) for number, sums in found.items()}

    data = module(tmp_path)
    first = samples(data, 0)
    assert first == samples(module(tmp_path), 0)
    assert first == samples(module(tmp_path, batch_size=3), 0)  # whatever batch a sample is in
    second = samples(data, 1)
    assert all(first[number] != second[number] for number in first)
    assert all(len(set(sums)) == 2 for sums in first.values())


@pytest.mark.slow
def test_workers_do_not_change_the_batches(tmp_path: Path) -> None:
    write(tmp_path)
    for one, other in zip(batches(module(tmp_path)), batches(module(tmp_path, num_workers=2)), strict=True):
        torch.testing.assert_close(one["imgs"], other["imgs"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("among", "texts", "labels"),
    [("unseen", ["drink water", "walk"], [0, 1]), ("all", ["drink water", "sit down", "walk"], [0, 2])],
)
def test_classes_that_are_not_trained_on(tmp_path: Path, among: Any, texts: list[str], labels: list[int]) -> None:
    write(tmp_path)
    data = module(tmp_path, unseen_classes=["walk", 0], unseen_among=among)
    assert data.label_texts == [["sit down", "take a seat"]]
    assert data.class_names == ["sit down"]
    assert data.texts("test").names == texts
    assert len(data.test_label_texts) == len(texts)
    assert np.unique(data.labels("train")).tolist() == [0]
    assert np.unique(data.labels("val")).tolist() == [0]
    assert data.sample_names("val") == ["clip7"]
    assert np.unique(data.labels("test")).tolist() == labels
    assert data.sample_names("test") == ["clip6", "clip8"]
    assert data.facts()["unseen_classes"] == ["walk", "drink water"]


def test_one_unseen_class_is_told_from_all_others_only(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match="one class among itself is always right"):
        module(tmp_path, unseen_classes=["walk"]).setup()
    assert module(tmp_path, unseen_classes=["walk"], unseen_among="all").labels("test").tolist() == [2]


def test_classes_are_resampled_by_name(tmp_path: Path) -> None:
    write(tmp_path)
    data = module(tmp_path, class_prob={"walk": 0.0, 0: 0.5})
    label = torch.cat([batch["label"] for batch in batches(data)])
    assert torch.bincount(label, minlength=3).tolist() == [2, 4, 0]


def test_three_dimensions_need_a_camera(tmp_path: Path) -> None:
    root = write(tmp_path, dims=3)
    with pytest.raises(InputError, match=r"clip 'clip0' has 3D joints and no img_shape"):
        module(root).setup()
    data = module(root, camera=JointCamera())
    assert all(batch["imgs"].any() for batch in batches(data))


class Recorder(LightningModule):
    """Keeps the volumes of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: list[tuple[str, list[int], int]] = []

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return {**batch, "classes": batch["label"].unique()}

    def _see(self, stage: str, batch: Any) -> None:
        assert set(batch) == {"imgs", "label", "index", "classes"}
        self.seen.append((stage, batch["index"].tolist(), batch["imgs"].shape[1]))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self._see("train", batch)
        return self.layer(batch["imgs"].mean()[None]).sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._see("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._see("test", batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.filterwarnings("ignore:You have overridden `on_before_batch_transfer`")
def test_a_trainer_builds_the_volumes_of_each_stage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path)
    data = module(tmp_path, heatmap=Heatmap(device="accelerator"))
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
    )  # fmt: skip
    model = Recorder()
    with caplog.at_level(logging.WARNING, logger="datamodules"):
        trainer.fit(model, datamodule=data)
        trainer.test(model, datamodule=data, verbose=False)
    assert [stage for stage, _, _ in model.seen] == (["train"] * 3 + ["val"] * 2) * 2 + ["test"] * 2
    assert [clips for stage, _, clips in model.seen if stage == "test"] == [4, 4]
    orders = [[index for stage, index, _ in part if stage == "train"] for part in (model.seen[:5], model.seen[5:10])]
    assert orders[0] != orders[1]
    assert "say" not in caplog.text


def test_what_is_said_about_the_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path)
    with caplog.at_level(logging.INFO, logger="datamodules"):
        module(tmp_path, val_split="train").prepare_data()
    assert "6 clips are in data.train_split and data.val_split: a result on them says little" in caplog.text
    facts = module(tmp_path).facts()
    assert facts["splits"]["train"]["clips_per_class"] == {"drink water": 2, "sit down": 2, "walk": 2}
    assert facts["splits"]["val"]["frames_per_clip"] == {"min": 11, "median": 12.0, "max": 13}


def test_clips_without_anybody_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = [clip(number, number % 3) for number in range(4)]
    clips[1].keypoint[:] = np.nan
    clips[2].keypoint[:] = 0
    clips[3].keypoint[:, 0] = 0  # comes later
    (tmp_path / "labels.csv").write_text(TEXTS)
    path = write_skeleton_set(tmp_path / "poses.pkl", SkeletonSet(clips))
    with caplog.at_level(logging.WARNING, logger="datamodules"):
        module(path, train_split=None, val_split=None, test_split=None).prepare_data()
    assert "nobody is seen in 2 of 4 clips (clip1, clip2)" in caplog.text


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no annotation pickle"):
        module(tmp_path).setup()
    path = write(tmp_path)
    with pytest.raises(InputError, match=r"data\.root=.*: no 'ntu60_hrnet\.pkl' there \(data\.ann_file\)"):
        module(tmp_path, ann_file="ntu60_hrnet.pkl").setup()
    with pytest.raises(InputError, match=r"data\.train_split=trian: .*did you mean 'train'"):
        module(path, train_split="trian").setup()
    with pytest.raises(InputError, match=r"data\.val_split=none: .* names no clip"):
        module(path, val_split="none").setup()
    with pytest.raises(InputError, match="17 joints, but skeleton 'jhmdb15' has 15"):
        module(path, skeleton="jhmdb15").setup()
    (tmp_path / "short.csv").write_text("id,name\n0,drink water\n1,sit down\n")
    with pytest.raises(InputError, match=r"clip 'clip2' has label 2 .*has 2 classes"):
        module(path, label_file=str(tmp_path / "short.csv")).setup()
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(InputError, match=r"data\.label_file=null, and there is no labels\.csv"):
        module(path).setup()
    (tmp_path / "other.pkl").write_bytes(b"")
    with pytest.raises(InputError, match=r"has 2 pickles: other\.pkl, poses\.pkl"):
        module(tmp_path).setup()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 0}, r"data\.batch_size=0"),
        ({"flip_prob": 1.5}, r"data\.flip_prob=1\.5"),
        ({"clip_len": 0}, r"data\.clip_len=0"),
        ({"img_shape": [10]}, r"data\.img_shape=\[10\]"),
        ({"sample_seed": -1}, r"data\.sample_seed=-1"),
        ({"camera": "drop_z"}, r"data\.camera=drop_z"),
    ],
)
def test_settings_out_of_range(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        module(tmp_path, **changed)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (ClipCounts, {"val": 0}, r"data\.clips\.val=0"),
        (CanvasSizes, {"eval": 0}, r"data\.size\.eval=0"),
        (Heatmap, {"kind": "bones"}, r"data\.heatmap\.kind='bones'"),
        (Heatmap, {"sigma": 0.0}, r"data\.heatmap\.sigma=0\.0"),
        (Heatmap, {"device": "gpu"}, r"data\.heatmap\.device='gpu'"),
    ],
)
def test_groups_out_of_range(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**options)


def test_too_little_shared_memory_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(size: int) -> None:
        raise RuntimeError("No space left on device")

    write(tmp_path)
    data = module(tmp_path)
    items = [data.dataset("val")[0]]
    monkeypatch.setattr(dataset, "get_worker_info", object)
    data.collate("val")(items)
    monkeypatch.setattr(torch.UntypedStorage, "_new_shared", full)
    with pytest.raises(InputError, match=r"a batch of 1 MiB does not fit .* left on device\)"):
        data.collate("val")(items)
