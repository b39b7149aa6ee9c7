"""A posable person: trunk by angles, legs by foot positions, arms by angles or hand positions, over all frames at once.

Frame: y up, metres; heading 0 faces +z, the left side is +x. Angles are radians, numbers or `[T]`. A side is +1 (left)
or -1 (right); all side-dependent directions are given for the left and mirrored for the right: x points outwards.
"""

import math

import torch
from torch import Tensor

from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from components.geometry.rotations import axis_rotation, quaternion_to_matrix
from components.synthetic.inverse_kinematics import two_bone
from components.synthetic.performers import Performer

LEFT, RIGHT = 1, -1
Angle = float | Tensor
# Bend of the fingers (SMPL's hand joint) of a loose hand and of one that holds something, radians.
RELAXED, HOLDING, FIST = 0.25, 0.9, 1.25
_INDEX = {name: index for index, name in enumerate(SMPL_JOINTS)}
_MIRROR = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
# Shares of the three spine joints in the trunk's angles, and of neck and head in the head's.
_SPINE_SHARES, _NECK_SHARE = (0.35, 0.35, 0.3), 0.45
# Share of the forearm's twist that the elbow joint takes; the wrist joint takes the rest.
_TWIST_AT_ELBOW = 0.6


class Figure:
    """Poses one performer. Call `pelvis` first, then `spine` and `head`, then legs and arms in any order.

    Args:
        performer: whose bones are moved.
        frames: length T of the clip.
    """

    def __init__(self, performer: Performer, frames: int) -> None:
        self.performer, self.frames = performer, frames
        self.rotations = torch.eye(3, dtype=torch.float64).repeat(frames, 24, 1, 1)
        self.positions = torch.zeros(frames, 24, 3, dtype=torch.float64)
        self._world = self.rotations.clone()

    def pelvis(self, position: Tensor, turn: Angle = 0.0, lean: Angle = 0.0, roll: Angle = 0.0) -> None:
        """Root position `[T, 3]`, turn to the left, lean forwards, roll towards the left."""
        rotation = self._spin("Y", turn) @ self._spin("X", lean) @ self._spin("Z", roll, -1.0)
        self.rotations[:, 0] = self._world[:, 0] = rotation
        self.positions[:, 0] = position
        for side in (LEFT, RIGHT):
            self._place(self._joint("hip", side), self._eye())

    def spine(self, flexion: Angle = 0.0, bend: Angle = 0.0, twist: Angle = 0.0) -> None:
        """Trunk against the pelvis: flexion forwards, bend to the left, twist to the left, over three joints."""
        for name, share in zip(("spine1", "spine2", "spine3"), _SPINE_SHARES):
            local = self._spin("Y", twist, share) @ self._spin("X", flexion, share) @ self._spin("Z", bend, -share)
            self._place(_INDEX[name], local)
        for name in ("neck", "head", "left_collar", "right_collar"):
            self._place(_INDEX[name], self._eye())

    def head(self, nod: Angle = 0.0, tilt: Angle = 0.0, turn: Angle = 0.0) -> None:
        """Head against the trunk: nod forwards, tilt to the left, turn to the left, shared by neck and head."""
        for name, share in (("neck", _NECK_SHARE), ("head", 1 - _NECK_SHARE)):
            self._place(
                _INDEX[name],
                self._spin("Y", turn, share) @ self._spin("X", nod, share) @ self._spin("Z", tilt, -share),
            )

    def leg(
        self, side: int, ankle: Tensor, pitch: Angle = 0.0, yaw: Angle = 0.0, knee_out: Angle | None = None
    ) -> None:
        """Put a foot somewhere and let hip and knee follow.

        Args:
            side: LEFT or RIGHT.
            ankle: `[T, 3]` ankle position in the world.
            pitch: heel up (positive) or toes up of the foot against the floor.
            yaw: outward turn of the foot in the world.
            knee_out: outward turn of the knee in the world; the foot's by default.
        """
        hip, knee, foot = (self._joint(name, side) for name in ("hip", "knee", "ankle"))
        left = [_INDEX["left_" + name] for name in ("hip", "knee", "ankle")]
        parent = self._world[:, 0].transpose(-1, -2)
        outwards = self._spin("Y", yaw if knee_out is None else knee_out, float(side))
        hinge = self._mirror(self._turned(parent, outwards[:, :, 0]), side)
        upper, bend = two_bone(
            self.performer.bone(left[1], left[0]),
            self.performer.bone(left[2], left[1]),
            torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64),
            self._mirror(self._turned(parent, ankle - self.positions[:, hip]), side),
            # The hinge axis is an axial vector: its mirror image changes sign except along the mirror's normal.
            -hinge if side == RIGHT else hinge,
        )
        self._place(hip, self._mirrored(upper, side))
        self._place(knee, axis_rotation("X", bend))
        foot_world = self._spin("Y", yaw, float(side)) @ self._spin("X", pitch)
        self._place(foot, self._world[:, knee].transpose(-1, -2) @ foot_world)
        # Toes stay on the floor while the heel lifts.
        toes = -0.6 * torch.clamp(self._angle(pitch), 0.0, math.radians(60))
        self._place(self._joint("foot", side), axis_rotation("X", toes))

    def swing_arm(
        self, side: int, flexion: Angle = 0.0, abduction: Angle = 0.0, elbow: Angle = 0.2, rotation: Angle = 0.0,
        pronation: Angle = 0.3, wrist: Angle = 0.0, grip: Angle = RELAXED,
    ) -> None:  # fmt: skip
        """Arm by angles from hanging: forwards, then outwards, then the inward rotation of the upper arm."""
        hanging = self._spin("Z", -math.pi / 2)
        upper = self._spin("X", flexion, -1.0) @ self._spin("Z", abduction) @ hanging @ self._spin("X", rotation)
        self._arm(side, upper, self._angle(elbow), pronation, wrist, grip=grip)

    def point_arm(self, side: int, direction: Tensor, elbow: Angle = 0.1, pronation: Angle = 0.3) -> None:
        """Upper arm along `direction [T, 3]` of the chest's frame (x outwards, never straight inwards), by the shortest
        way from the T-pose, so that it never spins about itself."""
        outwards = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).expand_as(direction)
        unit = torch.nn.functional.normalize(direction, dim=-1)
        quaternion = torch.cat([1 + unit[:, :1], torch.linalg.cross(outwards, unit, dim=-1)], dim=-1)
        self._arm(side, quaternion_to_matrix(quaternion), self._angle(elbow), pronation, 0.0)

    def reach(
        self, side: int, wrist_at: Tensor, elbow_to: Tensor, pronation: Angle = 0.3, wrist: Angle = 0.0,
        radial: Angle = 0.0, grip: Angle = RELAXED,
    ) -> None:  # fmt: skip
        """Put a wrist somewhere and let shoulder and elbow follow.

        Args:
            side: LEFT or RIGHT.
            wrist_at: `[T, 3]` wrist position in the world.
            elbow_to: `[3]` or `[T, 3]` direction in which the elbow points, in the chest's frame.
            pronation: turn of the forearm from thumb up (0) to palm down (pi/2).
            wrist: flexion of the hand towards the palm.
            radial: bend of the hand towards the thumb.
            grip: bend of the fingers towards the palm.
        """
        left = [_INDEX["left_" + name] for name in ("shoulder", "elbow", "wrist")]
        collar = self._joint("collar", side)
        chest = self._world[:, _INDEX["spine3"]].transpose(-1, -2)
        from_collar = self._mirror(self._turned(chest, wrist_at - self.positions[:, collar]), side)
        shoulder = self.performer.bone(left[0], _INDEX["left_collar"])
        raised = self._collar_rotation(torch.nn.functional.normalize(from_collar - shoulder, dim=-1))
        target = self._turned(raised.transpose(-1, -2), from_collar) - shoulder
        elbow = self._turned(raised.transpose(-1, -2), elbow_to.to(torch.float64).expand(self.frames, 3))
        upper, bend = two_bone(
            self.performer.bone(left[1], left[0]),
            self.performer.bone(left[2], left[1]),
            torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64),
            target,
            torch.linalg.cross(elbow, target, dim=-1),
            soft=0.05,
        )
        self._arm(side, raised @ upper, bend, pronation, wrist, radial, grip, raised)

    def joint(self, name: str) -> Tensor:
        """Position of a joint placed so far, `[T, 3]`."""
        return self.positions[:, _INDEX[name]]

    def point(self, name: str, x: Angle = 0.0, y: Angle = 0.0, z: Angle = 0.0) -> Tensor:
        """World position `[T, 3]` of a point fixed to a joint: offsets in metres of the typical adult."""
        offset = torch.stack([self._angle(value) for value in (x, y, z)], dim=-1) * self.performer.scale
        return self.joint(name) + self._turned(self._world[:, _INDEX[name]], offset)

    def hanging_wrist(self, side: int, forwards: float = 0.08) -> Tensor:
        """Wrist of the relaxed arm beside the body, `[T, 3]`."""
        shoulder = "left_shoulder" if side == LEFT else "right_shoulder"
        out = math.sin(self.performer.carry) * self.performer.arm
        offset = torch.tensor([side * out, -0.955 * self.performer.arm, forwards * self.performer.scale])
        collar = self._joint("collar", side)
        bone = self.performer.bone(_INDEX[shoulder], collar)
        return self.positions[:, collar] + self._turned(self._world[:, _INDEX["spine3"]], bone + offset)

    def _arm(
        self, side: int, upper: Tensor, bend: Tensor, pronation: Angle, wrist: Angle, radial: Angle = 0.0,
        grip: Angle = RELAXED, raised: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Place collar to hand from the upper arm's rotation in the chest's frame, all for the left side."""
        if raised is None:
            raised = self._collar_rotation(upper[:, :, 0])
        lower = self._spin("Y", bend, -1.0) @ self._spin("X", pronation, _TWIST_AT_ELBOW)
        hand = (
            self._spin("X", pronation, 1 - _TWIST_AT_ELBOW)
            @ self._spin("Z", wrist, -1.0)
            @ self._spin("Y", radial, -1.0)
        )
        parts = {"collar": raised, "shoulder": raised.transpose(-1, -2) @ upper, "elbow": lower, "wrist": hand}
        parts["hand"] = self._spin("Z", grip, -1.0)
        for name, local in parts.items():
            self._place(self._joint(name, side), self._mirrored(local, side))

    def _collar_rotation(self, direction: Tensor) -> Tensor:
        """The shoulder girdle follows the arm a little (scapulohumeral rhythm): `[T, 3]` to `[T, 3, 3]`."""
        raise_angle = 0.16 * torch.asin(direction[:, 1].clamp(-1, 1)) + 0.06
        return self._spin("Y", direction[:, 2], -0.18) @ self._spin("Z", raise_angle)

    def _place(self, joint: int, local: Tensor) -> None:
        parent = SMPL_PARENTS[joint]
        self.rotations[:, joint] = local
        self._world[:, joint] = self._world[:, parent] @ local
        bone = self.performer.bone(joint, parent)
        self.positions[:, joint] = self.positions[:, parent] + self._world[:, parent] @ bone

    def _spin(self, axis: str, angle: Angle, factor: float = 1.0) -> Tensor:
        return axis_rotation(axis, factor * self._angle(angle))

    def _angle(self, angle: Angle) -> Tensor:
        return torch.as_tensor(angle, dtype=torch.float64).expand(self.frames)

    def _eye(self) -> Tensor:
        return torch.eye(3, dtype=torch.float64).expand(self.frames, 3, 3)

    @staticmethod
    def _joint(name: str, side: int) -> int:
        return _INDEX[("left_" if side == LEFT else "right_") + name]

    @staticmethod
    def _turned(rotation: Tensor, vectors: Tensor) -> Tensor:
        return (rotation @ vectors.unsqueeze(-1)).squeeze(-1)

    @staticmethod
    def _mirror(vectors: Tensor, side: int) -> Tensor:
        return vectors * _MIRROR if side == RIGHT else vectors

    @staticmethod
    def _mirrored(rotation: Tensor, side: int) -> Tensor:
        return rotation * _MIRROR[:, None] * _MIRROR if side == RIGHT else rotation
