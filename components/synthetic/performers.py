"""The people who perform: bone lengths in SMPL's joint order and a few personal habits."""

from dataclasses import dataclass

import torch
from torch import Tensor

from components.body.skeleton import SMPL_JOINTS
from components.synthetic.curves import Draw

# T-pose of an adult of 1.70 m, left half and middle: metres, y up, facing +z, pelvis at the origin, SMPL's joint tree.
# Near the packaged body's joints, so that hands meet mouth and ear on that body too.
_REST: dict[str, tuple[float, float, float]] = {
    "pelvis": (0.0, 0.0, 0.0),
    "spine1": (0.0, 0.105, -0.005),
    "spine2": (0.0, 0.24, -0.01),
    "spine3": (0.0, 0.315, -0.01),
    "neck": (0.0, 0.495, 0.01),
    "head": (0.0, 0.595, 0.045),
    "left_collar": (0.065, 0.43, 0.025),
    "left_shoulder": (0.18, 0.415, 0.02),
    "left_elbow": (0.425, 0.415, 0.02),
    "left_wrist": (0.665, 0.415, 0.02),
    "left_hand": (0.755, 0.415, 0.02),
    "left_hip": (0.10, -0.05, 0.01),
    "left_knee": (0.10, -0.435, 0.01),
    "left_ankle": (0.10, -0.855, 0.005),
    "left_foot": (0.107, -0.90, 0.135),
}
# Height of the ankle joint over the sole, and where heel and ball touch the floor behind and before the ankle (metres).
_ANKLE_HEIGHT, _HEEL, _BALL = 0.07, -0.06, 0.13


@dataclass(frozen=True)
class Performer:
    """One person.

    Args:
        rest_joints: `[24, 3]` T-pose, metres, pelvis at the origin.
        scale: size against the typical adult.
        tempo: factor on speeds of movement.
        energy: factor on amplitudes.
        stoop: standing trunk flexion, radians.
        carry: how far hanging arms are held from the body, radians.
        toe_out: outward turn of the standing feet, radians.
        left_handed: acts with the left hand.
    """

    rest_joints: Tensor
    scale: float
    tempo: float
    energy: float
    stoop: float
    carry: float
    toe_out: float
    left_handed: bool

    def bone(self, child: int, parent: int) -> Tensor:
        """Vector of a bone in the T-pose, `[3]`."""
        return self.rest_joints[child] - self.rest_joints[parent]

    @property
    def leg(self) -> float:
        """Hip to ankle of the straight leg, metres."""
        return float(torch.linalg.vector_norm(self.bone(4, 1)) + torch.linalg.vector_norm(self.bone(7, 4)))

    @property
    def arm(self) -> float:
        """Shoulder to wrist of the straight arm, metres."""
        return float(torch.linalg.vector_norm(self.bone(18, 16)) + torch.linalg.vector_norm(self.bone(20, 18)))

    @property
    def ankle_height(self) -> float:
        """Ankle over the sole of the flat foot, metres."""
        return _ANKLE_HEIGHT * self.scale

    @property
    def heel(self) -> Tensor:
        """Heel contact from the ankle in the foot's frame, `[3]`."""
        return self.scale * torch.tensor([0.0, -_ANKLE_HEIGHT, _HEEL], dtype=torch.float64)

    @property
    def ball(self) -> Tensor:
        """Contact under the ball of the foot from the ankle in the foot's frame, `[3]`."""
        return self.scale * torch.tensor([0.0, -_ANKLE_HEIGHT, _BALL], dtype=torch.float64)


def rest_joints(scale: float = 1.0, legs: float = 1.0, arms: float = 1.0, shoulders: float = 1.0) -> Tensor:
    """T-pose `[24, 3]` with the given factors on the size, leg length, arm length and shoulder breadth."""
    joints = torch.zeros(24, 3, dtype=torch.float64)
    for index, name in enumerate(SMPL_JOINTS):
        x, y, z = _REST[name.replace("right_", "left_")]
        if any(part in name for part in ("collar", "shoulder", "elbow", "wrist", "hand")):
            breadth = _REST["left_shoulder"][0]
            x = min(x, breadth) * shoulders + max(0.0, x - breadth) * arms
        if any(part in name for part in ("knee", "ankle", "foot")):
            hip = _REST["left_hip"][1]
            y = hip + (y - hip) * legs
        joints[index] = torch.tensor([-x if name.startswith("right_") else x, y, z], dtype=torch.float64)
    return joints * scale


def draw_performers(count: int, seed: int) -> list[Performer]:
    """A cast of `count` people; every sixth acts with the left hand."""
    cast = []
    for index in range(count):
        draw = Draw(seed, 7919, index)
        scale = draw.uniform(0.92, 1.08)
        joints = rest_joints(scale, draw.uniform(0.96, 1.04), draw.uniform(0.96, 1.04), draw.uniform(0.94, 1.06))
        cast.append(
            Performer(
                rest_joints=joints,
                scale=scale,
                tempo=draw.uniform(0.93, 1.07),
                energy=draw.uniform(0.92, 1.08),
                stoop=draw.uniform(-0.02, 0.07),
                carry=draw.uniform(0.16, 0.24),
                toe_out=draw.uniform(0.10, 0.20),
                left_handed=index % 6 == 5,
            )
        )
    return cast
