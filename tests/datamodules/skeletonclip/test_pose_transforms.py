from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from components.keypoints.skeletons import load_skeleton
from datamodules.skeletonclip.pose_transforms import (
    Box,
    Compact,
    Pose,
    RandomCrop,
    crop,
    decode,
    flip,
    resize,
    resize_short_side,
    without_nan,
)  # fmt: skip
from datamodules.skeletonclip.sampling import generator_of

COCO = load_skeleton("coco17")


def pose(seed: int = 0, size: tuple[int, int] = (240, 320), persons: int = 2, frames: int = 3) -> Pose:
    generator = np.random.default_rng(seed)
    keypoint = generator.uniform(20, 200, (persons, frames, 17, 2)).astype(np.float32)
    keypoint[0, 0, 0] = 0  # missing
    return Pose(keypoint, generator.uniform(0, 1, (persons, frames, 17)).astype(np.float32), size)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), width=st.integers(201, 500))
def test_flipping_twice_changes_nothing(seed: int, width: int) -> None:
    given_pose = pose(seed, (240, width))
    once = flip(given_pose, COCO.joint_mirror)
    twice = flip(once, COCO.joint_mirror)
    np.testing.assert_allclose(twice.keypoint, given_pose.keypoint, atol=1e-4)
    np.testing.assert_array_equal(twice.score, given_pose.score)
    # The left eye lies where the right one was mirrored to; what is missing stays at (0, 0).
    np.testing.assert_allclose(once.keypoint[:, :, 1, 0], width - given_pose.keypoint[:, :, 2, 0])
    assert not once.keypoint[0, 0, 0].any()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**62), height=st.integers(20, 90), width=st.integers(20, 90))
def test_crops_lie_in_the_picture(seed: int, height: int, width: int) -> None:
    box = RandomCrop().draw((height, width), generator_of(seed))
    assert 0 <= box.x <= box.x + box.width <= width
    assert 0 <= box.y <= box.y + box.height <= height
    assert box.width * box.height >= 0.5 * min(height, width) ** 2


def test_a_picture_that_no_candidate_fits_is_cut_to_its_middle() -> None:
    box = RandomCrop((1.0, 1.0), (1.0, 1.0)).draw((30, 100), generator_of(0))
    assert box == Box(35, 0, 30, 30)


def test_compacting_makes_a_square_about_all_persons() -> None:
    found = pose()
    small = Compact()(found)
    assert small.img_shape[0] == small.img_shape[1]
    seen = found.keypoint != 0
    span = max(np.ptp(found.keypoint[..., axis][seen[..., axis]]) for axis in (0, 1))
    assert abs(small.img_shape[0] - 1.25 * span) < 2  # both edges are cut to whole pixels
    assert not small.keypoint[0, 0, 0].any()
    moved = (found.keypoint - small.keypoint)[seen].reshape(-1, 2)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[0], moved.shape), atol=1e-4)


def test_compacting_leaves_small_people_and_respects_the_picture() -> None:
    found = pose()
    tiny = found._replace(keypoint=found.keypoint / 30)
    assert Compact()(tiny).img_shape == (240, 320)
    inside = Compact(allow_imgpad=False, hw_ratio=None)(found)
    assert inside.img_shape[0] <= 240
    nobody = Pose(np.zeros_like(found.keypoint), found.score, (240, 320))
    assert Compact()(nobody).img_shape == (240, 320)


def test_numbers_that_are_none_are_missing() -> None:
    found = pose()
    found.keypoint[1, 1, 4] = np.nan
    found.score[1, 1, 4] = np.nan
    for done in (without_nan(found), Compact()(found)):
        assert not done.keypoint[1, 1, 4].any()
        assert done.score[1, 1, 4] == 0
    assert np.isnan(found.keypoint[1, 1, 4]).all()


def test_resizing_and_cropping_move_joints_with_the_picture() -> None:
    found = pose()
    short = resize_short_side(found, 64)
    assert short.img_shape == (64, 85)
    np.testing.assert_allclose(short.keypoint, found.keypoint * [85 / 320, 64 / 240], rtol=1e-6)
    cut = crop(short, Box(3, 4, 50, 40))
    assert cut.img_shape == (40, 50)
    np.testing.assert_array_equal(cut.keypoint[0, 0, 0], [-3, -4])  # a missing joint leaves the picture
    assert resize(cut, 56, 56).img_shape == (56, 56)


def test_decoding_takes_pixels_of_half_precision() -> None:
    keypoint = pose(frames=5).keypoint.astype(np.float16)
    three = np.concatenate([keypoint, keypoint[..., :1]], axis=-1)
    chosen = decode(three, None, (240, 320), np.array([4, 0]))
    np.testing.assert_array_equal(chosen.keypoint, keypoint[:, [4, 0]].astype(np.float32))
    assert chosen.keypoint.dtype == chosen.score.dtype == np.float32
    assert (chosen.score == 1).all()


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Compact, {"padding": -1}, "padding=-1"),
        (Compact, {"hw_ratio": 0}, r"data\.compact\.hw_ratio=0"),
        (RandomCrop, {"area": (0.6, 0.5)}, r"data\.crop\.area"),
        (RandomCrop, {"ratio": (0, 1)}, r"data\.crop\.ratio"),
    ],
)
def test_settings_out_of_range(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**options)
