"""Two-bone inverse kinematics with a one-axis hinge in the middle: knees and elbows."""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.geometry.rotations import axis_angle_to_matrix


def two_bone(
    first: Tensor,
    second: Tensor,
    axis: Tensor,
    target: Tensor,
    hinge: Tensor,
    min_bend: float = 0.03,
    soft: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Turn a limb of two bones so that its end meets a target.

    Args:
        first, second: `[3]` the bones in the rest pose (hip to knee, knee to ankle), metres.
        axis: `[3]` unit hinge axis in the rest pose; bending turns the second bone about it by a positive angle.
        target: `[T, 3]` wanted end point from the limb's root, in the parent's frame, metres, not zero.
        hinge: `[T, 3]` wanted direction of the hinge axis in the parent's frame, not parallel to the target.
        min_bend: smallest bend of the hinge, radians, so that a limb never snaps straight or bends backwards.
        soft: last share of the reach over which far targets are approached but not met (0: met up to full reach).

    Returns:
        Rotation of the first bone `[T, 3, 3]` in the parent's frame and the bend `[T]` in radians. A target out of
        reach is met in direction.
    """
    along, along_second = first @ axis, second @ axis
    across, across_second = first - along * axis, second - along_second * axis
    rest_angle = torch.atan2(axis @ torch.linalg.cross(across, across_second), across @ across_second)
    constant = (along + along_second) ** 2 + across @ across + across_second @ across_second
    product = 2 * torch.linalg.vector_norm(across) * torch.linalg.vector_norm(across_second)
    distance = torch.linalg.vector_norm(target, dim=-1)
    if soft:
        longest = torch.sqrt(constant + product * torch.cos(rest_angle + min_bend))
        free, band = (1 - soft) * longest, soft * longest
        distance = torch.where(distance > free, longest - band * torch.exp(-(distance - free) / band), distance)
    cosine = ((distance**2 - constant) / product).clamp(-1.0, 1.0)
    bend = (torch.acos(cosine) - rest_angle).clamp(min=min_bend)
    end = first + (axis_angle_to_matrix(bend[:, None] * axis) @ second)
    return _frame(target, hinge) @ _frame(end, axis.expand_as(end)).transpose(-1, -2), bend


def _frame(direction: Tensor, side: Tensor) -> Tensor:
    """Orthonormal columns `[T, 3, 3]`: along `direction`, towards `side`, and their cross product."""
    first = F.normalize(direction, dim=-1)
    second = F.normalize(side - (side * first).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second, dim=-1)], dim=-1)
