"""The synthetic set: pyskl's form, the same from the same seed, splits without a common person."""

import csv
import logging
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.keypoints.annotations import SkeletonSet, read_skeleton_set
from components.keypoints.skeletons import load_skeleton
from components.synthetic.actions import ACTIONS
from components.synthetic.skeleton_clips import (
    ANNOTATIONS,
    CASTS,
    CLASS_TEXTS,
    LABELS,
    SHEET,
    draw_clip,
    write_skeletons,
)
from components.synthetic.video_sets import CARD

COUNTS = dict(train_clips=2, val_clips=1, test_clips=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("skeletons") / "set"
    assert write_skeletons(place, **COUNTS)
    return place


@pytest.fixture(scope="module")
def written(folder: Path) -> SkeletonSet:
    return read_skeleton_set(folder / ANNOTATIONS, load_skeleton("coco17"))


def test_the_pickle_is_what_pyskl_reads(folder: Path) -> None:
    with open(folder / ANNOTATIONS, "rb") as file:
        content = pickle.load(file)
    assert set(content) == {"split", "annotations"}
    assert {split: len(names) for split, names in content["split"].items()} == {"train": 24, "val": 12, "test": 12}
    names = [annotation["frame_dir"] for annotation in content["annotations"]]
    assert len(set(names)) == 48
    assert sorted(name for members in content["split"].values() for name in members) == sorted(names)
    for annotation in content["annotations"]:
        persons, frames = annotation["keypoint"].shape[:2]
        assert annotation["keypoint"].shape == (persons, frames, 17, 2)
        assert annotation["keypoint"].dtype == annotation["keypoint_score"].dtype == np.float16
        assert annotation["keypoint_score"].shape == (persons, frames, 17)
        assert annotation["total_frames"] == frames
        assert 30 <= frames <= 100
        assert type(annotation["label"]) is int
        assert len(annotation["img_shape"]) == 2
        assert tuple(annotation["original_shape"]) == tuple(annotation["img_shape"])


def test_joints_are_in_the_pictures_and_zeros_are_missing(written: SkeletonSet) -> None:
    shares = []
    for clip in written.clips:
        assert clip.img_shape is not None
        assert clip.score is not None
        height, width = clip.img_shape
        missing = (clip.keypoint == 0).any(-1)
        np.testing.assert_array_equal(missing, clip.score == 0)
        assert (clip.keypoint[missing] == 0).all()
        assert clip.keypoint[~missing].min() >= 1
        assert (clip.keypoint[~missing] <= [width - 1, height - 1]).all()
        assert np.isfinite(clip.keypoint).all()
        shares.append(missing[0].mean())
        points = clip.keypoint[0].astype(np.float32)[~missing[0]]
        assert (np.ptp(points, axis=0) / [width, height]).max() > 0.3, "people are not small"
    assert 0.002 < np.mean(shares) < 0.08


def test_every_class_in_every_split_and_nobody_in_two(written: SkeletonSet) -> None:
    labels = {clip.name: clip.label for clip in written.clips}
    people = {}
    for split, count in (("train", 2), ("val", 1), ("test", 1)):
        names = written.splits[split]
        assert Counter(labels[name] for name in names) == dict.fromkeys(range(12), count)
        people[split] = {name.rsplit("_", 2)[1] for name in names}
        assert len(people[split]) > CASTS[split] // 3
    assert not people["train"] & people["val"]
    assert not (people["train"] | people["val"]) & people["test"]


def test_the_splits_share_no_motion() -> None:
    shapes = {split: draw_clip("walk", split, 0).keypoint for split in CASTS}
    flat = {split: keypoint[0, :30].astype(np.float32) for split, keypoint in shapes.items()}
    assert not np.array_equal(flat["train"], flat["val"])
    assert not np.array_equal(flat["val"], flat["test"])


def test_class_texts(folder: Path) -> None:
    rows = list(csv.DictReader((folder / LABELS).read_text().splitlines()))
    assert [int(row["id"]) for row in rows] == list(range(12))
    assert [row["name"] for row in rows] == [CLASS_TEXTS[action] for action in ACTIONS]
    assert len(set(CLASS_TEXTS.values())) == 12


def test_the_same_seed_gives_the_same_clips(written: SkeletonSet) -> None:
    index = {clip.name: clip for clip in written.clips}
    for split, action in (("train", "throw"), ("test", "sit")):
        again = draw_clip(action, split, 0)
        np.testing.assert_array_equal(again.keypoint, index[again.name].keypoint)
        np.testing.assert_array_equal(again.score, index[again.name].score)
        other = draw_clip(action, split, 0, seed=1)
        assert other.keypoint.shape != again.keypoint.shape or (other.keypoint != again.keypoint).any()


def test_left_is_the_persons_own_left() -> None:
    skeleton = load_skeleton("coco17")
    right_of = 0
    for index in range(12):
        # Who stands before a camera has their left on its right side; view_angle=0 sees everybody from the front.
        clip = draw_clip("lift_dumbbell", "train", index, view_angle=0.0)
        points = clip.keypoint[0].astype(np.float32)
        for part in ("shoulder", "hip", "ankle"):
            left, right = (points[:, skeleton.joints.index(f"{side}_{part}"), 0] for side in ("left", "right"))
            right_of += np.median(left - right) > 0
    assert right_of == 36


def test_a_written_set_stays_until_its_settings_change(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = (folder / ANNOTATIONS).stat().st_mtime_ns
    assert not write_skeletons(folder, **COUNTS)
    assert (folder / ANNOTATIONS).stat().st_mtime_ns == before
    assert {path.name for path in folder.iterdir()} == {ANNOTATIONS, LABELS, SHEET, CARD}
    place = folder.parent / "small"
    small = dict(train_clips=1, val_clips=1, test_clips=1)
    with caplog.at_level(logging.INFO):
        assert write_skeletons(place, **small)
    assert "synthetic skeletons" in caplog.text
    assert write_skeletons(place, **small, seed=3), "another seed is another set"


def test_the_picture_shows_every_class(folder: Path) -> None:
    picture = np.asarray(Image.open(folder / SHEET).convert("RGB")).astype(int)
    assert picture.shape[0] > 12 * 92
    assert picture.shape[1] > 2 * 7 * 92
    blue = picture[..., 2] - picture[..., 0] > 80
    red = picture[..., 0] - picture[..., 2] > 80
    rows = np.array_split(np.arange(len(picture)), 12)
    for row in rows:
        assert blue[row].sum() > 300
        assert red[row].sum() > 300


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"train_clips": 0}, "train_clips=0"), ({"test_clips": -1}, "test_clips=-1"), ({"view_angle": 200}, "view_angle")],
)
def test_faults(tmp_path: Path, settings: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        write_skeletons(tmp_path / "set", **settings)
    assert not (tmp_path / "set").exists()


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "skeletons.pkl").write_bytes(b"mine")
    with pytest.raises(InputError, match="left alone"):
        write_skeletons(tmp_path, **COUNTS)
