import os
import sys
from pathlib import Path

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints import pose_estimation
from components.keypoints.pose_estimation import PoseEstimator, estimate_video, estimator_command
from tests.components.keypoints.keypoint_files import estimator


class Film:
    """Frames of one colour each, red = 3 x number."""

    name, size = "film", (60, 80)

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return self.frames

    def read(self, index: int) -> np.ndarray:
        return np.full((*self.size, 3), 3 * index, dtype=np.uint8)


def test_a_film_becomes_tracked_persons(tmp_path):
    keypoint, score = estimate_video(Film(3), estimator(tmp_path))
    assert keypoint.shape == (1, 3, 17, 2)
    assert keypoint[0, :, 1].tolist() == [[1, 2], [4, 2], [7, 2]]
    assert score[0, 0].tolist() == [0.5] * 17


def test_joints_outside_of_the_picture_are_missing(tmp_path):
    command = estimator(tmp_path, "persons = [[[-5, 3, 0.9], [79, 59, 7.0], [80, 5, 0.9]] + [[4, 4, 0.2]] * 14]")
    with PoseEstimator(command, (60, 80)) as running:
        (found,) = running.estimate(Film(1).read(0))
    assert found[:4].tolist() == [[0, 0, 0], [79, 59, 1], [0, 0, 0], [4, 4, pytest.approx(0.2)]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise SystemExit('out of memory')", "has ended\nout of memory"),
        ("persons = [[[1, 2, 3]]]", "a person without 17 joints"),
        ("persons = 4", "without a list 'persons'"),
        ("persons = []", "nobody was found in any of 2 frames"),
        ("print('hello', flush=True); persons = []", "no json"),
    ],
)
def test_estimators_that_fail(body, message, tmp_path):
    with pytest.raises(InputError, match=message):
        estimate_video(Film(2), estimator(tmp_path, body))


def test_estimators_that_hang(tmp_path, monkeypatch):
    monkeypatch.setattr(pose_estimation, "_FRAME_SECONDS", 1.0)
    with pytest.raises(InputError, match=r"has not answered for 1 s"):
        estimate_video(Film(2), estimator(tmp_path, "import time; time.sleep(60)"))
    large = Film(1)
    large.size = (2000, 2000)
    deaf = [sys.executable, "-S", "-c", 'import time; print(\'{"joints": "coco17"}\', flush=True); time.sleep(60)']
    with pytest.raises(InputError, match="does not read"):
        estimate_video(large, deaf)


def test_absent_estimators_say_how_to_get_one(tmp_path):
    with pytest.raises(InputError, match=r"pose\.python=.*/env/bin/python: not there(.|\n)*pip install mediapipe=="):
        estimator_command(str(tmp_path / "env" / "bin" / "python"))
    assert estimator_command(None, ["mine"]) == ["mine"]
    with pytest.raises(InputError, match="cannot be started"):
        PoseEstimator([str(tmp_path / "nothing")], (6, 8))
    # This python has no mediapipe.
    with pytest.raises(InputError, match=r"has ended\n.*No module named 'mediapipe'\n.*pip install mediapipe=="):
        PoseEstimator(estimator_command(sys.executable), (6, 8))


@pytest.mark.slow
def test_mediapipe_where_its_environment_is():
    python = os.environ.get("TROUPE_POSE_PYTHON")
    if not python:
        pytest.skip("TROUPE_POSE_PYTHON names no python that has mediapipe")
    with PoseEstimator(estimator_command(python), (120, 160)) as running:
        assert running.joints == "mediapipe33"
        assert running.estimate(np.zeros((120, 160, 3), dtype=np.uint8)).shape == (0, 17, 3)
    assert Path(python).is_file()
