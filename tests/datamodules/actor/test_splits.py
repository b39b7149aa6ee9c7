"""Which clips train: shares, recordings that stay together, files and published splits."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from datamodules.actor import ActorDataModule
from datamodules.actor.clips import PublishedSplit
from datamodules.actor.humanact12 import open_humanact12
from datamodules.actor.splits import make_split, split_clips
from tests.datamodules.actor.humanact12_folder import samples, write_folder

labels = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(labels, st.floats(0.01, 0.9), st.integers(0, 5))
def test_split_is_a_partition_per_class(labels, fraction, seed):
    train, val = split_clips(labels, fraction, seed)
    assert sorted([*train, *val]) == list(range(len(labels)))
    for label in np.unique(labels):
        count, held_out = int((labels == label).sum()), int((labels[val] == label).sum())
        assert held_out < count
        assert count == 1 or held_out >= 1
        assert abs(held_out - fraction * count) <= 1
    again = split_clips(labels, fraction, seed)
    np.testing.assert_array_equal(train, again[0])


def test_published_split_trains_on_everything():
    train, val = split_clips(np.array([0, 1, 1]), 0.0, 0)
    assert train.tolist() == val.tolist() == [0, 1, 2]


def test_other_seeds_hold_out_other_clips():
    labels = np.repeat(np.arange(3), 20)
    assert split_clips(labels, 0.2, 0)[1].tolist() != split_clips(labels, 0.2, 1)[1].tolist()


grouped = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=60)


@given(grouped, st.floats(0.05, 0.6), st.integers(0, 3))
def test_groups_stay_together_and_no_class_loses_its_last(clips, fraction, seed):
    labels, groups = np.array(clips).T
    train, val = split_clips(labels, fraction, seed, groups)
    assert sorted([*train, *val]) == list(range(len(labels)))
    assert not set(groups[train]) & set(groups[val])
    assert set(labels[train]) == set(labels)


def test_groups_of_one_change_nothing():
    labels = np.repeat(np.arange(3), 20)
    plain, same = (split_clips(labels, 0.2, 0, groups)[1] for groups in (None, np.arange(60)[::-1]))
    np.testing.assert_array_equal(plain, same)


def test_share_is_met_with_groups():
    labels = np.repeat(np.arange(2), 60)
    groups = np.arange(120) // 3
    assert all((labels[split_clips(labels, 0.2, seed, groups)[1]] == 1).sum() == 12 for seed in range(5))


@pytest.fixture
def clips(tmp_path):
    folder = write_folder(tmp_path / "d", samples((4, 4, 4)))
    rows = [f"{index},take {index // 2}" for index in range(12)]
    (folder / "clips.csv").write_text("\n".join(["index,source_clip", *rows]) + "\n")
    return open_humanact12(folder, 3)


def test_windows_of_a_recording_stay_on_one_side(clips):
    split = make_split(clips, 0.5, 0)
    assert clips.groups[0] == clips.groups[1] == "take 0"
    assert not {clips.groups[place] for place in split.train} & {clips.groups[place] for place in split.val}
    assert split.held_out
    assert "every recording on one side" in split.kind


def test_nothing_is_held_out_as_published(clips):
    split = make_split(clips, 0.0, 0)
    assert len(split.train) == len(split.val) == 12
    assert not split.held_out
    assert split.kind.startswith("none")


def test_published_split_keeps_its_test_clips(clips):
    clips = replace(clips, published_split=PublishedSplit(np.arange(6), np.arange(6, 12), "subjects"))
    split = make_split(clips, 0.0, 0)
    assert split.val.tolist() == split.test.tolist() == list(range(6, 12))
    split = make_split(clips, 0.34, 0)
    assert sorted([*split.train, *split.val]) == list(range(6))
    assert split.test.tolist() == list(range(6, 12))
    assert len(split.val) == 2  # the only recording of the second class trains
    assert split.held_out


def test_split_file_by_number_and_by_recording(clips, tmp_path):
    table = tmp_path / "split.csv"
    table.write_text("clip,split\ntake 0,train\n2,train\ntake 3,val\n")
    split = make_split(clips, 0.0, 0, str(table))
    assert (split.train.tolist(), split.val.tolist(), split.test.tolist()) == ([0, 1, 2], [6, 7], [6, 7])
    other = tmp_path / "split.json"
    other.write_text(json.dumps({"train": [0, 1, 2], "test": ["take 3"], "val": [11]}))
    split = make_split(clips, 0.0, 0, str(other))
    assert (split.train.tolist(), split.val.tolist(), split.test.tolist()) == ([0, 1, 2], [11], [6, 7])
    assert split.kind == "file split.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clip,split\n99,train\n", "no clip or recording '99'"), ("clip,split\n0,dev\n", "'dev'"),
        ("clip,split\n0,train\ntake 0,val\n", "two sides"), ("a,b\n0,train\n", "columns a, b"),
        ("clip,split\n0,train\n", "0 validation and 0 test"),
    ],
)  # fmt: skip
def test_malformed_split_files(clips, tmp_path, text, message):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        make_split(clips, 0.0, 0, str(tmp_path / "split.csv"))
    with pytest.raises(InputError, match="cannot read"):
        make_split(clips, 0.0, 0, str(tmp_path / "absent.csv"))


def test_table_of_other_data(clips):
    (clips.folder.parents[1] / "clips.csv").write_text("index,source_clip\n0,take\n")
    with pytest.raises(InputError, match="no row for clip 1"):
        open_humanact12(clips.folder.parents[1], 3)


def test_clips_that_another_run_trained_on(tmp_path):
    folder = write_folder(tmp_path / "d", samples((8, 8, 8)))
    settings = {"root": str(folder), "num_classes": 3, "val_fraction": 0.25}
    data = ActorDataModule(**settings)
    held = len(data.splits.val)
    assert held == 6
    assert data.held_out_clips_in(settings) == 0
    # Who holds out more of the same draw has seen none; who holds out nothing has seen all.
    assert data.held_out_clips_in({**settings, "val_fraction": 0.5}) == 0
    assert data.held_out_clips_in({"root": f"{folder}/../d", "num_classes": 3}) == held
    other = ActorDataModule(**settings, split_seed=1).splits
    seen = np.isin(data.splits.val, other.train).sum()
    assert seen > 0
    assert data.held_out_clips_in({**settings, "split_seed": 1}) == seen
    assert data.held_out_clips_in({**settings, "val_fraction": 0, "split_file": str(tmp_path / "gone.csv")}) is None
    # Other data, other readers, nothing known, nothing held out.
    assert data.held_out_clips_in({**settings, "root": str(tmp_path)}) == 0
    reader = {"_target_": "datamodules.actor.ntu13.open_ntu13", "_partial_": True}
    assert data.held_out_clips_in({**settings, "val_fraction": 0, "dataset": reader}) == 0
    assert data.held_out_clips_in({}) == 0
    assert ActorDataModule(str(folder), num_classes=3).held_out_clips_in({"root": str(folder)}) == 0
