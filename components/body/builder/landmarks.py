"""Named places on the finished body: picked vertices and the part of each triangle."""

import numpy as np

from components.body.skeleton import SMPL_JOINTS

_LIMBS = ("upper_arm", "lower_arm", "hand", "thigh", "shin", "foot")
PART_NAMES: tuple[str, ...] = (
    "head", "neck", "torso", "hips", *(f"{side}_{limb}" for side in ("left", "right") for limb in _LIMBS), "eyes",
)  # fmt: skip
_PART_OF_JOINT: dict[str, str] = {
    "pelvis": "hips", "spine1": "torso", "spine2": "torso", "spine3": "torso", "collar": "torso", "neck": "neck",
    "head": "head", "hip": "thigh", "knee": "shin", "ankle": "foot", "foot": "foot", "shoulder": "upper_arm",
    "elbow": "lower_arm", "wrist": "hand", "hand": "hand",
}  # fmt: skip
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")


def face_parts(faces: np.ndarray, weights: np.ndarray, eye_faces: np.ndarray) -> np.ndarray:
    """Part of each triangle by the joint that moves it most.

    Args:
        faces: `[F, 3]`.
        weights: `[V, 24]` skinning weights.
        eye_faces: `[F]` bool, the eyeballs.

    Returns:
        `[F]` indices into `PART_NAMES`.
    """
    to_part = np.zeros((len(SMPL_JOINTS), len(PART_NAMES)))
    for joint, name in enumerate(SMPL_JOINTS):
        side, _, kind = name.rpartition("_")
        part = _PART_OF_JOINT[kind]
        to_part[joint, PART_NAMES.index(f"{side}_{part}" if part in _LIMBS else part)] = 1.0
    parts = (weights @ to_part)[faces].sum(axis=1).argmax(axis=1)
    parts[eye_faces] = PART_NAMES.index("eyes")
    return parts


def extra_vertices(
    vertices: np.ndarray, bone_weights: dict[str, np.ndarray], eyes: np.ndarray, mirror: np.ndarray
) -> dict[str, int]:
    """The vertices of `EXTRA_VERTICES` by name, on the T-posed body; the right ones mirror the left ones.

    Args:
        vertices: `[V, 3]`.
        bone_weights: `[V]` weights of MakeHuman's left finger, toe and foot bones by name; `head` for the whole head.
        eyes: `[V]` bool, the eyeballs.
        mirror: `[V]` index of the mirrored vertex.
    """

    def furthest(direction: tuple[float, float, float], belongs: np.ndarray) -> int:
        return int(np.argmax(np.where(belongs, vertices @ np.array(direction), -np.inf)))

    left = vertices[:, 0] > 0.0
    head = (bone_weights["head"] > 0.5) & ~eyes
    tips = {finger: bone_weights[f"finger{index}-3.L"] > 0.5 for index, finger in enumerate(_FINGERS, start=1)}
    picks = {
        "eye": furthest((0.0, 0.0, 1.0), eyes & left),
        "ear": furthest((1.0, 0.0, 0.0), head),
        "BigToe": furthest((0.0, 0.0, 1.0), bone_weights["toe1-2.L"] > 0.3),
        "SmallToe": furthest((0.0, 0.0, 1.0), bone_weights["toe5-3.L"] > 0.3),
        "Heel": furthest((0.0, -0.3, -1.0), bone_weights["foot.L"] > 0.5),
        **{finger: furthest((1.0, 0.0, 0.3 if finger == "thumb" else 0.0), tip) for finger, tip in tips.items()},
    }
    result = {"nose": furthest((0.0, 0.0, 1.0), (np.abs(vertices[:, 0]) < 0.02) & head)}
    for name, vertex in picks.items():
        initials = ("L", "R") if name in ("BigToe", "SmallToe", "Heel") else ("l", "r")
        result[initials[0] + name], result[initials[1] + name] = vertex, int(mirror[vertex])
    return result
