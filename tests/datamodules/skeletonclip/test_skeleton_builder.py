import json

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import read_skeleton_set
from components.keypoints.skeletons import load_skeleton
from datamodules.skeletonclip.skeleton_builder import BuildOptions, build_skeleton_set
from datamodules.skeletonclip.sources import open_source
from datamodules.skeletonclip.texts import read_class_texts
from tests.components.keypoints.keypoint_files import person, write_openpose
from tests.datamodules.skeletonclip.test_sources import npz


def build(source, output, force=False, **options):
    return build_skeleton_set(
        open_source(source), output, load_skeleton("coco17"), BuildOptions(**options), force=force
    )


@pytest.fixture
def folder(tmp_path):
    for clip in ("drink_water/1", "drink_water/2", "drink_water/3", "Wave/1", "Wave/2"):
        npz(tmp_path / "in" / f"{clip}.npz")
    return tmp_path / "in"


def test_classes_from_folders(folder, tmp_path):
    done = build(folder, tmp_path / "out", val_ratio=0.4)
    assert done.fresh
    assert (done.class_names, done.clips_per_class) == (["drink water", "Wave"], [3, 2])
    assert done.clips_per_split == {"train": 3, "val": 2}
    made = read_skeleton_set(tmp_path / "out" / "skeletons.pkl", load_skeleton("coco17"))
    assert {clip.name: clip.label for clip in made.clips}["Wave/1"] == 1
    assert set(made.splits["train"]).isdisjoint(made.splits["val"])
    assert read_class_texts(tmp_path / "out" / "labels.csv").names == ["drink water", "Wave"]
    assert not build(folder, tmp_path / "out", val_ratio=0.4).fresh
    assert build(folder, tmp_path / "out", val_ratio=0.4, force=True).fresh
    assert build(folder, tmp_path / "out").fresh


def test_classes_from_a_table_with_given_texts(folder, tmp_path):
    table, texts = tmp_path / "l.csv", tmp_path / "t.csv"
    table.write_text("name,label\nWave/1.npz,wave hands\nWave/2,0\ndrink_water/1,1\ngone,1\n")
    texts.write_text("id,name\n0,wave hands\n1,drink\n")
    done = build(folder, tmp_path / "out", labels=str(table), label_file=str(texts), val_ratio=0)
    assert done.clips_per_class == [2, 1]
    assert [line.split(":")[0] for line in done.problems] == ["l.csv", "drink_water/2", "drink_water/3"]
    with pytest.raises(InputError, match="3 problems"):
        build(folder, tmp_path / "out2", labels=str(table), label_file=str(texts), on_error="raise")
    texts.write_text("id,name\n0,sit\n")
    with pytest.raises(InputError, match=r"(?s)label_file has none of the classes.*no class 'drink water'"):
        build(folder, tmp_path / "out", label_file=str(texts))


def test_broken_clips_are_named_and_left_out(folder, tmp_path):
    (folder / "Wave" / "3.npz").write_bytes(b"PK")
    npz(folder / "Wave" / "4.npz", frames=1)
    np.savez(folder / "Wave" / "5.npz", keypoint=np.ones((4, 15, 2)))
    done = build(folder, tmp_path / "out")
    assert sum(done.clips_per_class) == 5
    first, second, third = done.problems
    assert first.startswith("Wave/3: is no npz file")
    assert second == "Wave/4: 1 frames, dataset.min_frames=2"
    assert third.startswith("Wave/5: has 15 joints, but skeleton 'coco17' has 17")
    with pytest.raises(InputError, match="Wave/3: is no npz file"):
        build(folder, tmp_path / "out2", on_error="raise")
    for path in folder.glob("[d]*/*.npz"):
        path.write_bytes(b"")
    for path in (folder / "Wave").glob("[12].npz"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of 8 clips can be used"):
        build(folder, tmp_path / "out")


def test_slow_sources_are_read_once(tmp_path):
    for clip in ("wave/a", "wave/b"):
        write_openpose(tmp_path / "in" / clip, [[person(10)], [person(11)]])
    (tmp_path / "in" / "wave" / "b" / "clip_000000000001_keypoints.json").write_text("{")
    done = build(tmp_path / "in", tmp_path / "out")
    assert (done.read, len(done.problems)) == (1, 1)
    write_openpose(tmp_path / "in" / "wave" / "b", [[person(10)], [person(11)]])
    done = build(tmp_path / "in", tmp_path / "out")
    assert (done.fresh, done.read, done.problems) == (True, 1, [])
    (cached, _) = sorted((tmp_path / "out").rglob("*.npz"))[:2]
    cached.write_bytes(b"damaged")
    assert build(tmp_path / "in", tmp_path / "out", val_ratio=0.5).read == 1


def test_labels_of_files_and_none_at_all(tmp_path):
    for number in range(3):
        npz(tmp_path / "in" / f"{number}.npz", label=number % 2)
    done = build(tmp_path / "in", tmp_path / "out", val_ratio=0)
    assert done.class_names == ["class 0", "class 1"]
    assert "classes have numbers and no texts" in done.problems[0]
    npz(tmp_path / "in" / "1.npz", label="wave")
    with pytest.raises(InputError, match="some clips name their class"):
        build(tmp_path / "in", tmp_path / "out")
    for number in range(3):
        npz(tmp_path / "in" / f"{number}.npz")
    done = build(tmp_path / "in", tmp_path / "out", val_ratio=0)
    assert done.class_names == []
    assert "no clip has a class" in done.problems[0]
    assert all(clip.label is None for clip in read_skeleton_set(tmp_path / "out" / "skeletons.pkl").clips)


def test_a_pickle_keeps_its_splits_and_texts(folder, tmp_path):
    build(folder, tmp_path / "first", val_ratio=0.4)
    made = read_skeleton_set(tmp_path / "first" / "skeletons.pkl")
    (tmp_path / "first" / "labels.csv").write_text("id,name\n0,drink\n1,wave hands\n")
    done = build(tmp_path / "first", tmp_path / "second")  # the folder holds nothing else
    assert (done.class_names, done.problems) == (["drink", "wave hands"], [])
    assert read_skeleton_set(tmp_path / "second" / "skeletons.pkl").splits == made.splits
    table = tmp_path / "splits.json"
    table.write_text(json.dumps({"all": ["Wave/1", "drink_water/1"]}))
    assert build(tmp_path / "first", tmp_path / "second", splits=str(table)).clips_per_split == {"all": 2}
    (tmp_path / "first" / "other.pkl").touch()
    with pytest.raises(InputError, match=r"holds 2 pickles: other\.pkl, skeletons\.pkl"):
        build(tmp_path / "first", tmp_path / "third")


def test_foreign_sets_are_left_alone_and_half_made_ones_are_ours(folder, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    (output / "skeletons.pkl").write_bytes(b"mine")
    with pytest.raises(InputError, match="was not made here"):
        build(folder, output)
    (output / "skeletons.json").write_text(json.dumps({"kind": "npz"}))
    assert build(folder, output).fresh
    for options in ({"val_ratio": 1.5}, {"min_frames": 0}, {"on_error": "ask"}):
        with pytest.raises(InputError):
            BuildOptions(**options)
