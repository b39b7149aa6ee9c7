"""How a pose becomes model input: the representations of ACTOR (`pose_rep`, `glob`, `translation`) and their sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from components.errors import InputError
from components.geometry import rotations

# Features of one joint in each representation.
POSE_REP_FEATS: dict[str, int] = {"xyz": 3, "rotvec": 3, "rotmat": 9, "rotquat": 4, "rot6d": 6}


@dataclass(frozen=True)
class PoseFormat:
    """Representation of one pose.

    Args:
        pose_rep: `xyz`, `rotvec`, `rotmat`, `rotquat` or `rot6d`.
        translation: append the root translation as one extra last row (not with `xyz`).
        glob: keep the global orientation (joint 0); else `glob_rot` stands for it when positions are computed.
        glob_rot: axis-angle of the global orientation when `glob` is false.

    Raises:
        InputError: unknown `pose_rep`.
    """

    pose_rep: str = "rot6d"
    translation: bool = True
    glob: bool = True
    glob_rot: Sequence[float] = field(default=(math.pi, 0.0, 0.0))

    def __post_init__(self) -> None:
        if self.pose_rep not in POSE_REP_FEATS:
            raise InputError(f"pose_rep='{self.pose_rep}' is not one of {', '.join(POSE_REP_FEATS)}")

    @property
    def num_feats(self) -> int:
        """Features per row."""
        return POSE_REP_FEATS[self.pose_rep]

    @property
    def has_translation_row(self) -> bool:
        """Whether the last row is the root translation."""
        return self.translation and self.pose_rep != "xyz"

    @property
    def num_joints(self) -> int:
        """Rows of one pose, the translation row included."""
        if self.pose_rep == "xyz":
            return 24
        return 23 + int(self.glob) + int(self.translation)

    @property
    def joint_rows(self) -> int:
        """Rows of one pose without the translation row."""
        return self.num_joints - int(self.has_translation_row)

    def split_translation(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        """Poses `[..., J, F]` to the rows of the joints, and the translation `[..., 3]` or None where there is none."""
        if not self.has_translation_row:
            return frames, None
        return frames[..., :-1, :], frames[..., -1, :3]


def encode_rotations(axis_angle: Tensor, pose_rep: str) -> Tensor:
    """Axis-angle `[..., 3]` to the features `[..., F]` of a rotation representation."""
    if pose_rep == "rotvec":
        return axis_angle
    if pose_rep == "rotquat":
        return rotations.axis_angle_to_quaternion(axis_angle)
    return encode_matrices(rotations.axis_angle_to_matrix(axis_angle), pose_rep)


def encode_matrices(matrix: Tensor, pose_rep: str) -> Tensor:
    """Matrices `[..., 3, 3]` to the features `[..., F]` of a rotation representation."""
    if pose_rep == "rotvec":
        return rotations.matrix_to_axis_angle(matrix)
    if pose_rep == "rotquat":
        return rotations.matrix_to_quaternion(matrix)
    if pose_rep == "rotmat":
        return matrix.flatten(-2)
    if pose_rep == "rot6d":
        return rotations.matrix_to_rot6d(matrix)
    raise InputError(f"pose_rep='{pose_rep}' holds no rotations; use one of rotvec, rotmat, rotquat, rot6d")


def decode_rotations(features: Tensor, pose_rep: str) -> Tensor:
    """Features `[..., F]` of a rotation representation to matrices `[..., 3, 3]`."""
    if pose_rep == "rotvec":
        return rotations.axis_angle_to_matrix(features)
    if pose_rep == "rotquat":
        return rotations.quaternion_to_matrix(features)
    if pose_rep == "rotmat":
        return features.unflatten(-1, (3, 3))
    if pose_rep == "rot6d":
        return rotations.rot6d_to_matrix(features)
    raise InputError(f"pose_rep='{pose_rep}' holds no rotations; use one of rotvec, rotmat, rotquat, rot6d")


def motion_features(poses: Tensor, root: Tensor | None, joints: Tensor | None, pose_format: PoseFormat) -> Tensor:
    """Model input of one motion, frames already selected (ACTOR's `Dataset._load`).

    Args:
        poses: `[T, 72]` axis-angle, 24 joints, global orientation first.
        root: `[T, 3]` root positions (metres), needed with `translation`.
        joints: `[T, 24, 3]` joint positions (metres), needed with `pose_rep=xyz`.
        pose_format: the representation.

    Returns:
        Float32 `[J, F, T]`; the translation row is relative to the first frame and zero padded.

    Raises:
        InputError: positions are needed and missing.
    """
    if pose_format.pose_rep == "xyz":
        if joints is None:
            raise InputError("pose_rep=xyz needs joint positions (joints3D), and the data have none")
        return (joints - joints[0, 0]).permute(1, 2, 0).float().contiguous()
    axis_angle = poses.reshape(len(poses), 24, 3)
    if not pose_format.glob:
        axis_angle = axis_angle[:, 1:]
    features = encode_rotations(axis_angle, pose_format.pose_rep)
    if pose_format.translation:
        if root is None:
            raise InputError("translation=true needs root positions (joints3D), and the data have none")
        row = features.new_zeros(len(poses), 1, features.shape[-1])
        row[:, 0, :3] = root - root[0]
        features = torch.cat([features, row], dim=1)
    return features.permute(1, 2, 0).float().contiguous()
