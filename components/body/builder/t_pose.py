"""Turns MakeHuman's rest pose (arms hanging at 45 degrees, elbows bent, legs apart) into SMPL's T-pose."""

from collections.abc import Sequence

import numpy as np

from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS

_DOWN = np.array([0.0, -1.0, 0.0])
# The collar bones rise a little with the arms, about z, radians.
_COLLAR_LIFT = np.radians(7.0)


def t_pose(
    vertices: np.ndarray,
    joints: np.ndarray,
    knuckles: np.ndarray,
    toes: np.ndarray,
    weights: np.ndarray,
    bone_joints: np.ndarray,
    twist_shares: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Pose a body by linear blend skinning with its own bones.

    Args:
        vertices: `[V, 3]` rest vertices of MakeHuman.
        joints: `[24, 3]` SMPL joints in that pose.
        knuckles: `[2, 2, 3]` index and little finger knuckle of the left and the right hand.
        toes: `[2, 3]` tip of the left and the right foot.
        weights: `[V, B]` skinning weights.
        bone_joints: `[B]` the SMPL joint that carries each bone.
        twist_shares: `[B]` share of the forearm twist for bones between elbow and wrist, 0 elsewhere.

    Returns:
        Vertices and joints in the T-pose, the pelvis at the origin.
    """
    rotations, twists = _rotations(joints, knuckles, toes)
    positions = np.zeros_like(joints)
    for joint, parent in enumerate(SMPL_PARENTS[1:], start=1):
        positions[joint] = positions[parent] + rotations[parent] @ (joints[joint] - joints[parent])
    matrices = np.empty((len(bone_joints), 3, 3))
    for bone, (joint, share) in enumerate(zip(bone_joints, twist_shares)):
        matrices[bone] = _about(0, share * twists[joint]) @ rotations[joint]
    offsets = positions[bone_joints] - np.einsum("bij,bj->bi", matrices, joints[bone_joints])
    transforms = np.concatenate([matrices, offsets[:, :, None]], axis=2)
    blended = (weights @ transforms.reshape(len(transforms), 12)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[..., :3], vertices) + blended[..., 3], positions


def _rotations(joints: np.ndarray, knuckles: np.ndarray, toes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """World rotation of each joint `[24, 3, 3]` and forearm twist `[24]` (about x, radians) held by the elbows."""
    place = {name: joints[index] for index, name in enumerate(SMPL_JOINTS)}
    turn = {name: np.eye(3) for name in SMPL_JOINTS}
    twists = np.zeros(len(SMPL_JOINTS))
    for index, (side, sign) in enumerate((("left", 1.0), ("right", -1.0))):
        outward = np.array([sign, 0.0, 0.0])
        shoulder, elbow, wrist, hand = (place[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hand"))
        collar = _about(2, sign * _COLLAR_LIFT)
        upper = _align(collar @ (elbow - shoulder), outward) @ collar
        lower = _align(upper @ (wrist - elbow), outward) @ upper
        straight = _align(lower @ (hand - wrist), outward) @ lower
        # The line from little finger to index points forward when the palm looks down.
        across = straight @ (knuckles[index, 0] - knuckles[index, 1])
        twist = np.arctan2(across[1], across[2])
        palm_down = _about(0, twist) @ straight
        for name, rotation in (("collar", collar), ("shoulder", upper), ("elbow", lower)):
            turn[f"{side}_{name}"] = rotation
        turn[f"{side}_wrist"] = turn[f"{side}_hand"] = palm_down
        twists[SMPL_JOINTS.index(f"{side}_elbow")] = twist
        hip, knee, ankle = (place[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
        turn[f"{side}_hip"] = _align(knee - hip, _DOWN)
        turn[f"{side}_knee"] = _align(ankle - knee, _DOWN)
        forward = toes[index] - ankle
        turn[f"{side}_ankle"] = turn[f"{side}_foot"] = _about(1, -np.arctan2(forward[0], forward[2]))
    return np.stack([turn[name] for name in SMPL_JOINTS]), twists


def _align(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The smallest rotation that turns one direction into another (never used for opposite ones)."""
    source, target = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis, cosine = np.cross(source, target), float(source @ target)
    skew = np.array([[0.0, -axis[2], axis[1]], [axis[2], 0.0, -axis[0]], [-axis[1], axis[0], 0.0]])
    return np.eye(3) + skew + skew @ skew / (1.0 + cosine)


def _about(axis: int, angle: float) -> np.ndarray:
    """Rotation about x, y or z (0, 1, 2)."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix
