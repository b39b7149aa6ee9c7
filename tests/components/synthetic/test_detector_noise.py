"""Statistics of what the detector makes of a person."""

import numpy as np
import pytest
import torch

from components.keypoints.skeletons import load_skeleton
from components.synthetic.curves import Draw
from components.synthetic.detector_noise import Detections, detect, stack_persons

SKELETON = load_skeleton("coco17")
FRAMES, CLIPS, TALL = 60, 60, 200.0
HIDDEN = torch.zeros(FRAMES, 17, dtype=torch.bool)
HIDDEN[:, [3, 11]] = True


def truth() -> torch.Tensor:
    """Somebody 200 pixels high who does not move, `[T, 17, 2]`."""
    places = torch.stack([torch.linspace(100, 160, 17), torch.linspace(20, 20 + TALL, 17)], dim=-1)
    return places.expand(FRAMES, 17, 2)


@pytest.fixture(scope="module")
def detections() -> list[Detections]:
    return [detect(truth(), HIDDEN, (240, 320), Draw(5, index)) for index in range(CLIPS)]


def test_noise_is_reproducible_and_differs_by_clip(detections: list[Detections]) -> None:
    again = detect(truth(), HIDDEN, (240, 320), Draw(5, 0))
    assert torch.equal(again.keypoint, detections[0].keypoint)
    assert torch.equal(again.score, detections[0].score)
    assert not torch.equal(detections[1].keypoint, detections[0].keypoint)


def test_jitter(detections: list[Detections]) -> None:
    error = torch.stack([found.keypoint - truth() for found in detections])  # clips T 17 2
    found = torch.stack([found.keypoint for found in detections]).ne(0).any(-1)
    usual = found & (error.abs().amax(-1) < 0.1 * TALL)  # neither lost nor taken for its mirror image
    deviation = torch.stack([error[:, :, joint][usual[:, :, joint]].std() for joint in range(17)]) / TALL
    assert 0.004 < deviation[0] < 0.006, "faces are found well"
    assert 0.008 < deviation[9] < 0.012
    assert 2.0 < deviation[11] / deviation[12] < 3.0, "hidden joints are found badly"
    assert error[usual].mean().abs() < 0.001 * TALL, "to no side"
    # Errors last: neighbouring frames have much in common.
    both = usual[:, 1:, 9] & usual[:, :-1, 9]
    before, after = error[:, :-1, 9, 0][both], error[:, 1:, 9, 0][both]
    assert 0.45 < torch.corrcoef(torch.stack([before, after]))[0, 1] < 0.75


def test_scores(detections: list[Detections]) -> None:
    score = torch.stack([found.score for found in detections])
    assert score.min() >= 0.0
    assert score.max() <= 1.0
    mean = torch.stack([score[:, :, joint][score[:, :, joint] > 0].mean() for joint in range(17)])
    assert mean[0] > mean[5] > mean[9], "nose, shoulder, wrist"
    for hidden, seen in ((3, 4), (11, 12)):
        assert mean[hidden] < 0.7 * mean[seen]
    for name in ("wrist", "ankle"):
        left, right = (mean[SKELETON.joints.index(f"{side}_{name}")] for side in ("left", "right"))
        assert (left - right).abs() < 0.05


def test_missed_joints_are_zeros(detections: list[Detections]) -> None:
    lost = torch.stack([(found.keypoint == 0).all(-1) for found in detections])
    assert torch.equal(lost, torch.stack([found.score for found in detections]) == 0)
    assert not any(((found.keypoint == 0).any(-1) & (found.keypoint != 0).any(-1)).any() for found in detections)
    empty = lost.all(-1)
    share = [float(lost[:, :, joint][~empty].float().mean()) for joint in (12, 11)]
    assert 0.003 < share[0] < 0.02
    assert 0.04 < share[1] < 0.12, "hidden joints are lost more often"
    # Now and then nobody is found for a while, never at the ends.
    assert 2 <= int(empty.any(1).sum()) <= 14
    assert not empty[:, [0, -1]].any()
    assert int(empty.sum(1)[empty.any(1)].min()) >= 2
    assert int(empty.sum(1).max()) <= 8


def test_sides_are_mixed_up_now_and_then(detections: list[Detections]) -> None:
    mirrored = truth()[:, list(SKELETON.joint_mirror)]
    swapped = 0
    for found in detections:
        seen = (found.keypoint != 0).any(-1)
        wrong = (found.keypoint - mirrored).norm(dim=-1) < (found.keypoint - truth()).norm(dim=-1)
        # Joints of the arms or legs, far from their mirror images: half of them at least.
        mixed = [(wrong & seen)[:, joints].float().mean(1) > 0.5 for joints in (range(5, 11), range(11, 17))]
        swapped += bool(torch.stack(mixed).any())
    assert 0.05 < swapped / CLIPS < 0.4


def test_nobody_is_found_outside_the_picture() -> None:
    found = detect(truth() + torch.tensor([150.0, 0.0]), HIDDEN, (240, 280), Draw(1))
    outside = (truth()[0, :, 0] + 150) > 279
    assert outside.any()
    assert not outside.all()
    calm = found.score[:, ~outside] > 0
    assert calm.float().mean() > 0.8
    keypoint, score = stack_persons([found, found])
    assert keypoint.shape == (2, FRAMES, 17, 2)
    assert (keypoint.dtype, score.dtype) == (np.float16, np.float16)
    assert keypoint[..., 0].max() <= 279
    assert keypoint[..., 1].max() <= 239
    assert keypoint[keypoint != 0].min() >= 1
