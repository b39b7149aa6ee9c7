"""3D joints in pictures: what a pinhole sees, whose left is whose, and joints that are not there."""

import math
from typing import Any

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.camera import JointCamera


def clip(*joints: tuple[float, float, float]) -> np.ndarray:
    """One person, one frame."""
    return np.array(joints, dtype=np.float32)[None, None]


def test_pinhole_pixels() -> None:
    camera = JointCamera(height=100, width=200, field_of_view=90.0)
    found = camera(clip((0, 0, 2), (0, 1, 2), (1, 0, 2)))
    # 90 degrees: at a depth of 2 the picture's half height is 2 units, 50 pixels. Whole numbers are pixel centres.
    np.testing.assert_allclose(found.keypoint[0, 0], [[99.5, 49.5], [99.5, 24.5], [74.5, 49.5]], atol=1e-5)
    assert found.keypoint.dtype == np.float32
    assert found.keypoint.shape == (1, 1, 3, 2)
    assert found.img_shape == (100, 200)
    np.testing.assert_array_equal(found.score, np.ones((1, 1, 3)))


@pytest.mark.parametrize("kind", ["perspective", "drop_z"])
@pytest.mark.parametrize("up", ["y", "-y"])
def test_left_of_a_person_who_faces_the_camera_is_right_in_the_picture(kind: Any, up: Any) -> None:
    sign = 1.0 if up == "y" else -1.0
    # Someone 3 m away who faces the camera (-z): with up and forwards, left is up x forwards.
    forwards, upwards = np.array([0.0, 0.0, -1.0]), np.array([0.0, sign, 0.0])
    left = np.cross(upwards, forwards)
    middle = np.array([0.0, 0.0, 3.0])
    joints = clip(*(tuple(middle + offset) for offset in (0.2 * left, -0.2 * left, 0.5 * upwards)))
    pixels = JointCamera(kind=kind, up=up)(joints).keypoint[0, 0]
    assert pixels[0, 0] > pixels[1, 0], "their left shoulder is on the right side of the picture"
    assert pixels[2, 1] < pixels[0, 1] - 10, "the head is above"


def test_drop_z_fits_the_clip_into_the_picture_with_one_scale() -> None:
    joints = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)
    found = JointCamera(kind="drop_z", height=120, width=160, fill=0.8)(joints)
    size = np.ptp(found.keypoint.reshape(-1, 2), axis=0)
    assert max(size / [160, 120]) == pytest.approx(0.8, rel=1e-4)
    centre = (found.keypoint.reshape(-1, 2).min(0) + found.keypoint.reshape(-1, 2).max(0)) / 2
    np.testing.assert_allclose(centre, [79.5, 59.5], atol=1e-3)
    # Depth plays no part; up is up and, seen along +z with y up, +x is on the left.
    scale = size[0] / np.ptp(joints[..., 0])
    np.testing.assert_allclose(np.diff(found.keypoint[..., 0]), -scale * np.diff(joints[..., 0]), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.diff(found.keypoint[..., 1]), -scale * np.diff(joints[..., 1]), rtol=1e-3, atol=1e-3)


def test_missing_joints_stay_missing() -> None:
    found = JointCamera()(clip((0, 0, 0), (math.nan, 0, 2), (0.1, 0.2, 2), (0.1, 0.2, -2)))
    np.testing.assert_array_equal(found.score[0, 0], [0, 0, 1, 0])
    assert (found.keypoint[0, 0, [0, 1, 3]] == 0).all()
    assert (found.keypoint[0, 0, 2] > 0).all()
    empty = JointCamera(kind="drop_z")(np.zeros((2, 3, 4, 3)))
    assert not empty.score.any()
    assert not empty.keypoint.any()


def test_a_camera_of_ones_own() -> None:
    # Motion capture with z up, seen from the +x side: +y is to the right.
    camera = JointCamera(height=100, width=100, field_of_view=90.0, eye=(4, 0, 1), target=(0, 0, 1), up="z")
    pixels = camera(clip((0, 0.0, 1.0), (0, 2.0, 1.0), (0, 0.0, 2.0))).keypoint[0, 0]
    np.testing.assert_allclose(pixels, [[49.5, 49.5], [74.5, 49.5], [49.5, 37.0]], atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "fisheye"}, "camera.kind"),
        ({"up": "x"}, "camera.up"),
        ({"height": 0}, "camera.height"),
        ({"field_of_view": 180.0}, "camera.field_of_view"),
        ({"fill": 0.0}, "camera.fill"),
        ({"eye": (0, 2, 0), "target": (0, 0, 0)}, "along camera.up"),
        ({"eye": (0, 2)}, "three numbers"),
    ],
)
def test_faults_of_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        JointCamera(**settings)


def test_faults_of_joints() -> None:
    with pytest.raises(InputError, match=r"\[M, T, V, 3\]"):
        JointCamera()(np.ones((1, 4, 17, 2)))
    with pytest.raises(InputError, match="behind the camera"):
        JointCamera()(clip((0, 0, -1), (0, 1, -2)))
