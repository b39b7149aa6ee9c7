"""Which videos train and which are held out."""

import numpy as np
import pytest

from components.errors import InputError
from datamodules.videowalk.sides import held_out, open_sides, split_folder
from datamodules.videowalk.sources import ClipSettings
from tests.datamodules.videowalk.video_folder import write_folder, write_video

KEYS = [f"class{n % 7}/video{n}.mp4" for n in range(2000)]
SHORT = ClipSettings(clip_len=3, index_workers=1)


def test_held_out_share_and_stability():
    out = held_out(KEYS, 0.1)
    assert 150 < out.sum() < 250
    # A video's side does not depend on the others.
    np.testing.assert_array_equal(held_out(KEYS[:1000], 0.1), out[:1000])
    more = held_out(KEYS, 0.2)
    assert not (out & ~more).any()


def test_both_sides_have_a_video():
    for fraction in (1e-9, 1 - 1e-9):
        out = held_out(["a", "b"], fraction)
        assert sorted(out.tolist()) == [False, True]
    with pytest.raises(InputError, match=r"only 1 to train on") as caught:
        held_out(["a"], 0.1)
    assert "data.val_fraction=0" in str(caught.value)


def folders(root, *names):
    for name in names:
        (root / name).mkdir()
    return root


@pytest.mark.parametrize(
    ("names", "side", "found"),
    [
        (["train_256", "val_256"], "train", "train_256"),
        (["train_256", "train_512"], "train", "train_256"),
        (["training", "broken"], "train", "training"),
        (["training dog", "testifying", "train_dog"], "train", None),
        (["train"], "val", None),
    ],
)
def test_automatic_splits(tmp_path, names, side, found):
    folder = split_folder(folders(tmp_path, *names), "auto", side)
    assert folder == (None if found is None else tmp_path / found)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("auto", "has train_1, train_2; choose one with data.train_split=<folder>"),
        ("train_3", r"data.train_split=train_3: no such folder in data.root=.*train_1, train_2"),
        ("../x", r"data.train_split='../x': expected the name of a folder"),
    ],
)
def test_splits_that_are_not_there(tmp_path, split, message):
    with pytest.raises(InputError, match=message):
        split_folder(folders(tmp_path, "train_1", "train_2"), split, "train")


def test_validation_videos_without_training_videos(tmp_path):
    write_folder(tmp_path, 2, ("films", "val_256"))
    with pytest.raises(InputError, match=r"has 'val_256' and no folder called train"):
        open_sides("videos", tmp_path, SHORT)
    sides = open_sides("videos", tmp_path, SHORT, train_split="films")
    assert (sides.kind, len(sides.train.videos), len(sides.val.videos)) == ("own", 2, 2)
    swapped = open_sides("videos", tmp_path, SHORT, train_split="val_256", val_split="films")
    assert (swapped.kind, swapped.train.root.name, swapped.val.root.name) == ("own", "val_256", "films")


def test_sides_of_a_data_set_with_splits(tmp_path):
    root = write_folder(tmp_path / "d", 2)
    sides = open_sides("videos", root, SHORT)
    assert sides.kind == "own"
    assert (sides.train.root.name, sides.val.root.name) == ("train_256", "val_256")
    only = open_sides("videos", root / "train_256", SHORT, val_fraction=0.5)
    assert only.kind == "held_out"
    assert sorted([*only.train.videos, *only.val.videos]) == [0, 1]
    same = open_sides("videos", root / "train_256", SHORT, val_fraction=0)
    assert (same.kind, same.val.videos.tolist()) == ("training", [0, 1])
    other = open_sides("videos", root / "train_256", SHORT, val_root=root / "val_256")
    assert (other.kind, other.val.root) == ("own", root / "val_256")


def test_too_short_videos_are_not_held_out(tmp_path):
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", frames=3 if number < 2 else 12)
    sides = open_sides("videos", tmp_path, SHORT, val_fraction=0.5)
    assert sorted([*sides.train.videos, *sides.val.videos]) == [2, 3]


def test_a_root_that_is_missing_names_its_key(tmp_path):
    root = write_folder(tmp_path / "d", 1, ("train_256",))
    with pytest.raises(InputError, match=r"data\.val_root=.*/gone: no such folder"):
        open_sides("videos", root, SHORT, val_root=tmp_path / "gone")
    with pytest.raises(InputError, match=r"data\.root=.*/gone: no such folder"):
        open_sides("videos", tmp_path / "gone", SHORT)
