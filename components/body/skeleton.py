"""The SMPL joint tree (Loper et al. 2015) and forward kinematics over it."""

import torch
from torch import Tensor

SMPL_JOINTS: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)  # fmt: skip
SMPL_PARENTS: tuple[int, ...] = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
LEG_JOINTS: tuple[int, ...] = (1, 2, 4, 5, 7, 8, 10, 11)
ARM_JOINTS: tuple[int, ...] = (13, 14, 16, 17, 18, 19, 20, 21, 22, 23)
# Chains for stick figures: right leg, left leg, trunk, left arm, right arm.
SMPL_CHAINS: tuple[tuple[int, ...], ...] = (
    (0, 2, 5, 8, 11),
    (0, 1, 4, 7, 10),
    (0, 3, 6, 9, 12, 15),
    (9, 13, 16, 18, 20, 22),
    (9, 14, 17, 19, 21, 23),
)


def forward_kinematics(
    rotations: Tensor, rest_joints: Tensor, parents: tuple[int, ...] = SMPL_PARENTS
) -> tuple[Tensor, Tensor]:
    """World joint positions and rotations from local rotations; the root stays at its rest position.

    Args:
        rotations: `[..., J, 3, 3]` local rotations, joint 0 = global orientation.
        rest_joints: `[J, 3]` or `[..., J, 3]` joint positions of the rest pose, metres.
        parents: parent of each joint, -1 for the root, parents before children.

    Returns:
        Positions `[..., J, 3]` and world rotations `[..., J, 3, 3]`.
    """
    rest_joints = rest_joints.expand(*rotations.shape[:-2], 3)
    world_rotations, positions = [rotations[..., 0, :, :]], [rest_joints[..., 0, :]]
    for joint, parent in enumerate(parents[1:], start=1):
        bone = (rest_joints[..., joint, :] - rest_joints[..., parent, :]).unsqueeze(-1)
        positions.append(positions[parent] + (world_rotations[parent] @ bone).squeeze(-1))
        world_rotations.append(world_rotations[parent] @ rotations[..., joint, :, :])
    return torch.stack(positions, dim=-2), torch.stack(world_rotations, dim=-3)
