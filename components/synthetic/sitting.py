"""Sitting down on a chair and staying there."""

import torch

from components.synthetic.curves import Draw, keyframes, wander
from components.synthetic.feet import look_around, plant_feet, standing_height, usual_stance
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer


def sit(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Leans forwards, takes the hips back and down to the seat, then sits upright with the hands on the thighs."""
    pace = draw.uniform(0.94, 1.06) / performer.tempo
    begin, seated = 5 * pace, 33 * pace
    down = keyframes(frames, (begin, begin + 0.6 * (seated - begin), seated), (0.0, 0.62, 1.0))
    back = keyframes(frames, (begin, begin + 0.5 * (seated - begin), seated), (0.0, 0.55, 1.0))
    bow = keyframes(frames, (begin, begin + 0.55 * (seated - begin), seated, seated + 10), (0.0, 1.0, 0.55, 0.0))
    figure = Figure(performer, frames)
    stance = usual_stance(performer, draw, 0.26)
    tall = standing_height(performer) - 0.012 * performer.leg
    # On the chair the hips are about as high as the knees; the seat differs from clip to clip.
    seat = tall - 0.51 * performer.leg * draw.uniform(0.95, 1.03)
    position = torch.zeros(frames, 3, dtype=torch.float64)
    position[:, 0] = wander(draw, frames, 0.006)
    position[:, 1] = tall + (seat - tall) * down
    position[:, 2] = -0.40 * performer.leg * back
    # A seated pelvis tips back, a bowing one forwards.
    figure.pelvis(position, lean=0.42 * bow * performer.energy - 0.08 * down * (1 - bow))
    plant_feet(figure, stance)
    figure.spine(performer.stoop + 0.36 * bow + 0.12 * down * (1 - bow), 0.0, wander(draw, frames, 0.02))
    look_around(figure, draw, nod=-0.30 * bow + 0.04 * down)
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        hip, knee = figure.joint(f"{name}_hip"), figure.joint(f"{name}_knee")
        on_thigh = hip + 0.66 * (knee - hip)
        on_thigh[:, 1] += 0.085 * performer.scale
        hanging = figure.hanging_wrist(side)
        share = keyframes(frames, (begin + 2, seated), (0.0, 1.0))[:, None]
        wrist = share * on_thigh + (1 - share) * hanging
        wrist[:, 2] += performer.scale * 0.30 * bow * (1 - share[:, 0])
        elbow = torch.tensor([0.55, -0.35, -0.75], dtype=torch.float64)
        figure.reach(side, wrist, elbow, pronation=0.45 + 0.85 * share[:, 0], wrist=-0.1)
    return figure
