from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.heatmap_loop import keypoint_loop, limb_loop
from components.errors import InputError
from components.keypoints import heatmaps
from components.keypoints.heatmap_windows import bounds
from components.keypoints.heatmaps import HeatmapVolume, keypoint_heatmaps, limb_heatmaps
from components.keypoints.skeletons import KeypointSkeleton, load_skeleton

COCO = load_skeleton("coco17")
SIZE = (14, 19)


def people(seed: int, persons: int = 2, frames: int = 2, reach: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints in and about a small picture, some on whole pixels, some at one place, some of no confidence."""
    generator = np.random.default_rng(seed)
    keypoint = generator.uniform(-reach, SIZE[1] + reach, (persons, frames, 17, 2)).astype(np.float32)
    keypoint[:, :, ::4] = np.round(keypoint[:, :, ::4])
    keypoint[:, 0, 3] = keypoint[:, 0, 1] + 0.2
    keypoint[0, :, 11] = 0
    score = generator.uniform(0, 1, (persons, frames, 17)).astype(np.float32)
    score[:, :, 5] = generator.choice([0, 5e-4, 1e-3, 2e-3], (persons, frames))
    return keypoint, score


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    sigma=st.sampled_from([0.3, 0.6, 1.0, 2.4]),
    use_score=st.booleans(),
    persons=st.integers(1, 3),
)
def test_windows_equal_painting_joint_by_joint(seed: int, sigma: float, use_score: bool, persons: int) -> None:
    keypoint, score = people(seed, persons)
    given = torch.from_numpy(keypoint), torch.from_numpy(score), SIZE
    joints = keypoint_heatmaps(*given, sigma, use_score)
    np.testing.assert_allclose(joints, keypoint_loop(keypoint, score, SIZE, sigma, use_score), rtol=0, atol=1e-5)
    limbs = limb_heatmaps(*given, COCO.limbs, sigma, use_score)
    np.testing.assert_allclose(limbs, limb_loop(keypoint, score, SIZE, COCO.limbs, sigma, use_score), rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(middle=st.floats(-30, 60, width=32) | st.integers(-5, 40).map(float), sigma=st.sampled_from([0.3, 0.6, 1.0]))
def test_windows_end_where_int_cuts(middle: float, sigma: float) -> None:
    low, high = bounds(torch.tensor(middle), torch.tensor(middle), 30, sigma)
    mu = float(np.float32(middle))
    expected = range(max(int(mu - 3 * sigma), 0), min(int(mu + 3 * sigma) + 1, 30))
    assert list(range(int(low), int(high))) == list(expected)


@pytest.mark.parametrize("kind", ["keypoint", "limb"])
def test_volumes_are_batches_of_clips_with_mirrored_ones_last(kind: Any) -> None:
    poses = [people(seed, frames=6) for seed in (0, 1)]
    # [B, K, M, T, V, 2]: two clips of three frames.
    keypoint = torch.from_numpy(np.stack([points for points, _ in poses])).unflatten(2, (2, 3)).transpose(1, 2)
    score = torch.from_numpy(np.stack([scores for _, scores in poses])).unflatten(2, (2, 3)).transpose(1, 2)
    volume = HeatmapVolume(kind, COCO, double=True)
    drawn = volume(keypoint, score, SIZE)
    assert drawn.shape == (2, *volume.shape(2, 3, SIZE)) == (2, 4, 17, 3, *SIZE)
    assert drawn.is_contiguous()
    for sample in range(2):
        for clip in range(2):
            frames = keypoint_heatmaps(keypoint[sample, clip], score[sample, clip], SIZE)
            if kind == "limb":
                frames = limb_heatmaps(keypoint[sample, clip], score[sample, clip], SIZE, COCO.limbs)
            torch.testing.assert_close(drawn[sample, clip], frames.transpose(0, 1), rtol=0, atol=0)
    mirror = COCO.joint_mirror if kind == "keypoint" else COCO.limb_mirror
    torch.testing.assert_close(drawn[:, 2:], drawn[:, :2, mirror].flip(-1), rtol=0, atol=0)
    out = torch.full_like(drawn, 3.0)
    assert volume(keypoint, score, SIZE, out).data_ptr() == out.data_ptr()
    torch.testing.assert_close(out, drawn, rtol=0, atol=0)


def test_whole_canvases_equal_windows() -> None:
    keypoint, score = people(3)
    points, sure = torch.from_numpy(keypoint)[None, None], torch.from_numpy(score)[None, None]
    expected = HeatmapVolume("limb", COCO, double=True)(points, sure, SIZE)
    volume = torch.zeros_like(expected)
    heights = sure.masked_fill(sure < heatmaps.EPS, 0)
    heatmaps._draw_canvases(volume, points, heights, 0.6, heatmaps.EPS, COCO.limbs, COCO.limb_mirror)
    torch.testing.assert_close(volume, expected, rtol=0, atol=1e-6)


def test_joints_that_are_no_numbers_and_persons_without_any_are_not_drawn() -> None:
    keypoint, score = people(4)
    keypoint[0, 0, 0, 1] = np.inf
    keypoint[1] = np.nan
    for use_score in (True, False):
        joints = keypoint_heatmaps(torch.from_numpy(keypoint), torch.from_numpy(score), SIZE, use_score=use_score)
        limbs = limb_heatmaps(torch.from_numpy(keypoint), None, SIZE, COCO.limbs, use_score=use_score)
        assert joints.isfinite().all()
        assert limbs.isfinite().all()
        assert not joints[0, 0].any()
        assert not limbs[0, 0].any()
        alone = keypoint_heatmaps(
            torch.from_numpy(keypoint[:1]), torch.from_numpy(score[:1]), SIZE, use_score=use_score
        )
        torch.testing.assert_close(joints, alone, rtol=0, atol=0)


def test_scaling_changes_the_canvas() -> None:
    keypoint, score = people(5)
    drawn = keypoint_heatmaps(torch.from_numpy(keypoint), torch.from_numpy(score), SIZE, scaling=0.5)
    assert drawn.shape[-2:] == (7, 10)
    np.testing.assert_allclose(drawn, keypoint_loop(keypoint * np.float32(0.5), score, (7, 10)), rtol=0, atol=1e-5)


def test_a_canvas_smaller_than_a_window() -> None:
    keypoint, score = people(6)
    drawn = keypoint_heatmaps(torch.from_numpy(keypoint), torch.from_numpy(score), (2, 3))
    np.testing.assert_allclose(drawn, keypoint_loop(keypoint, score, (2, 3)), rtol=0, atol=1e-5)


def test_settings_that_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match=r"data\.heatmap\.kind='joints' is not one of"):
        HeatmapVolume("joints", COCO)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sigma=0"):
        HeatmapVolume("keypoint", COCO, sigma=0)
    bare = KeypointSkeleton("dots", ("a", "b"), (), (), (), (), ())
    with pytest.raises(InputError, match="skeleton 'dots' has no limbs"):
        HeatmapVolume("limb", bare)
