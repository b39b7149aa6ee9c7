"""Jumping on the spot: crouch with the arms back, spring, flight along a parabola, landing."""

import torch

from components.synthetic.curves import Draw, interpolate
from components.synthetic.feet import planted_ankle, standing_height, usual_stance
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer

# One jump in frames: stands, lowest crouch, take-off, landing, lowest landing, stands again. Eight frames of flight
# make 0.2 m of height: g * t^2 / 8.
_TIMES = (0.0, 2.0, 9.5, 13.5, 21.5, 25.0, 30.0)
_KNEES = (0.0, 0.0, 0.30, -0.02, -0.01, 0.20, 0.0)  # pelvis below standing, share of the leg
_TRUNK = (0.0, 0.0, 1.0, 0.0, 0.10, 0.65, 0.0)  # forward lean, share
_ARM_TIMES = (0.0, 1.0, 8.0, 15.0, 21.5, 26.0, 30.0)
_ARMS = (0.1, 0.1, -0.75, 2.0, 1.2, 0.35, 0.1)  # shoulder flexion, radians
_ELBOWS = (0.3, 0.3, 0.35, 0.45, 0.5, 0.6, 0.3)
_HEELS = (0.0, 0.0, 0.12, 0.85, 0.45, 0.0, 0.0)
_PERIOD = 31.0


def jump(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Jumps up on the spot, again and again."""
    pace = draw.uniform(0.96, 1.04)
    power = performer.energy * draw.uniform(0.97, 1.03)
    moment = (torch.arange(frames, dtype=torch.float64) / pace + draw.uniform(0.0, 2.5)) % _PERIOD
    body, swing = torch.tensor(_TIMES, dtype=torch.float64), torch.tensor(_ARM_TIMES, dtype=torch.float64)
    knees, trunk, arms, elbows, heels = (
        interpolate(moment, times, torch.tensor(row, dtype=torch.float64))
        for times, row in ((body, _KNEES), (body, _TRUNK), (swing, _ARMS), (swing, _ELBOWS), (body, _HEELS))
    )
    takeoff, landing = _TIMES[3], _TIMES[4]
    aloft = ((moment - takeoff) / (landing - takeoff)).clamp(0.0, 1.0)
    flight = 0.21 * power**2 * 4 * aloft * (1 - aloft)
    crouch = knees.clamp(min=0.0) * power + knees.clamp(max=0.0)
    figure = Figure(performer, frames)
    stance = usual_stance(performer, draw, 0.26)
    position = torch.zeros(frames, 3, dtype=torch.float64)
    # A foot on its toes lifts the ankle; the pelvis rides on it. Hips go back in the crouch to keep the balance.
    lifted = planted_ankle(performer, torch.zeros(frames, 3, dtype=torch.float64), heels, torch.zeros_like(heels))
    rise = lifted[:, 1] - performer.ankle_height
    position[:, 1] = standing_height(performer) - 0.012 * performer.leg - crouch * performer.leg + rise + flight
    position[:, 2] = -0.10 * performer.scale * trunk + 0.5 * lifted[:, 2]
    figure.pelvis(position, lean=0.55 * trunk * power)
    figure.spine(performer.stoop + 0.38 * trunk * power - 0.06 * aloft * (1 - aloft))
    figure.head(-0.55 * trunk)
    tuck = 0.05 * 4 * aloft * (1 - aloft) * performer.leg
    for side in (LEFT, RIGHT):
        ground = stance.ground(side) + torch.zeros(frames, 3, dtype=torch.float64)
        ground[:, 1] += flight + tuck
        ankle = planted_ankle(performer, ground, heels, torch.full_like(heels, side * stance.toe_out))
        figure.leg(side, ankle, heels, stance.toe_out)
        figure.swing_arm(side, arms * power, performer.carry + 0.05 + 0.1 * aloft, elbows, 0.2, 0.3)
    return figure
