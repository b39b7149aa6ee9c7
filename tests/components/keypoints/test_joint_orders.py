import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip
from components.keypoints.joint_orders import fit_joints, to_coco17
from components.keypoints.skeletons import load_skeleton
from tests.components.keypoints.keypoint_files import person

JHMDB = load_skeleton("jhmdb15")


def test_coco_becomes_jhmdb():
    joints = person(10)[None, None]
    joints[..., 5, 2] = 0.4
    joints[..., 15, :] = 0
    clip = SkeletonClip("a", 2, joints[..., :2], joints[..., 2], (300, 300), 1)
    found = fit_joints(clip, JHMDB)
    assert found.score is not None
    named = {name: (*found.keypoint[0, 0, j], found.score[0, 0, j]) for j, name in enumerate(JHMDB.joints)}
    coco = {name: joints[0, 0, j] for j, name in enumerate(load_skeleton("coco17").joints)}
    for name in ("right_wrist", "left_knee", "right_ankle"):
        np.testing.assert_allclose(named[name], coco[name])
    neck = (coco["left_shoulder"] + coco["right_shoulder"]) / 2
    np.testing.assert_allclose(named["neck"], [*neck[:2], 0.4])
    np.testing.assert_allclose(named["face"], coco["nose"])
    assert named["left_ankle"] == (0, 0, 0)
    assert (found.label, found.total_frames) == (2, 1)


def test_other_joints_do_not_fit():
    clip = SkeletonClip("a", None, np.ones((1, 2, 15, 2), np.float32), None, (9, 9), 2)
    assert fit_joints(clip, JHMDB) is clip
    with pytest.raises(InputError, match=r"clip 'a' has 15 joints, but skeleton 'coco17' has 17"):
        fit_joints(clip, load_skeleton("coco17"))
    with pytest.raises(InputError, match=r"'body_25' .*did you mean 'body25'"):
        to_coco17(np.zeros((25, 3)), "body_25")
    with pytest.raises(InputError, match="found 18 joints; the order body25 has 25"):
        to_coco17(np.zeros((18, 3)), "body25")
