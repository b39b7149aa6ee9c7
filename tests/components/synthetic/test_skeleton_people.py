"""Joints of COCO on our body: whose left is whose, where the face is, what hides what."""

import math

import pytest
import torch

from components.geometry.cameras import LookAtCamera
from components.keypoints.camera import to_pixels
from components.keypoints.skeletons import load_skeleton
from components.synthetic.curves import Draw
from components.synthetic.performers import draw_performers
from components.synthetic.skeleton_people import COCO, Motion, draw_shape, idle, perform

SKELETON = load_skeleton("coco17")


@pytest.fixture(scope="module")
def standing() -> Motion:
    return idle(draw_performers(1, 0)[0], draw_shape(0, 0), 3, 25.0, Draw(0))


def around(*degrees: float) -> torch.Tensor:
    """Eyes `[N, 3]` at chest height, 0 = before the person."""
    angle = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([5 * torch.sin(angle), torch.full_like(angle, 1.2), 5 * torch.cos(angle)], dim=-1)


def test_a_body_stands_upright_and_faces_the_camera(standing: Motion) -> None:
    place = dict(zip(COCO, standing.keypoints[0]))
    assert standing.keypoints.shape == (3, 17, 3)
    for left, right in zip(SKELETON.left_kp, SKELETON.right_kp):
        assert standing.keypoints[0, left, 0] > standing.keypoints[0, right, 0], "the left is +x"
    heights = [float(place[name][1]) for name in ("nose", "left_shoulder", "left_hip", "left_knee", "left_ankle")]
    assert heights == sorted(heights, reverse=True)
    assert 0.0 < heights[-1] < 0.2
    assert 1.3 < heights[0] < 1.9
    assert place["nose"][2] > place["left_eye"][2] > place["left_ear"][2], "the nose is in front"
    assert 0.04 < float((place["left_eye"] - place["right_eye"]).norm()) < 0.09
    assert 0.12 < float((place["left_ear"] - place["right_ear"]).norm()) < 0.22


def test_the_persons_left_is_on_the_right_of_a_picture_from_the_front(standing: Motion) -> None:
    for degrees, sign in ((0.0, 1), (180.0, -1)):
        camera = LookAtCamera(around(degrees)[0], torch.tensor([0.0, 1.0, 0.0]), 0.4)
        pixels, _ = to_pixels(standing.keypoints[0], camera, (200, 200))
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "ear"):
            left, right = COCO.index(f"left_{name}"), COCO.index(f"right_{name}")
            assert sign * (pixels[left, 0] - pixels[right, 0]) > 0, f"{name} at {degrees} degrees"


def test_what_the_body_hides(standing: Motion) -> None:
    front, left_side, behind = standing.hidden_from(around(0.0, 90.0, 180.0))
    hidden = [{name for name, is_hidden in zip(COCO, row) if is_hidden} for row in (front, left_side, behind)]
    assert hidden[0] == set()
    assert {"right_ear", "right_shoulder", "right_hip"} <= hidden[1], "from the left, the far side"
    assert not any(name.startswith("left_") for name in hidden[1])
    assert {"nose", "left_eye", "right_eye"} <= hidden[2]
    assert not hidden[2] & {"left_shoulder", "right_shoulder", "left_knee", "right_knee"}


def test_frame_rates_change_only_when_a_motion_is_seen() -> None:
    performer, shape = draw_performers(1, 3)[0], draw_shape(3, 0)
    slow = perform("run", performer, shape, 5.0, 11, 20.0, Draw(4))
    fast = perform("run", performer, shape, 5.0, 21, 40.0, Draw(4))
    torch.testing.assert_close(slow.keypoints, fast.keypoints[::2])
    halves = (slow.keypoints[:-1] + slow.keypoints[1:]) / 2
    torch.testing.assert_close(fast.keypoints[1::2], halves)


def test_left_handed_people_drink_with_the_left() -> None:
    cast = draw_performers(6, 0)
    for performer, side in ((cast[0], "right"), (cast[5], "left")):
        motion = perform("drink", performer, draw_shape(0, 0), 20.0, 10, 20.0, Draw(1))
        wrist, nose = (motion.keypoints[:, COCO.index(name)] for name in (f"{side}_wrist", "nose"))
        other = motion.keypoints[:, COCO.index({"right": "left", "left": "right"}[side] + "_wrist")]
        assert (wrist - nose).norm(dim=-1).max() < 0.25
        assert (other - nose).norm(dim=-1).min() > 0.5


def test_a_person_can_be_put_elsewhere(standing: Motion) -> None:
    moved = standing.placed(math.pi / 2, torch.tensor([1.0, 0.0, -2.0]))
    x, y, z = standing.keypoints.unbind(-1)
    torch.testing.assert_close(moved.keypoints, torch.stack([z + 1, y, -x - 2], dim=-1))
    assert not torch.equal(moved.solids, standing.solids)
