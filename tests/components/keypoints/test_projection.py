"""3D sets as 2D ones."""

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet
from components.keypoints.camera import JointCamera
from components.keypoints.projection import in_pixels


def solid(name: str = "a", distance: float = 3.0) -> SkeletonClip:
    joints = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3, 25, 3)).astype(np.float16)
    joints[..., 2] += distance
    # A second person who is not there.
    joints[1] = 0
    return SkeletonClip(name, 0, joints, None, None, 3)


@pytest.mark.parametrize("kind", ["perspective", "drop_z"])
def test_clips_get_pixels_scores_and_an_image_shape(kind):
    flat = SkeletonClip("b", 1, np.ones((1, 2, 25, 2), np.float32), None, (5, 6), 2)
    found = in_pixels(SkeletonSet([solid(), flat], {"train": ["a"]}), JointCamera(kind, height=100, width=200))
    clip = found.clips[0]
    assert clip.planar
    assert clip.img_shape == (100, 200)
    assert clip.keypoint.dtype == np.float16
    assert clip.keypoint.shape == (2, 3, 25, 2)
    assert (clip.score[0] == 1).all()
    assert not clip.score[1].any()
    assert not clip.keypoint[1].any()
    inside = clip.keypoint[0]
    assert (inside > 0).all()
    assert (inside < (200, 100)).all()
    assert found.clips[1] is flat
    assert found.splits == {"train": ["a"]}


def test_joints_close_to_the_lens_are_kept_in_singles():
    clip = solid(distance=0.0)
    clip.keypoint[0, 0, 0] = (1.0, 0.0, 0.002)
    found = in_pixels(SkeletonSet([clip]), JointCamera(eye=(0.0, 0.0, 0.0)))
    assert found.clips[0].keypoint.dtype == np.float32
    assert np.isfinite(found.clips[0].keypoint).all()


def test_without_a_camera_3d_clips_are_an_error():
    with pytest.raises(InputError, match=r"clip 'a' has 3D joints and no img_shape.*\n.*data\.camera"):
        in_pixels(SkeletonSet([solid()]), None)


def test_clips_that_the_camera_does_not_see_follow_the_policy():
    both = SkeletonSet([solid("a"), solid("b", -3.0)])
    camera = JointCamera()
    with pytest.raises(InputError, match="1 of 2 clips are broken: b: all 3D joints lie behind the camera"):
        in_pixels(both, camera)
    found = in_pixels(both, camera, on_error="skip")
    assert [clip.name for clip in found.clips] == ["a"]
    assert list(found.skipped) == ["b"]
