"""Which clips train: named splits, folds, unseen classes, repeats and resampling."""

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet
from datamodules.skeletonclip.splits import (
    absent_clips,
    add_folds,
    class_weights,
    epoch_places,
    hold_out_classes,
    keep_classes,
    new_labels,
    select_split,
    shared_clips,
)
from datamodules.skeletonclip.texts import ClassTexts

TEXTS = ClassTexts((("run", "jog"), ("sit",), ("wave",)), "labels.csv")


def skeletons(labels: list[int], **splits: list[str]) -> SkeletonSet:
    keypoint = np.zeros((1, 2, 17, 2), np.float16)
    clips = [SkeletonClip(f"c{i:02}", label, keypoint, None, (4, 4), 2) for i, label in enumerate(labels)]
    return SkeletonSet(clips, splits, source="set.pkl")


def test_a_split_keeps_the_order_of_the_file():
    found = skeletons([0, 1, 2], train=["c02", "c00", "c00", "gone"], test=["c00"])
    assert select_split(found, "train").tolist() == [0, 2]
    assert select_split(found, None).tolist() == [0, 1, 2]
    assert absent_clips(found, "train") == ["gone"]
    assert absent_clips(found, None) == []
    assert shared_clips(found, "train", "test") == ["c00"]


def test_unknown_and_empty_splits_name_those_that_are_there():
    found = skeletons([0, 1], train1=["c00", "c01"], test1=[], other=["x"])
    with pytest.raises(
        InputError, match=r"data\.val_split=trian1: set\.pkl has no such split \(did you mean 'train1'\?\)"
    ):
        select_split(found, "trian1", "data.val_split")
    with pytest.raises(InputError, match=r"it has train1 \(2\), test1 \(0\), other \(1\)"):
        select_split(found, "xsub")
    with pytest.raises(InputError, match=r"data\.test_split=test1: .* names no clip; splits with clips: train1, other"):
        select_split(found, "test1", "data.test_split")
    with pytest.raises(InputError, match="names 1 clips, none of which is in the file"):
        select_split(found, "other")
    with pytest.raises(InputError, match="it has none"):
        select_split(skeletons([0]), "train")


def test_folds_share_out_every_clip_and_every_class():
    labels = [0] * 7 + [1] * 11 + [2] * 2
    found = add_folds(skeletons(labels, own=["c00"]), 3, seed=1)
    tests = [found.splits[f"test{fold}"] for fold in (1, 2, 3)]
    assert sorted(name for names in tests for name in names) == [clip.name for clip in found.clips]
    assert max(map(len, tests)) - min(map(len, tests)) <= 1
    for fold, names in enumerate(tests, 1):
        assert sorted([*names, *found.splits[f"train{fold}"]]) == [clip.name for clip in found.clips]
        for label, count in ((0, 7), (1, 11), (2, 2)):
            own = sum(labels[int(name[1:])] == label for name in names)
            assert count // 3 <= own <= -(-count // 3)
    assert found.splits["own"] == ["c00"]


def test_folds_depend_on_the_seed_and_not_on_the_order_of_the_file():
    one = skeletons([0, 1] * 6)
    turned = SkeletonSet(one.clips[::-1])
    assert set(add_folds(one, 2, 5).splits["test1"]) == set(add_folds(turned, 2, 5).splits["test1"])
    assert add_folds(one, 2, 5).splits != add_folds(one, 2, 6).splits


def test_folds_that_cannot_be_made():
    with pytest.raises(InputError, match=r"data\.folds=1: expected 2 to 2"):
        add_folds(skeletons([0, 1]), 1)
    with pytest.raises(InputError, match=r"data\.folds=3: expected 2 to 2"):
        add_folds(skeletons([0, 1]), 3)
    with pytest.raises(InputError, match="has the split 'train1' of its own"):
        add_folds(skeletons([0, 1], train1=["c00"]), 2)


def test_unseen_classes_by_name_or_number():
    held = hold_out_classes(["jog", 2], TEXTS)
    assert held == ((1,), (0, 2))
    labels = np.array([0, 1, 2, 1])
    assert keep_classes(np.arange(4), labels, held.seen, "data.train_split").tolist() == [1, 3]
    # Among themselves, the unseen ones are numbered anew.
    assert new_labels(held.unseen, 3).tolist() == [0, -1, 1]
    assert TEXTS.take(held.unseen).names == ["run", "wave"]
    assert hold_out_classes([], TEXTS).unseen == ()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["runn"], r"data\.unseen_classes: there is no class 'runn' \(did you mean 'run'\?\)"),
        ([3], "there is no class 3"),
        ([True], "no class 'True'"),
        (["run", 0], r"class 0 \('run'\) stands there twice"),
        ([0, 1, 2], "holds all 3 classes"),
    ],
)
def test_unseen_classes_that_cannot_be(classes, message):
    with pytest.raises(InputError, match=message):
        hold_out_classes(classes, TEXTS)


def test_a_split_without_clips_of_the_wanted_classes():
    with pytest.raises(InputError, match=r"data\.test_split: none of its 2 clips"):
        keep_classes(np.arange(2), np.array([0, 0]), [1, 2], "data.test_split")


def test_repeats_are_the_clips_one_after_the_other():
    assert epoch_places(np.array([0, 0, 1]), 2).tolist() == [0, 1, 2, 0, 1, 2]
    with pytest.raises(InputError, match=r"data\.repeat=0"):
        epoch_places(np.array([0]), 0)


def test_resampling_takes_whole_parts_always_and_fractions_by_chance():
    labels = np.array([0] * 4 + [1] * 10 + [2] * 3)
    weights = class_weights({"run": 2.5, 2: 0}, TEXTS)
    assert weights.tolist() == [2.5, 1, 0]
    epochs = [epoch_places(labels, 1, weights, seed=3, epoch=epoch) for epoch in range(6)]
    for places in epochs:
        counts = np.bincount(places, minlength=17)
        assert counts[:4].sum() == 10
        assert set(counts[:4]) == {2, 3}
        assert (counts[4:14] == 1).all()
        assert not counts[14:].any()
    assert len({tuple(places) for places in epochs}) > 1
    np.testing.assert_array_equal(epochs[2], epoch_places(labels, 1, weights, seed=3, epoch=2))
    assert not all((epoch_places(labels, 1, weights, 4, e) == epochs[e]).all() for e in range(6))


def test_weights_and_repeats_multiply():
    labels = np.array([0] * 10)
    assert np.bincount(epoch_places(labels, 10, np.array([0.1]))).tolist() == [1] * 10
    assert len(epoch_places(labels, 3, np.array([0.5]))) == 15


@pytest.mark.parametrize(
    ("class_prob", "message"),
    [
        ([1, 1], "has 2 numbers; labels.csv has 3 classes"),
        ({"hop": 1}, r"data\.class_prob: there is no class 'hop'"),
        ({"run": "often"}, "data.class_prob: could not convert"),
        ([1, -1, 1], "from 0 on"),
        ([0, 0, 0], "not only zeros"),
        ([1, float("nan"), 1], "from 0 on"),
    ],
)
def test_weights_that_cannot_be(class_prob, message):
    with pytest.raises(InputError, match=message):
        class_weights(class_prob, TEXTS)


def test_weights_that_leave_nothing():
    assert class_weights(None, TEXTS).tolist() == [1, 1, 1]
    assert class_weights({"1": 0.5}, TEXTS).tolist() == [1, 0.5, 1]
    with pytest.raises(InputError, match="leaves no training clip"):
        epoch_places(np.array([1, 1]), 1, np.array([1.0, 0.0]))
