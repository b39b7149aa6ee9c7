"""Feet on the floor: where the ankle is while heel or ball stays put, and a standing body over two planted feet."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from components.geometry.rotations import axis_rotation
from components.synthetic.curves import Draw, wander
from components.synthetic.figure import LEFT, RIGHT, Angle, Figure
from components.synthetic.performers import Performer


def planted_ankle(performer: Performer, ground: Tensor, pitch: Tensor, yaw: Tensor) -> Tensor:
    """Ankle positions `[T, 3]` of a foot that rolls over its heel (pitch < 0) or its ball (pitch > 0) without sliding.

    Args:
        performer: whose foot.
        ground: `[T, 3]` floor point under the ankle of the flat foot, metres (y lifts the whole foot).
        pitch: `[T]` heel up, radians.
        yaw: `[T]` turn to the left in the world, radians.
    """
    pivot = torch.where((pitch > 0)[:, None], performer.ball, performer.heel)
    turn = axis_rotation("Y", yaw)
    roll = turn @ axis_rotation("X", pitch)
    up = torch.tensor([0.0, performer.ankle_height, 0.0], dtype=torch.float64)
    return ground + up + ((turn - roll) @ pivot.unsqueeze(-1)).squeeze(-1)


@dataclass(frozen=True)
class Stance:
    """Where the two feet stand.

    Args:
        width: between the ankles, metres.
        toe_out: outward turn of each foot, radians.
        left_ahead, right_ahead: how far each foot stands before the pelvis, metres.
    """

    width: float
    toe_out: float
    left_ahead: float = 0.0
    right_ahead: float = 0.0

    def ground(self, side: int) -> Tensor:
        """Floor point under the ankle, `[3]`."""
        ahead = self.left_ahead if side == LEFT else self.right_ahead
        return torch.tensor([side * self.width / 2, 0.0, ahead], dtype=torch.float64)


def usual_stance(performer: Performer, draw: Draw, width: float = 0.24) -> Stance:
    """Feet about hip-wide (metres of the typical adult), toes out as the performer likes."""
    return Stance(performer.scale * width * draw.uniform(0.92, 1.08), performer.toe_out)


def standing_height(performer: Performer) -> float:
    """Pelvis over the floor when both legs hang straight down, metres."""
    return performer.ankle_height - float(performer.rest_joints[7, 1])


def stand(
    figure: Figure, draw: Draw, stance: Stance, shift: Tensor | None = None, drop: Angle = 0.0, turn: Angle = 0.0,
    lean: Angle = 0.0, roll: Angle = 0.0, left_pitch: Angle = 0.0, right_pitch: Angle = 0.0, sway: float = 1.0,
) -> None:  # fmt: skip
    """Pelvis over two planted feet, with a little sway. Call `spine` and `head` afterwards, then `plant_feet`.

    Args:
        figure: the performer to pose.
        draw: randomness of the sway.
        stance: where the feet are.
        shift: `[T, 3]` movement of the pelvis from above the middle between the feet, metres.
        drop: how far the pelvis is lowered, metres.
        turn, lean, roll: angles of the pelvis, see `Figure.pelvis`.
        left_pitch, right_pitch: heel lifts, radians; they only matter to `plant_feet`.
        sway: factor on the idle sway.
    """
    person = figure.performer
    position = torch.zeros(figure.frames, 3, dtype=torch.float64)
    position[:, 0] = wander(draw, figure.frames, 0.010 * sway * person.scale)
    position[:, 2] = wander(draw, figure.frames, 0.006 * sway * person.scale)
    if shift is not None:
        position = position + shift
    # Legs that stand apart reach less high; the last half percent keeps the knees soft.
    hip = torch.tensor([float(person.rest_joints[1, 0]), 0.0, 0.0], dtype=torch.float64)
    away = torch.stack([position + side * hip - stance.ground(side) for side in (LEFT, RIGHT)])
    spread = away[:, :, (0, 2)].square().sum(-1).amax(dim=0)
    slack = standing_height(person) - person.leg
    position[:, 1] += slack + torch.sqrt(((0.995 * person.leg) ** 2 - spread).clamp(min=0.01)) - torch.as_tensor(drop)
    figure.pelvis(position, turn, lean, roll)
    plant_feet(figure, stance, left_pitch, right_pitch)


def plant_feet(figure: Figure, stance: Stance, left_pitch: Angle = 0.0, right_pitch: Angle = 0.0) -> None:
    """Keep both feet where the stance has them; heels may lift."""
    frames = figure.frames
    for side, pitch in ((LEFT, left_pitch), (RIGHT, right_pitch)):
        heel_up = torch.as_tensor(pitch, dtype=torch.float64).expand(frames)
        yaw = torch.full((frames,), side * stance.toe_out, dtype=torch.float64)
        ankle = planted_ankle(figure.performer, stance.ground(side).expand(frames, 3), heel_up, yaw)
        figure.leg(side, ankle, heel_up, stance.toe_out)


def relaxed_arm(figure: Figure, draw: Draw, side: int, flexion: Angle = 0.0) -> None:
    """An arm that hangs at the side."""
    person = figure.performer
    figure.swing_arm(
        side,
        flexion=torch.as_tensor(flexion) + 0.05 + wander(draw, figure.frames, 0.03),
        abduction=person.carry,
        elbow=0.28 + wander(draw, figure.frames, 0.04),
        rotation=0.25,
        pronation=0.45,
        wrist=0.1,
    )


def look_around(figure: Figure, draw: Draw, nod: Angle = 0.0, tilt: Angle = 0.0, turn: Angle = 0.0) -> None:
    """Head angles plus the small movements of a living head."""
    drift = [wander(draw, figure.frames, math.radians(amount)) for amount in (1.5, 1.0, 3.0)]
    figure.head(*(torch.as_tensor(angle) + moved for angle, moved in zip((nod, tilt, turn), drift)))
