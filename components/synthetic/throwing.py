"""An overhand throw: wind-up, step, throw, follow through."""

import torch
from torch import Tensor

from components.synthetic.curves import Draw, interpolate
from components.synthetic.feet import planted_ankle, standing_height, usual_stance
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer

# Key moments in frames: stands, winding up, wound up, arm cocked as the foot lands, release, follow through, upright.
_TIMES = (3.0, 11.0, 19.0, 25.0, 29.0, 34.0, 52.0)
_TURN = (0.0, -0.45, -0.85, -0.45, 0.25, 0.45, 0.10)  # pelvis to the left, radians
_TWIST = (0.0, -0.20, -0.40, -0.45, 0.30, 0.45, 0.05)  # trunk against the pelvis
_FLEXION = (0.0, -0.02, -0.10, -0.15, 0.20, 0.50, 0.08)
_BEND = (0.0, -0.05, -0.12, 0.05, 0.20, 0.15, 0.0)  # to the left
_FORWARDS = (0.0, -0.04, -0.10, 0.06, 0.24, 0.30, 0.26)  # pelvis, metres
_DROP = (0.0, 0.01, 0.02, 0.06, 0.07, 0.08, 0.03)
# Throwing wrist from its shoulder in the chest's frame (outwards, up, forwards), shares of the arm.
_HAND = (
    (0.15, -0.95, 0.15), (0.40, -0.45, 0.20), (0.62, 0.10, -0.35), (0.52, 0.50, -0.30), (0.22, 0.52, 0.76),
    (-0.28, -0.45, 0.80), (0.12, -0.92, 0.22),
)  # fmt: skip
_ELBOW = (
    (0.30, -0.30, -0.90), (0.60, -0.50, -0.60), (0.55, -0.60, -0.55), (0.80, -0.45, 0.10), (0.75, -0.45, 0.10),
    (0.90, 0.10, -0.20), (0.30, -0.30, -0.90),
)  # fmt: skip
# The ball leaves the hand at the release.
_GRIP = (0.9, 0.9, 0.9, 0.9, 0.1, 0.2, 0.3)
# The other arm points at the target and is then pulled in.
_AIM = (
    (0.15, -0.95, 0.15), (0.20, -0.40, 0.62), (0.35, -0.02, 0.88), (0.30, -0.15, 0.70), (0.30, -0.50, 0.20),
    (0.32, -0.60, -0.05), (0.18, -0.92, 0.15),
)  # fmt: skip


def throw(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Throws a ball with the right hand, stepping forwards with the left foot."""
    pace = draw.uniform(0.95, 1.05) / performer.tempo
    moment = torch.arange(frames, dtype=torch.float64) / pace + draw.uniform(-1.5, 1.5)
    energy = performer.energy

    def track(values: tuple) -> Tensor:
        return interpolate(moment, torch.tensor(_TIMES), torch.tensor(values, dtype=torch.float64))

    figure = Figure(performer, frames)
    scale = performer.scale
    turn = energy * track(_TURN)
    position = torch.zeros(frames, 3, dtype=torch.float64)
    position[:, 1] = standing_height(performer) - 0.012 * performer.leg - scale * track(_DROP)
    position[:, 2] = scale * track(_FORWARDS)
    figure.pelvis(position, turn, lean=0.25 * track(_FLEXION))
    _step(figure, draw, moment)
    twist = energy * track(_TWIST)
    figure.spine(performer.stoop + energy * track(_FLEXION), track(_BEND), twist)
    figure.head(-0.3 * track(_FLEXION), 0.0, -0.85 * (turn + twist))
    for side, hand in ((RIGHT, _HAND), (LEFT, _AIM)):
        out, up, ahead = (performer.arm / scale * track(hand)).unbind(-1)
        name = "left_collar" if side == LEFT else "right_collar"
        wrist = figure.point(name, side * (0.11 + out), 0.035 + up, ahead)
        elbow = track(_ELBOW) if side == RIGHT else torch.tensor([0.45, -0.75, -0.45], dtype=torch.float64)
        figure.reach(side, wrist, elbow, pronation=0.5, grip=track(_GRIP) if side == RIGHT else 0.3)
    return figure


def _step(figure: Figure, draw: Draw, moment: Tensor) -> None:
    """The left foot lifts during the wind-up and lands ahead; the right heel comes up after the throw."""
    performer = figure.performer
    stance = usual_stance(performer, draw, 0.26)
    length = 0.52 * performer.scale * performer.energy
    ahead = interpolate(moment, torch.tensor([13.0, 25.0]), torch.tensor([0.0, length], dtype=torch.float64))
    lift = interpolate(moment, torch.tensor([12.0, 18.0, 25.0]), torch.tensor([0.0, 0.13, 0.0], dtype=torch.float64))
    heel = interpolate(
        moment, torch.tensor([23.0, 30.0, 40.0, 54.0]), torch.tensor([0.0, 0.75, 0.85, 0.55], dtype=torch.float64)
    )
    toes_up = interpolate(
        moment, torch.tensor([15.0, 22.0, 26.0]), torch.tensor([0.0, -0.25, 0.0], dtype=torch.float64)
    )
    for side, forwards, up, pitch in ((LEFT, ahead, lift, toes_up), (RIGHT, 0 * ahead, 0 * lift, heel)):
        ground = stance.ground(side) + torch.stack([0 * up, up * performer.scale, forwards], dim=-1)
        out = stance.toe_out + (0.25 if side == RIGHT else 0.0)
        figure.leg(side, planted_ankle(performer, ground, pitch, torch.full_like(pitch, side * out)), pitch, out)
