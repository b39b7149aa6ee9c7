"""Warm-up exercises with the legs apart: arm circles, side bends, trunk twists."""

import math

import torch

from components.synthetic.curves import FPS, Draw, rise_and_fall
from components.synthetic.feet import Stance, stand, usual_stance
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer


def warm_up(performer: Performer, frames: int, draw: Draw) -> Figure:
    """One of three exercises, arm circles most often."""
    stance = usual_stance(performer, draw, 0.52)
    which = draw.uniform(0.0, 1.0)
    exercise = circle_arms if which < 0.6 else bend_sideways if which < 0.85 else twist_trunk
    return exercise(performer, frames, draw, stance)


def circle_arms(performer: Performer, frames: int, draw: Draw, stance: Stance) -> Figure:
    """Both straight arms go round: forwards, up, back over the sides, down."""
    period = 1.5 * FPS * draw.uniform(0.95, 1.05) / performer.tempo
    round_ = 2 * math.pi * (torch.arange(frames, dtype=torch.float64) / period + draw.uniform(-0.04, 0.04))
    figure = Figure(performer, frames)
    up = 0.5 - 0.5 * torch.cos(round_)
    stand(figure, draw, stance, drop=0.02 * performer.scale * (1 - up), lean=-0.02 * up)
    figure.spine(performer.stoop - 0.06 * up + 0.04 * torch.sin(round_))
    figure.head(-0.08 * up)
    # Behind the body the arm can only pass at the side, so the circle leans outwards there.
    forwards, upwards = torch.sin(round_), -torch.cos(round_)
    outwards = 0.42 + 0.30 * (0.5 - 0.5 * forwards)
    direction = torch.stack([outwards, upwards, 0.95 * forwards], dim=-1)
    for side in (LEFT, RIGHT):
        figure.point_arm(side, direction, elbow=0.15 + 0.15 * forwards.clamp(min=0.0))
    return figure


def bend_sideways(performer: Performer, frames: int, draw: Draw, stance: Stance) -> Figure:
    """Bends to one side with the other arm over the head, the near hand on the hip, then to the other side."""
    period = 48.0 * draw.uniform(0.95, 1.05) / performer.tempo
    shares = (0.02, 0.20, 0.30, 0.48)
    reach = {
        RIGHT: rise_and_fall(frames, 0.0, period, shares),
        LEFT: rise_and_fall(frames, -period / 2, period, shares),
    }
    tilt = performer.energy * (reach[RIGHT] - reach[LEFT])
    figure = Figure(performer, frames)
    shift = torch.zeros(frames, 3, dtype=torch.float64)
    shift[:, 0] = -0.06 * performer.scale * tilt
    stand(figure, draw, stance, shift, roll=0.10 * tilt)
    figure.spine(performer.stoop, 0.52 * tilt, 0.0)
    figure.head(0.0, 0.12 * tilt)
    for side, up in reach.items():
        # From the hand on the hip outwards and over the head; the arm turns outwards on its way, as shoulders must.
        figure.swing_arm(
            side,
            flexion=-0.35 + 0.45 * up,
            abduction=0.70 + 2.05 * up,
            elbow=1.75 - 0.95 * up,
            rotation=1.05 - 2.35 * up,
            pronation=0.2,
            wrist=0.4 * (1 - up),
        )
    return figure


def twist_trunk(performer: Performer, frames: int, draw: Draw, stance: Stance) -> Figure:
    """Turns the trunk from side to side with the arms held out."""
    period = 32.0 * draw.uniform(0.95, 1.05) / performer.tempo
    angle = 2 * math.pi * torch.arange(frames, dtype=torch.float64) / period
    swing, late = performer.energy * torch.sin(angle), torch.sin(angle - 0.35)
    figure = Figure(performer, frames)
    stand(figure, draw, stance, turn=0.30 * swing, drop=0.01 * performer.scale)
    figure.spine(performer.stoop, 0.0, 0.70 * swing)
    figure.head(0.0, 0.0, 0.15 * swing)
    for side in (LEFT, RIGHT):
        figure.swing_arm(
            side,
            flexion=0.12 + 0.10 * side * late,
            abduction=1.42,
            elbow=0.25 + 0.30 * (side * -late).clamp(min=0.0),
            rotation=-0.1,
            pronation=0.3,
        )
    return figure
