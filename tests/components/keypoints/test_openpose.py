import json

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.joint_orders import to_coco17
from components.keypoints.openpose import frame_files, numbers_in_threes, read_openpose_folder, read_openpose_frame
from tests.components.keypoints.keypoint_files import person, write_openpose


@pytest.mark.parametrize("order", ["body25", "openpose18", "coco17"])
def test_each_order_becomes_coco17(order, tmp_path):
    write_openpose(tmp_path, [[person(10 + t), person(200)] for t in range(3)], order, first=4)
    keypoint, score = read_openpose_folder(tmp_path)
    assert keypoint.shape == (2, 3, 17, 2)
    moving = keypoint[np.argmin(keypoint[:, 0, 0, 0])]
    np.testing.assert_allclose(moving, np.stack([person(10 + t)[:, :2] for t in range(3)]))
    np.testing.assert_allclose(score, 0.9)


def test_left_and_right_of_body25_are_the_persons_own():
    joints = np.zeros((25, 1))
    joints[[5, 2, 7, 14, 11], 0] = (1, 2, 3, 4, 5)  # shoulders l r, left wrist, ankles l r
    coco = to_coco17(joints, "body25")[:, 0]
    assert coco[[5, 6, 9, 15, 16]].tolist() == [1, 2, 3, 4, 5]


def test_frames_go_by_number_and_missing_ones_are_empty(tmp_path):
    write_openpose(tmp_path, [[person(10)], [person(11)], [person(12)]], first=9)
    next(tmp_path.glob("*0010_*")).unlink()
    assert [number for number, _ in frame_files(tmp_path)] == [9, 11]
    _, score = read_openpose_folder(tmp_path)
    assert (score[0] > 0).any(1).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as json"),
        ("[]", "no list 'people'"),
        (json.dumps({"people": [{"pose_keypoints_2d": [1, 2, 3]}]}), "has 3 entries; expected 25"),
        (json.dumps({"people": [{"pose_keypoints_2d": ["a"] * 75}]}), "has 75 entries"),
        (json.dumps({"people": [7]}), "has none"),
    ],
)
def test_broken_frames_are_named(content, message, tmp_path):
    path = tmp_path / "a_000000000003_keypoints.json"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"a_000000000003_keypoints\.json: .*{message}"):
        read_openpose_frame(path)


def test_folders_without_use(tmp_path):
    with pytest.raises(InputError, match="no frames"):
        read_openpose_folder(tmp_path)
    write_openpose(tmp_path, [[], []])
    with pytest.raises(InputError, match="nobody was found in any of 2 frames"):
        read_openpose_folder(tmp_path)
    (tmp_path / "clip_999999999999_keypoints.json").write_text('{"people": []}')
    with pytest.raises(InputError, match="most frames are missing"):
        read_openpose_folder(tmp_path)


def test_numbers_that_are_none_are_missing_joints():
    joints = numbers_in_threes([1.0, 2.0, 0.5, float("nan"), 2.0, 0.5, 1e300, 2.0, 0.5])
    assert joints is not None
    assert joints.tolist() == [[1, 2, 0.5], [0, 0, 0], [0, 0, 0]]
    assert numbers_in_threes([1, 2]) is None
    assert numbers_in_threes([1, 2, True]) is None
    assert numbers_in_threes([1, 2, 10**400]) is None
