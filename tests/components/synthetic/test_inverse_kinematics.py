"""Two-bone inverse kinematics against forward kinematics."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.geometry.rotations import axis_angle_to_matrix
from components.synthetic.inverse_kinematics import two_bone

FIRST = torch.tensor([0.03, -0.40, 0.01], dtype=torch.float64)
SECOND = torch.tensor([-0.02, -0.41, -0.03], dtype=torch.float64)
AXIS = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)


def end_point(upper: torch.Tensor, bend: torch.Tensor) -> torch.Tensor:
    """Where the limb's end comes to lie."""
    lower = axis_angle_to_matrix(bend[:, None] * AXIS)
    return (upper @ (FIRST + (lower @ SECOND)).unsqueeze(-1)).squeeze(-1)


@settings(max_examples=60, deadline=None)
@given(
    distance=st.floats(0.2, 0.8), polar=st.floats(0.3, 2.8), around=st.floats(-3.1, 3.1), side=st.floats(-0.6, 0.6)
)  # fmt: skip
def test_end_meets_target_and_hinge_has_its_direction(
    distance: float, polar: float, around: float, side: float
) -> None:
    direction = [math.sin(polar) * math.cos(around), -math.cos(polar), math.sin(polar) * math.sin(around)]
    target = distance * torch.tensor([direction], dtype=torch.float64)
    hinge = torch.linalg.cross(target, torch.tensor([[side, 0.3, 1.0]], dtype=torch.float64), dim=-1)
    upper, bend = two_bone(FIRST, SECOND, AXIS, target, hinge)
    torch.testing.assert_close(upper @ upper.transpose(-1, -2), torch.eye(3, dtype=torch.float64)[None])
    torch.testing.assert_close(end_point(upper, bend), target, atol=1e-9, rtol=0)
    assert bend.min() > 0
    assert ((upper @ AXIS) * hinge).sum() > 0


def test_far_targets_are_met_in_direction_only() -> None:
    target = torch.tensor([[0.0, -2.0, 0.5]], dtype=torch.float64)
    hinge = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    for soft in (0.0, 0.05):
        upper, bend = two_bone(FIRST, SECOND, AXIS, target, hinge, soft=soft)
        end = end_point(upper, bend)
        torch.testing.assert_close(end / end.norm(), target / target.norm())
        assert bend.item() >= 0.03


def test_soft_reach_is_continuous_and_growing() -> None:
    length = torch.linspace(0.6, 1.0, 200, dtype=torch.float64)
    target = length[:, None] * torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    upper, bend = two_bone(FIRST, SECOND, AXIS, target, AXIS.expand(200, 3), soft=0.05)
    reached = end_point(upper, bend).norm(dim=-1)
    step = reached[1:] - reached[:-1]
    assert step.min() > 0
    assert step.max() < 0.0021
    assert bend.min() > 0.03
