"""Both hands on something: lifting dumbbells and turning a steering wheel."""

import math

import torch

from components.synthetic.curves import Draw, rise_and_fall, wander
from components.synthetic.feet import look_around, stand, usual_stance
from components.synthetic.figure import FIST, HOLDING, LEFT, RIGHT, Figure
from components.synthetic.performers import Performer


def lift_dumbbell(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Biceps curls, both arms together or one after the other, palms up."""
    period = 28.0 * draw.uniform(0.95, 1.05) / performer.tempo
    alternating = draw.chance(0.4)
    figure = Figure(performer, frames)
    start = draw.uniform(-1.0, 1.0)
    shares = (0.08, 0.48, 0.56, 0.98)
    curls = {
        side: rise_and_fall(
            frames, start - (period / 2 if alternating and side == LEFT else 0.0) - period, period, shares
        )
        for side in (LEFT, RIGHT)
    }
    both, uneven = 0.5 * (curls[LEFT] + curls[RIGHT]), curls[LEFT] - curls[RIGHT]
    stand(figure, draw, usual_stance(performer, draw, 0.30), drop=0.004 * (1 - both), lean=-0.02 * both)
    # The trunk leans back a little against the load, and away from the arm that works alone.
    figure.spine(performer.stoop - 0.07 * both, -0.04 * uneven, 0.03 * uneven)
    look_around(figure, draw, nod=0.08)
    for side, curl in curls.items():
        effort = performer.energy * draw.uniform(0.97, 1.03)
        figure.swing_arm(
            side,
            flexion=0.06 + 0.32 * curl * effort,
            abduction=performer.carry + 0.02 + 0.03 * curl,
            elbow=math.radians(14) + math.radians(112) * curl * effort,
            rotation=0.10,
            pronation=-0.85,
            wrist=0.25 * curl,
            grip=FIST,
        )
    return figure


def turn_steering_wheel(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Both hands hold a wheel before the chest and turn it to one side and to the other."""
    period = 40.0 * draw.uniform(0.95, 1.05) / performer.tempo
    at = torch.arange(frames, dtype=torch.float64)
    wheel = math.radians(62) * performer.energy * torch.sin(2 * math.pi * at / period + draw.uniform(-0.2, 0.2))
    figure = Figure(performer, frames)
    stand(figure, draw, usual_stance(performer, draw, 0.32), drop=0.035 * performer.scale, lean=0.05, sway=0.6)
    # Positive turns the left hand up: a turn to the right.
    figure.spine(performer.stoop + 0.06, -0.08 * wheel, -0.12 * wheel)
    look_around(figure, draw, nod=0.10, turn=-0.22 * wheel + wander(draw, frames, 0.03))
    radius, forwards = 0.20, 0.36 * performer.arm / 0.52 / performer.scale
    for side, grip in ((LEFT, math.radians(15)), (RIGHT, math.radians(165))):
        angle = wheel + grip
        # The wheel's plane is tilted: its upper rim is further away.
        wrist = figure.point(
            "spine3",
            radius * torch.cos(angle),
            -0.02 + 0.92 * radius * torch.sin(angle),
            forwards + 0.30 * radius * torch.sin(angle),
        )
        raised = torch.sin(angle)
        elbow = torch.stack([0.55 + 0.15 * raised, -0.85 + 0.0 * raised, -0.20 + 0.0 * raised], dim=-1)
        figure.reach(
            side, wrist, elbow, pronation=0.50 - 0.20 * raised, wrist=-0.15, radial=0.15 * raised, grip=HOLDING
        )
    return figure
