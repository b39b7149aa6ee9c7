import numpy as np
import pytest

from components.keypoints.tracking import track_persons
from tests.components.keypoints.keypoint_files import person


def test_persons_keep_their_rows_though_their_order_changes():
    frames = [np.stack([person(10 + t), person(200 - t)][:: 1 if t % 2 else -1]) for t in range(6)]
    keypoint, score = track_persons(frames, max_persons=2)
    assert keypoint.shape == (2, 6, 17, 2)
    assert score.shape == (2, 6, 17)
    lefts = sorted((keypoint[:, :, 0, 0]).tolist())
    assert lefts == [[10 + t for t in range(6)], [200 - t for t in range(6)]]


def test_of_many_persons_the_surest_stay_and_gaps_are_zeros():
    faint = person(100)
    faint[:, 2] = 0.1
    frames = [np.stack([faint, person(300)]), np.zeros((0, 17, 3), np.float32), np.stack([faint, person(302)])]
    keypoint, score = track_persons(frames, max_persons=1)
    assert keypoint[0, :, 0, 0].tolist() == [300, 0, 302]
    assert score[0, 1].tolist() == [0.0] * 17


def test_who_comes_after_someone_left_fills_the_same_row():
    frames = [person(10)[None]] * 3 + [person(250)[None]] * 3
    keypoint, _ = track_persons(frames, max_persons=2)
    assert keypoint.shape[0] == 1
    assert keypoint[0, :, 0, 0].tolist() == [10] * 3 + [250] * 3


def test_names_of_a_tracker_win_over_distances():
    frames = [np.stack([person(10), person(200)]), np.stack([person(10), person(200)])]
    keypoint, _ = track_persons(frames, 2, identities=[["a", "b"], ["b", "a"]])
    assert sorted(keypoint[:, :, 0, 0].tolist()) == [[10, 200], [200, 10]]


def test_nobody_and_wrong_shapes():
    keypoint, score = track_persons([np.zeros((0, 17, 3), np.float32)] * 2)
    assert keypoint.shape == (1, 2, 17, 2)
    assert not score.any()
    with pytest.raises(ValueError, match="no frames"):
        track_persons([])
    with pytest.raises(ValueError, match=r"\[P, 17, 3\]"):
        track_persons([person(0)[None], np.zeros((1, 18, 3))])
