"""Hands that go to the face: drinking, eating, phoning. The right hand acts; left-handed people are mirrored later."""

import torch

from components.synthetic.curves import Draw, keyframes, rise_and_fall, wander
from components.synthetic.feet import look_around, relaxed_arm, stand, usual_stance
from components.synthetic.figure import HOLDING, LEFT, RELAXED, RIGHT, Figure
from components.synthetic.performers import Performer

# The mouth from the head joint, metres of the typical adult.
MOUTH = (0.0, -0.03, 0.105)
# Where a bent arm's elbow points in the chest's frame, x outwards.
_ELBOW_LOW = torch.tensor([0.35, -0.75, -0.55], dtype=torch.float64)


def drink(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Brings a cup from the waist to the mouth, tips it with the head, and lowers it again."""
    pace = draw.uniform(0.94, 1.06) / performer.tempo
    times = [pace * moment for moment in (4, 18, 24, 38, 44, 57)]
    up = keyframes(frames, times, (0, 1, 1, 1, 1, 0))
    tip = keyframes(frames, times, (0, 0, 1, 1, 0.1, 0))
    figure = Figure(performer, frames)
    stand(figure, draw, usual_stance(performer, draw), lean=-0.03 * tip)
    figure.spine(performer.stoop - 0.10 * tip, 0.0, 0.04 * up)
    look_around(figure, draw, nod=0.06 * up - 0.38 * performer.energy * tip, turn=-0.06 * up)
    side = draw.uniform(-0.01, 0.01)
    held = figure.point("spine3", -0.14 + side, -0.10 + wander(draw, frames, 0.006), 0.30)
    # The palm around the cup is 8 cm beyond the wrist; the cup's rim meets the lips.
    at_mouth = figure.point("head", -0.065, MOUTH[1] - 0.09 - 0.01 * tip, MOUTH[2] + 0.075)
    # The cup keeps clear of the chest on its way.
    way = up[:, None] * at_mouth + (1 - up)[:, None] * held
    way[:, 2] += performer.scale * 0.20 * up * (1 - up)
    elbow = torch.stack([0.40 + 0.10 * up + 0.10 * tip, -0.80 - 0.05 * up, -0.55 + 0.60 * up], dim=-1)
    figure.reach(
        RIGHT,
        way,
        elbow,
        pronation=0.10 - 0.15 * up,
        wrist=0.10 + 0.25 * up,
        radial=0.25 * tip - 0.1 * up,
        grip=HOLDING,
    )
    relaxed_arm(figure, draw, LEFT)
    return figure


def eat(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Takes bite after bite from a plate that the other hand holds."""
    period = 20.0 * draw.uniform(0.95, 1.05) / performer.tempo
    up = rise_and_fall(frames, draw.uniform(-1.5, 1.5), period, (0.12, 0.45, 0.60, 0.97))
    figure = Figure(performer, frames)
    stand(figure, draw, usual_stance(performer, draw))
    figure.spine(performer.stoop + 0.10, 0.0, wander(draw, frames, 0.02))
    # The head looks at the plate and comes to meet the bite.
    look_around(figure, draw, nod=0.40 - 0.22 * up)
    plate = figure.point("spine3", 0.06, -0.13 + wander(draw, frames, 0.004), 0.29)
    food = figure.point("spine3", -0.06, -0.06, 0.33)
    bite = figure.point("head", -0.075, MOUTH[1] - 0.045, MOUTH[2] + 0.065)
    way = up[:, None] * bite + (1 - up)[:, None] * food
    way[:, 2] += performer.scale * 0.10 * up * (1 - up)
    elbow = torch.stack([0.75 - 0.15 * up, -0.80 - 0.1 * up, -0.25 + 0.3 * up], dim=-1)
    figure.reach(RIGHT, way, elbow, pronation=0.9 - 1.0 * up, wrist=0.25 + 0.15 * up, grip=0.6)
    figure.reach(LEFT, plate, _ELBOW_LOW, pronation=-1.2, wrist=-0.1)
    return figure


def phone(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Lifts a phone to the ear and talks, shifting weight; the other arm hangs."""
    pace = draw.uniform(0.94, 1.06) / performer.tempo
    up = keyframes(frames, [pace * 2, pace * 18], (0, 1))
    # Slowly from one leg to the other.
    weight = up * keyframes(frames, [pace * moment for moment in (16, 36, 58)], (0, 1, -0.4))
    figure = Figure(performer, frames)
    shift = torch.zeros(frames, 3, dtype=torch.float64)
    shift[:, 0] = 0.035 * performer.scale * weight
    stand(figure, draw, usual_stance(performer, draw), shift, roll=-0.05 * weight, turn=0.06 * weight)
    figure.spine(performer.stoop, 0.05 * weight, wander(draw, frames, 0.03))
    talk = wander(draw, frames, 0.05)
    look_around(figure, draw, nod=0.10 * up + talk, tilt=-0.20 * up, turn=0.15 * up)
    pocket = figure.hanging_wrist(RIGHT, 0.10)
    ear = figure.point("head", -0.120, -0.025, 0.055)
    way = up[:, None] * ear + (1 - up)[:, None] * pocket
    way[:, 2] += performer.scale * 0.75 * up * (1 - up)
    elbow = torch.stack([0.30 + 0.30 * up, -0.45 - 0.45 * up, -0.65 + 0.95 * up], dim=-1)
    figure.reach(RIGHT, way, elbow, pronation=0.45 - 0.35 * up, radial=0.1 * up, grip=RELAXED + 0.45 * up)
    relaxed_arm(figure, draw, LEFT, flexion=0.04 * talk)
    return figure
