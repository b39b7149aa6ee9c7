"""Shadow boxing: a guard, then jabs and crosses in turn."""

import math

import torch

from components.synthetic.curves import Draw, keyframes
from components.synthetic.feet import Stance, stand
from components.synthetic.figure import FIST, LEFT, RIGHT, Figure
from components.synthetic.performers import Performer

# Share of a punch over its frames: leaves the guard, is fully out, stays, is back.
_PUNCH = ((0.0, 0.0), (4.0, 1.0), (5.0, 1.0), (10.0, 0.0))


def box(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Left foot and left fist ahead; the left jabs, the right crosses with the whole trunk behind it."""
    every = 11.5 * draw.uniform(0.96, 1.04) / performer.tempo
    start = draw.uniform(1.0, 3.0)
    punches = {LEFT: torch.zeros(frames, dtype=torch.float64), RIGHT: torch.zeros(frames, dtype=torch.float64)}
    for number in range(int(frames / every) + 1):
        side = LEFT if number % 2 == 0 else RIGHT
        begin = start + number * every
        punches[side] += keyframes(frames, [begin + moment for moment, _ in _PUNCH], [share for _, share in _PUNCH])
    jab, cross = punches[LEFT] * performer.energy, punches[RIGHT] * performer.energy
    figure = Figure(performer, frames)
    scale = performer.scale
    stance = Stance(0.30 * scale, 0.25, left_ahead=0.20 * scale, right_ahead=-0.22 * scale)
    bounce = torch.cos(2 * math.pi * (torch.arange(frames, dtype=torch.float64) - start) / every)
    shift = torch.zeros(frames, 3, dtype=torch.float64)
    shift[:, 2] = scale * (0.03 * jab + 0.07 * cross)
    # Hips face the rear hand's side in guard and turn through with the cross, the rear heel comes off the floor.
    turn = -0.50 - 0.10 * jab + 0.65 * cross
    stand(
        figure, draw, stance, shift, drop=scale * (0.050 + 0.010 * bounce + 0.02 * cross), turn=turn, lean=0.10,
        right_pitch=0.30 + 0.40 * cross, sway=0.5,
    )  # fmt: skip
    twist = -0.15 - 0.25 * jab + 0.40 * cross
    figure.spine(performer.stoop + 0.16 + 0.05 * cross, 0.0, twist)
    # The eyes stay on the opponent straight ahead.
    figure.head(0.10, 0.0, -(turn + twist) * 0.9)
    chin = figure.point("head", 0.0, -0.06, 0.06)
    middle = 0.5 * (figure.joint("left_collar") + figure.joint("right_collar"))
    reach = 0.97 * performer.arm
    for side, share, ahead, low, out in ((LEFT, jab, 0.24, -0.04, 0.11), (RIGHT, cross, 0.13, -0.06, 0.09)):
        guard = chin + scale * torch.tensor([side * out, low, ahead], dtype=torch.float64)
        shoulder = figure.point("left_collar" if side == LEFT else "right_collar", side * 0.11, 0.03, 0.0)
        straight = torch.tensor([-side * 0.10, 0.10, 0.99], dtype=torch.float64)
        target = torch.stack([0.35 * middle[:, 0] + 0.65 * shoulder[:, 0], shoulder[:, 1], shoulder[:, 2]], dim=-1)
        target = target + reach * straight
        wrist = guard + share.clamp(0.0, 1.0)[:, None] * (target - guard)
        elbow = torch.stack([0.45 + 0.45 * share, -0.90 + 0.35 * share, -0.10 + 0.0 * share], dim=-1)
        figure.reach(side, wrist, elbow, pronation=0.35 + 1.1 * share, wrist=0.05, grip=FIST)
    return figure
