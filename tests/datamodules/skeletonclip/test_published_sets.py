"""Configs of published skeleton sets: file names, splits, joints and class texts fit the files that are distributed."""

import os
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet, write_skeleton_set
from datamodules.skeletonclip.datamodule import SkeletonDataModule

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "jhmdb_pyskl"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: set TROUPE_DATA to the folder of real data")


def module(name: str, *overrides: str) -> SkeletonDataModule:
    with initialize_config_module("conf", version_base=None):
        config = compose("train", [f"data={name}", "data.num_workers=0", "data.batch_size=2", *overrides])
        return instantiate(config.data)


def write(path: Path, train: str, test: str, joints: int = 17, dims: int = 2) -> None:
    generator = np.random.default_rng(0)
    clips = []
    for number in range(4):
        keypoint = generator.uniform(0.1, 0.9, (1 + number % 2, 6, joints, dims)).astype(np.float16)
        keypoint = keypoint * 200 if dims == 2 else keypoint + np.float16(2)
        clips.append(SkeletonClip(f"clip{number}", number, keypoint, None, (240, 320) if dims == 2 else None, 6))
    names = [clip.name for clip in clips]
    write_skeleton_set(path, SkeletonSet(clips, {train: names[:3], test: names[3:]}))


@pytest.mark.parametrize(
    ("name", "file", "splits", "classes", "channels"),
    [
        ("ntu60_skeletons", "ntu60_hrnet", ("xsub_train", "xsub_val"), 60, 17),
        ("ntu60_skeletons_3d", "ntu60_3danno", ("xsub_train", "xsub_val"), 60, 25),
        ("ntu120_skeletons", "ntu120_hrnet", ("xsub_train", "xsub_val"), 120, 17),
        ("hmdb51_skeletons", "hmdb51_hrnet", ("train2", "test2"), 51, 17),
        ("ucf101_skeletons", "ucf101_hrnet", ("train2", "test2"), 101, 17),
    ],
)
def test_published_files_load_under_their_config(tmp_path, name, file, splits, classes, channels):
    write(tmp_path / f"{file}.pkl", *splits, joints=channels, dims=3 if channels == 25 else 2)
    # Pickles of other sets in the same folder do not matter.
    (tmp_path / "other.pkl").write_bytes(b"")
    data = module(name, f"data.root={tmp_path}", "data.fold=2", "data.clip_len=4")
    assert (data.num_classes, data.in_channels) == (classes, channels)
    assert data.sample_names("train") == ["clip0", "clip1", "clip2"]
    assert data.sample_names("val") == data.sample_names("test") == ["clip3"]
    # The pickle itself may be given as well.
    assert module(name, f"data.root={tmp_path / file}.pkl").ann_path == data.ann_path
    sample = data.dataset("train")[0]
    assert tuple(sample["keypoint"].shape) == (1, 1, 4, channels, 2)
    assert bool((sample["score"] > 0).any())


def test_3d_files_need_a_camera_and_another_skeleton_is_told(tmp_path):
    write(tmp_path / "set.pkl", "train", "val", joints=25, dims=3)
    with pytest.raises(InputError, match=r"25 joints, but skeleton 'coco17' has 17; data\.skeleton=ntu25"):
        _ = module("skeletons", f"data.root={tmp_path}").skeletons
    with pytest.raises(InputError, match=r"3D joints and no img_shape.*\n.*data\.camera="):
        _ = module("skeletons", f"data.root={tmp_path}", "data.skeleton=ntu25").skeletons
    camera = "data.camera={_target_:components.keypoints.camera.JointCamera,kind:drop_z}"
    assert module("skeletons", f"data.root={tmp_path}", "data.skeleton=ntu25", camera).skeletons.clips[0].planar


@real
def test_the_folds_of_the_real_set():
    for fold, train, test in ((1, 433, 176), (3, 434, 175)):
        data = module("jhmdb_skeletons", f"data.root={DATA}", f"data.fold={fold}")
        assert (len(data.sample_names("train")), len(data.sample_names("test"))) == (train, test)
        assert (data.num_classes, data.in_channels) == (14, 15)
    with pytest.raises(InputError, match=r"data\.train_split=train4: .* it has train1 \(433\)"):
        module("jhmdb_skeletons", f"data.root={DATA}", "data.fold=4").sample_names("train")


@real
def test_unseen_classes_of_the_real_set():
    data = module("jhmdb_skeletons", f"data.root={DATA}", "data.unseen_classes=[run,clap hands,5]")
    assert data.num_classes == 11
    assert data.texts("test").names == ["clap hands", "pour a drink", "run"]
    assert np.unique(data.labels("train")).tolist() == list(range(11))
    assert np.unique(data.labels("test")).tolist() == [0, 1, 2]
    own = {clip.name.split("_")[0] for clip in data.sides["test"].clips}
    assert own == {"clap", "pour", "run"}
    assert not own & {clip.name.split("_")[0] for clip in data.sides["train"].clips}
