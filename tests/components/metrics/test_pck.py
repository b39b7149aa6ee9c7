import numpy as np
import pytest

from components.errors import InputError
from components.metrics.pck import THRESHOLDS, Pck, box_normalizers


def joints() -> np.ndarray:
    """Two joints 100 apart and one between them, 3 frames: the normaliser is 60 pixels."""
    return np.repeat(np.array([[0.0, 100.0, 50.0], [5.0, 5.0, 5.0]])[:, :, None], 3, axis=2)


def test_distances_are_measured_in_boxes() -> None:
    truth = joints()
    assert box_normalizers(truth, np.ones((3, 3), dtype=bool)).tolist() == [60, 60, 60]
    moved = truth.copy()
    moved[1] += 6.5  # more than 0.1 x 60
    moved[:, :, 0] += 1000  # frame 0 is not scored
    scores = Pck()
    scores.update(truth, moved)
    assert scores.scores().joints[0].tolist() == [0, 0, 0]
    assert scores.scores().joints[1].tolist() == [100, 100, 100]
    assert scores.scores().counts.tolist() == [2, 2, 2]
    assert list(scores.compute()) == [f"pck@{limit}" for limit in THRESHOLDS]


def test_joints_that_were_not_found() -> None:
    truth = joints()
    found = truth.copy()
    found[:, 1, 1] = -1
    found[:, 2, :] = -1
    found[1, 0, 1] += 6.5
    published, strict = Pck(), Pck(strict=True)
    for scores in (published, strict):
        scores.update(truth, found)
    assert published.scores().counts.tolist() == [2, 1, 0]
    # One joint alone has no box: nothing is near enough. The mean leaves out what was never found.
    assert published.scores().joints[4, :2].tolist() == [50, 100]
    assert np.isnan(published.scores().joints[4, 2])
    assert published.compute()["pck@0.5"] == 75
    assert strict.scores().counts.tolist() == [2, 2, 2]
    assert strict.scores().joints[4].tolist() == [100, 50, 0]


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"\[2, joints, frames\]"):
        Pck().update(joints(), joints()[:, :2])
    with pytest.raises(InputError, match="no video"):
        Pck().scores()
