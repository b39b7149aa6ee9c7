"""Skeleton annotations: what is read, what is written, and what is said of broken clips and files."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet, read_skeleton_set, write_skeleton_set
from components.keypoints.skeletons import load_skeleton

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "jhmdb_pyskl"
COCO = load_skeleton("coco17")


def annotation(name: str = "a", frames: int = 4, joints: int = 17, **changes: Any) -> dict[str, Any]:
    keypoint = np.random.default_rng(0).random((1, frames, joints, 2)).astype(np.float16)
    content = {
        "frame_dir": name,
        "label": 1,
        "img_shape": (240, 320),
        "original_shape": (240, 320),
        "total_frames": frames,
        "keypoint": keypoint,
        "keypoint_score": np.ones((1, frames, joints), np.float16),
    }
    return {key: value for key, value in {**content, **changes}.items() if value is not None}


def stored(path: Path, annotations: Any, **splits: list[str]) -> Path:
    path.write_bytes(pickle.dumps({"split": splits, "annotations": annotations}, protocol=4))
    return path


def test_what_is_written_is_what_is_read(tmp_path):
    clips = [
        SkeletonClip(f"c{i}", i if i else None, np.full((2, 3 + i, 17, 2), i, np.float16), None, (48, 64), 3 + i)
        for i in range(3)
    ]
    path = write_skeleton_set(tmp_path / "new" / "set.pkl", SkeletonSet(clips, {"train": ["c0", "c2"], "test": ["c1"]}))
    read = read_skeleton_set(path, COCO)
    assert read.splits == {"train": ["c0", "c2"], "test": ["c1"]}
    assert read.labels.tolist() == [-1, 1, 2]
    for mine, theirs in zip(read.clips, clips, strict=True):
        assert (mine.name, mine.img_shape, mine.total_frames) == (theirs.name, (48, 64), theirs.total_frames)
        np.testing.assert_array_equal(mine.keypoint, theirs.keypoint)
        assert mine.score is None
    # A stock unpickler, as pyskl's, finds what it expects.
    stock = pickle.loads(path.read_bytes())
    assert stock["annotations"][1]["frame_dir"] == "c1"
    assert stock["annotations"][1]["original_shape"] == (48, 64)


def test_halves_stay_halves_and_other_numbers_become_singles(tmp_path):
    path = stored(
        tmp_path / "set.pkl",
        [annotation(), annotation("b", keypoint=np.ones((1, 4, 17, 2), np.int64)),
         annotation("c", keypoint=np.ones((1, 4, 17, 2)), keypoint_score=None)],
    )  # fmt: skip
    first, second, third = read_skeleton_set(path).clips
    assert first.keypoint.dtype == first.score.dtype == np.float16
    assert second.keypoint.dtype == third.keypoint.dtype == np.float32
    assert third.score is None


def test_a_file_is_not_held_twice(tmp_path):
    """Arrays are views of what the pickle brings, so that their bytes are there once."""
    clip = read_skeleton_set(stored(tmp_path / "set.pkl", [annotation()])).clips[0]
    assert clip.keypoint.base is not None
    assert not clip.keypoint.flags.writeable


def test_the_other_forms_of_the_file(tmp_path):
    path = tmp_path / "list.pkl"
    path.write_bytes(pickle.dumps([annotation(label=None, num_person_raw=3)]))
    bare = read_skeleton_set(path)
    assert bare.splits == {}
    assert bare.clips[0].label is None
    # The first annotation says which key names the clips, as in pyskl.
    named = [annotation(filename="x"), annotation(filename="y", img_shape=np.array([48, 64]), label=np.int64(3))]
    read = read_skeleton_set(stored(path, named, train=np.array(["x"]), val=("y",)))
    assert [clip.name for clip in read.clips] == ["x", "y"]
    assert read.splits == {"train": ["x"], "val": ["y"]}
    assert (read.clips[1].img_shape, read.clips[1].label) == ((48, 64), 3)


def test_missing_coordinates_are_no_fault(tmp_path):
    keypoint = np.zeros((1, 4, 17, 2), np.float16)
    keypoint[0, 1, 3] = np.nan
    assert np.isnan(
        read_skeleton_set(stored(tmp_path / "set.pkl", [annotation(keypoint=keypoint)])).clips[0].keypoint
    ).any()


FAULTS = [
    ({"total_frames": 7}, "total_frames is 7, but keypoint has 4 frames"),
    ({"total_frames": "4"}, "total_frames is '4'"),
    ({"img_shape": None}, r"no img_shape.*data\.img_shape="),
    ({"img_shape": (0, 320)}, r"img_shape is \(0, 320\)"),
    ({"img_shape": "240x320"}, "img_shape is '240x320'"),
    ({"keypoint": np.ones((4, 17, 2))}, r"keypoint is \[4, 17, 2\].*needs the person axis"),
    ({"keypoint": np.ones((1, 4, 17, 4))}, "2 or 3"),
    ({"keypoint": np.ones((0, 4, 17, 2))}, "expected .persons"),
    ({"keypoint": np.ones((1, 4, 17, 3))}, "3 coordinates and an img_shape"),
    ({"keypoint": np.ones((1, 4, 15, 2)), "keypoint_score": None}, r"15 joints.*'coco17' has 17"),
    ({"keypoint": np.full((1, 4, 17, 2), np.inf)}, "infinite"),
    ({"keypoint": np.full((1, 4, 17, 2), 1e300)}, "infinite coordinates"),
    ({"keypoint_score": np.full((1, 4, 17), np.inf)}, "infinite scores"),
    ({"keypoint": None}, "keypoint is NoneType"),
    ({"keypoint": [[1, 2]]}, "keypoint is list"),
    ({"keypoint": np.full((1, 4, 17, 2), "x")}, "keypoint is an array of <U1"),
    ({"keypoint": None, "raw_file": "k400/a.pkl"}, "raw_file"),
    ({"keypoint_score": np.ones((1, 4, 16))}, r"keypoint_score is \[1, 4, 16\]"),
    ({"label": -1}, "label is -1"),
    ({"label": 2.0}, r"label is 2\.0 \(float\)"),
    ({"label": True}, "label is True"),
    ({"label": "run"}, "label is 'run'"),
    ({"frame_dir": None}, "'frame_dir' is None"),
    ({"frame_dir": "good"}, "its name is that of annotation 0 too"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_a_broken_clip_is_named_or_left_out(tmp_path, changes, message):
    path = stored(tmp_path / "set.pkl", [annotation("good"), annotation("bad", **changes)], train=["good", "bad"])
    with pytest.raises(InputError, match=message) as caught:
        read_skeleton_set(path, COCO)
    assert str(caught.value).startswith(f"{path}: 1 of 2 clips are broken: ")
    assert "data.on_error=skip" in str(caught.value)
    kept = read_skeleton_set(path, COCO, on_error="skip")
    assert [clip.name for clip in kept.clips] == ["good"]
    assert len(kept.skipped) == 1


def test_a_file_without_a_whole_clip_is_an_error_whatever_the_policy(tmp_path):
    with pytest.raises(InputError, match="1 of 1 clips are broken"):
        read_skeleton_set(stored(tmp_path / "set.pkl", [annotation(total_frames=9)]), on_error="skip")


def test_many_broken_clips_are_told_by_cause(tmp_path):
    path = stored(tmp_path / "set.pkl", [annotation(f"c{i}", joints=15) for i in range(9)] + ["text"])
    with pytest.raises(InputError) as caught:
        read_skeleton_set(path, COCO)
    assert "10 of 10 clips are broken: c0, c1, c2 and 6 more: keypoint has 15 joints" in str(caught.value)
    assert "annotation 9: it is a str" in str(caught.value)
    assert str(caught.value).count("\n") <= 2


def test_without_a_skeleton_the_first_clip_says_how_many_joints(tmp_path):
    path = stored(tmp_path / "set.pkl", [annotation("a"), annotation("b", joints=15)])
    with pytest.raises(InputError, match="b: keypoint has 15 joints, the clips before it have 17"):
        read_skeleton_set(path)


def test_an_image_shape_for_those_without(tmp_path):
    path = stored(tmp_path / "set.pkl", [annotation("a", img_shape=None), annotation("b")])
    assert [clip.img_shape for clip in read_skeleton_set(path, img_shape=(10, 20)).clips] == [(10, 20), (240, 320)]


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path):
    path = stored(tmp_path / "set.pkl", [annotation(), Hostile(tmp_path / "was_run")])
    with pytest.raises(InputError, match=r"set\.pkl is refused: it names"):
        read_skeleton_set(path, on_error="skip")
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"split": {}, "annotations": [annotation()]})[:-200], "truncated or not a pickle"),
        (b"", "truncated or not a pickle"),
        (pickle.dumps({"annotations": []}), "no annotations"),
        (pickle.dumps({"split": {}}), "holds a dict of split; expected pyskl's form"),
        (pickle.dumps("text"), "expected pyskl's form"),
        (pickle.dumps({"split": {"train": 3}, "annotations": [annotation()]}), "split 'train' must be a list"),
        (pickle.dumps({"split": {"train": [1]}, "annotations": [annotation()]}), "split 'train' must be a list"),
    ],
)
def test_files_that_are_no_skeleton_set(tmp_path, content, message):
    path = tmp_path / "set.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_skeleton_set(path, on_error="skip")
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_unknown_policy(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_skeleton_set(tmp_path / "none.pkl")
    with pytest.raises(InputError, match=r"data\.on_error='ignore'"):
        read_skeleton_set(tmp_path / "none.pkl", on_error="ignore")


def test_a_set_that_contradicts_itself_is_not_written(tmp_path):
    clip = SkeletonClip("a", 0, np.zeros((1, 2, 17, 2), np.float16), None, (4, 4), 2)
    with pytest.raises(InputError, match="2 clips have 1 different names"):
        write_skeleton_set(tmp_path / "set.pkl", [clip, clip])
    with pytest.raises(InputError, match="split 'train' names the clip 'b'"):
        write_skeleton_set(tmp_path / "set.pkl", SkeletonSet([clip], {"train": ["b"]}))
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="clip 'a': total_frames is 3"):
        SkeletonClip("a", 0, clip.keypoint, None, (4, 4), 3)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: set TROUPE_DATA to the folder of real data")
def test_the_real_file():
    found = read_skeleton_set(DATA / "jhmdb.pkl", load_skeleton("jhmdb15"))
    assert len(found) == 609
    assert {split: len(names) for split, names in found.splits.items()} == {
        "train1": 433, "test1": 176, "train2": 433, "test2": 176, "train3": 434, "test3": 175
    }  # fmt: skip
    assert {clip.img_shape for clip in found.clips} == {(240, 320)}
    assert {clip.keypoint.dtype.name for clip in found.clips} == {"float16"}
    assert np.unique(found.labels).tolist() == list(range(14))
    with pytest.raises(InputError, match=r"609 of 609 clips are broken.*data\.skeleton=jhmdb15 has 15"):
        read_skeleton_set(DATA / "jhmdb.pkl", COCO)
