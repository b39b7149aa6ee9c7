import numpy as np
import pytest

from components.keypoints.drawing import skeleton_strip, weight_colors
from components.keypoints.skeletons import load_skeleton
from tests.components.keypoints.keypoint_files import person

LIMBS = load_skeleton("coco17").limbs


def clip(frames=6):
    return np.stack([person(10 + 5 * t)[:, :2] for t in range(frames)])[None]


def test_large_weights_are_dark_and_those_that_hardly_differ_look_alike():
    dark = weight_colors(np.array([0.0, 1.0, 2.0])).astype(int).sum(1)
    assert dark[0] > dark[1] > dark[2]
    near = weight_colors(np.array([1.0, 1.001])).astype(int)
    assert np.abs(near[0] - near[1]).max() < 5
    assert len({tuple(color) for color in weight_colors(np.ones(3))}) == 1


def test_moments_stand_side_by_side_in_the_colours_of_their_weights():
    weights = np.array([0.2, 0.2, 0.2, 0.2, 0.2, 5.0])
    picture = skeleton_strip(clip(), None, LIMBS, weights, frames=3, cell=(60, 50))
    assert picture.shape == (60 + 102, 150, 3)
    cells = [picture[:60, 50 * place : 50 * place + 50].reshape(-1, 3).astype(int) for place in range(3)]
    strongest, pale = weight_colors(weights)[[5, 0]].astype(int)
    found = [[(np.abs(cell - color).sum(1) < 8).any() for color in (strongest, pale)] for cell in cells]
    assert found == [[False, True], [False, True], [True, False]]
    titled = skeleton_strip(clip(), None, LIMBS, weights, frames=3, cell=(60, 50), title="a title")
    assert len(titled) == len(picture) + 30


def test_missing_joints_are_not_drawn():
    points = clip()
    points[:, :, 5:] = np.nan
    score = np.ones((1, 6, 17))
    score[:, :, :5] = 0
    inked, blank = (
        np.split(skeleton_strip(points, each, LIMBS, np.ones(6), cell=(60, 50))[:60], 6, axis=1)
        for each in (None, score)
    )
    assert len({cell.tobytes() for cell in inked}) == 6
    assert len({cell.tobytes() for cell in blank}) == 1  # all say "nobody"
    with pytest.raises(ValueError, match="one per frame"):
        skeleton_strip(points, None, LIMBS, np.ones(5))
