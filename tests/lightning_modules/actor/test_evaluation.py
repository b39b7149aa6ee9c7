import math

import pytest
import torch
from torch import Tensor

from components.body.loader import load_body
from components.body.pose_format import PoseFormat, encode_rotations
from components.errors import InputError
from datamodules.actor.batch import MotionBatch
from entrypoints.runs import build_module
from lightning_modules.actor.evaluation import (
    MotionStatistics,
    evaluate_reconstruction,
    generated_statistics,
    mean_pose,
    motion_statistics,
    real_statistics,
    root_joints,
    telling_pairs,
)
from lightning_modules.actor.generation import ActionPair
from tests.entrypoints.actor_run import actor_config

FORMAT = PoseFormat(translation=False)


def features(axis_angle: Tensor) -> Tensor:
    """`[T, 24, 3]` to `[24, 6, T]`."""
    return encode_rotations(axis_angle, "rot6d").permute(1, 2, 0)


def swing(joint: int, frames: int = 20) -> Tensor:
    """One joint turns to and fro."""
    pose = torch.zeros(frames, 24, 3)
    pose[:, joint, 0] = pose[:, joint, 2] = torch.sin(torch.linspace(0, 2 * math.pi, frames))
    return features(pose)


def batch(motions: list[Tensor], lengths: list[int], labels: list[int]) -> MotionBatch:
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    padded = torch.stack([torch.nn.functional.pad(m[..., :n], (0, longest - n)) for m, n in zip(motions, lengths)])
    label = torch.tensor(labels)
    return {
        "motion": padded, "mask": mask, "lengths": torch.tensor(lengths), "action": label, "second_action": label,
        "mix_alpha": torch.ones(len(labels)),
    }  # fmt: skip


def test_mean_pose_is_over_frames_not_over_clips() -> None:
    mean = mean_pose([torch.zeros(2, 3, 9), torch.ones(2, 3, 1)])
    torch.testing.assert_close(mean, torch.full((2, 3), 0.1))
    with pytest.raises(InputError, match="no motion"):
        mean_pose([])


@torch.no_grad()
def test_reconstruction_errors_by_class_against_a_loop() -> None:
    torch.manual_seed(0)
    net = build_module(actor_config()).net.eval()
    motions, lengths, labels = [swing(1), swing(16), swing(18)], [20, 12, 7], [1, 4, 4]
    one = batch(motions, lengths, labels)
    baseline = mean_pose(motions)
    result = evaluate_reconstruction(net, [one], baseline, FORMAT, load_body())

    out = net(one["motion"], one["mask"], one["action"], one["second_action"], torch.zeros(3, 16))
    total, flat, frames = 0.0, 0.0, 0
    for row in (1, 2):
        n = lengths[row]
        total += float(((out.motion[row, ..., :n] - one["motion"][row, ..., :n]) ** 2).sum()) / (24 * 6)
        flat += float(((baseline[..., None] - one["motion"][row, ..., :n]) ** 2).sum()) / (24 * 6)
        frames += n
    assert float(result.by_class("rc")[4]) == pytest.approx(total / frames, rel=1e-4)
    assert float(result.by_class("rc_mean_pose")[4]) == pytest.approx(flat / frames, rel=1e-4)
    assert result.clips.tolist()[:5] == [0, 1, 0, 0, 2]
    assert math.isnan(float(result.by_class("rc")[0]))
    assert "rcxyz" not in result.terms
    assert result.kl_per_dim() >= 0
    # In parts or at once: the same.
    parts = [batch([motions[i]], [lengths[i]], [labels[i]]) for i in range(3)]
    again = evaluate_reconstruction(net, parts, baseline, FORMAT, load_body())
    assert again.overall("mpjpe_mm") == pytest.approx(result.overall("mpjpe_mm"), rel=1e-3)


def test_predicting_the_mean_pose_of_a_still_person_is_perfect() -> None:
    net = build_module(actor_config()).net.eval()
    still = features(torch.full((5, 24, 3), 0.2))
    result = evaluate_reconstruction(net, [batch([still], [5], [0])], mean_pose([still]), FORMAT, load_body())
    assert result.overall("mpjpe_mean_pose_mm") < 0.1
    assert result.overall("mpjpe_mm") > 10


def test_nothing_to_evaluate() -> None:
    net = build_module(actor_config()).net.eval()
    with pytest.raises(InputError, match="no motion"):
        evaluate_reconstruction(net, [], torch.zeros(24, 6), FORMAT, load_body())


def test_limbs_are_told_apart_and_turning_as_a_whole_is_no_motion() -> None:
    body, mask = load_body(), torch.ones(1, 20, dtype=torch.bool)

    def of(motion: Tensor) -> MotionStatistics:
        return motion_statistics(root_joints(motion[None], mask, FORMAT, body, own_heading=True), mask, 20.0)

    legs, arms, turn = of(swing(1)), of(swing(16)), of(swing(0))
    assert legs.legs > 5
    assert legs.arms < 1e-3
    assert arms.arms > 3
    assert arms.legs < 1e-3
    assert turn.legs + turn.arms + turn.speed < 1e-3
    assert math.isnan(legs.spread)


def test_padding_does_not_count() -> None:
    body = load_body()
    short = batch([swing(1)], [20], [0])
    joints = root_joints(short["motion"], short["mask"], FORMAT, body, own_heading=True)
    padded = torch.nn.functional.pad(short["motion"], (0, 9))
    mask = torch.arange(29)[None] < 20
    long = motion_statistics(root_joints(padded, mask, FORMAT, body, own_heading=True), mask, 20.0)
    whole = motion_statistics(joints, short["mask"], 20.0)
    assert (long.legs, long.speed) == pytest.approx((whole.legs, whole.speed), rel=1e-4)


def test_statistics_of_real_and_generated_motions() -> None:
    body = load_body()
    real = real_statistics([(swing(1), 0), (swing(1, 12), 0), (swing(16), 2)], 4, 5, FORMAT, body, 20.0)
    assert [own is None for own in real] == [False, True, False, True]
    assert real[0] is not None
    assert real[0].clips == 2
    assert real[0].spread > 0
    net = build_module(actor_config()).net
    requests = [ActionPair(0, 0), ActionPair(0, 2)]
    made = generated_statistics(net, requests, 6, 3, FORMAT, body, 20.0)
    # A request's numbers do not depend on its neighbours.
    assert made[1] == generated_statistics(net, requests[1:], 6, 3, FORMAT, body, 20.0)[0]
    assert made[0].clips == 3


def test_telling_pairs_join_moving_legs_with_arms_of_people_who_stand() -> None:
    def person(legs: float, arms: float) -> MotionStatistics:
        return MotionStatistics(5, legs, arms, 1.0, 1.0)

    real = [person(0, 20), person(15, 5), None, person(12, 30), person(1, 2), person(0, 10)]
    assert telling_pairs(real) == [ActionPair(1, 0), ActionPair(1, 5), ActionPair(3, 0), ActionPair(3, 5)]
