"""Walking and running: feet roll over the floor without sliding, legs by inverse kinematics, arms swing against them.

Timing and amplitudes are textbook ones (Perry and Burnfield, Gait Analysis: stance 60 % of the cycle, heel strike, heel
off at about 30 %, pelvis lowest in double support; Novacheck, The biomechanics of running: stance 35 %, two flight
phases, forward lean, elbows near 90 degrees). The knee's two peaks are not written down: they follow from the feet.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from components.synthetic.curves import FPS, Draw, cyclic, interpolate, wander
from components.synthetic.feet import planted_ankle
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer


@dataclass(frozen=True)
class Gait:
    """One way of moving on. Angles in degrees, lengths as shares of the leg unless said otherwise.

    Args:
        cadence: cycles (two steps) per second.
        stride: way per cycle.
        duty: share of the cycle that a foot stands.
        touch: share of the stance's way that lies before the body at touch-down.
        pitch_knots, pitch: heel lift of the foot over the cycle, 0 = touch-down.
        lift_knots, lift: rise of the ankle over the swing (0..1), on top of the straight way.
        bob: rise and fall of the pelvis (half of the range); highest at `bob_peak` of each step.
        bob_peak: see bob.
        reach: share of the full leg length that the legs may use.
        lean, sway, turn, roll: pelvis; sway is a length.
        arm, arm_offset: half range and middle of the shoulder's swing.
        elbow, elbow_swing: middle and half range of the elbow.
        carry: factor on how far the arms are held from the body.
        grip: bend of the fingers.
    """

    cadence: float
    stride: float
    duty: float
    touch: float
    pitch_knots: tuple[float, ...]
    pitch: tuple[float, ...]
    lift_knots: tuple[float, ...]
    lift: tuple[float, ...]
    bob: float
    bob_peak: float
    reach: float
    lean: float
    sway: float
    turn: float
    roll: float
    arm: float
    arm_offset: float
    elbow: float
    elbow_swing: float
    carry: float
    grip: float


WALK = Gait(
    cadence=0.90, stride=1.45, duty=0.61, touch=0.46,
    pitch_knots=(0.0, 0.08, 0.30, 0.45, 0.66, 0.74, 0.86, 0.95), pitch=(-18, 0, 0, 15, 62, 48, 0, -20),
    lift_knots=(0.0, 0.15, 0.38, 0.75, 1.0), lift=(0.0, 0.035, 0.060, 0.025, 0.0),
    bob=0.020, bob_peak=0.62, reach=0.994, lean=3, sway=0.022, turn=6, roll=3.5,
    arm=24, arm_offset=4, elbow=24, elbow_swing=9, carry=1.0, grip=20,
)  # fmt: skip
RUN = Gait(
    cadence=1.25, stride=1.95, duty=0.36, touch=0.33,
    pitch_knots=(0.0, 0.06, 0.16, 0.36, 0.50, 0.70, 0.90), pitch=(-8, 0, 0, 52, 85, 55, -6),
    lift_knots=(0.0, 0.38, 0.72, 1.0), lift=(0.0, 0.35, 0.24, 0.0),
    bob=0.036, bob_peak=0.86, reach=0.976, lean=9, sway=0.008, turn=9, roll=3,
    arm=36, arm_offset=-4, elbow=92, elbow_swing=12, carry=0.9, grip=55,
)  # fmt: skip


def walk(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Walks towards +z at a comfortable pace."""
    return _go(WALK, performer, frames, draw)


def run(performer: Performer, frames: int, draw: Draw) -> Figure:
    """Jogs towards +z."""
    return _go(RUN, performer, frames, draw)


def _go(gait: Gait, performer: Performer, frames: int, draw: Draw) -> Figure:
    period = FPS / (gait.cadence * performer.tempo * draw.uniform(0.96, 1.04))
    stride = gait.stride * performer.leg * performer.energy * draw.uniform(0.97, 1.03)
    # Every clip starts near the left foot's touch-down: clips in opposite phase would average to a person with stiff
    # legs, and a small model does average.
    start = draw.uniform(-0.07, 0.07)
    cycle = torch.arange(frames, dtype=torch.float64) / period + start
    figure = Figure(performer, frames)
    feet = {side: _foot_path(gait, performer, cycle + offset, offset, stride)
            for side, offset in ((LEFT, 0.0), (RIGHT, 0.5))}  # fmt: skip
    _carry_trunk(gait, figure, draw, cycle, stride, feet)
    for side, (ankle, pitch) in feet.items():
        figure.leg(side, ankle, pitch, 0.5 * performer.toe_out, knee_out=0.04)
    _swing_arms(gait, figure, draw, cycle)
    return figure


def _foot_path(gait: Gait, performer: Performer, cycle: Tensor, offset: float, stride: float) -> tuple[Tensor, Tensor]:
    """Ankle positions `[T, 3]` and foot pitch `[T]`; `cycle` counts touch-downs of this foot, shifted by `offset`."""
    count, phase = torch.floor(cycle), cycle % 1.0
    side = LEFT if offset == 0.0 else RIGHT
    swing = ((phase - gait.duty) / (1 - gait.duty)).clamp(min=0.0)

    def pitch_at(moment: Tensor) -> Tensor:
        return torch.deg2rad(cyclic(moment, gait.pitch_knots, gait.pitch))

    def stood(step: Tensor, moment: Tensor) -> Tensor:
        # The body passes cycle*stride; the foot stands so that `touch` of the stance's way lies before the body.
        ground = torch.zeros(len(step), 3, dtype=torch.float64)
        ground[:, 0] = side * performer.scale * 0.055
        ground[:, 2] = (step - offset + gait.touch * gait.duty) * stride
        return planted_ankle(
            performer, ground, pitch_at(moment), torch.full_like(moment, side * 0.5 * performer.toe_out)
        )

    early = torch.full_like(phase, gait.duty)
    before, after = stood(count, torch.minimum(phase, early)), stood(count + 1, torch.ones_like(phase) - 1e-9)
    # The foot leaves with the speed of its roll and arrives slowly: a cubic between the two.
    leave = (stood(count, early) - stood(count, early - 0.01)) / 0.01 * (1 - gait.duty)
    s = swing[:, None]
    way = (after - before) * s**2 * (3 - 2 * s) + leave * s * (1 - s) ** 2
    ankle = before + torch.where(s > 0, way, torch.zeros_like(way))
    lift = interpolate(swing, *(torch.tensor(row, dtype=torch.float64) for row in (gait.lift_knots, gait.lift)))
    ankle[:, 1] += lift * performer.leg
    return ankle, pitch_at(phase)


def _carry_trunk(
    gait: Gait, figure: Figure, draw: Draw, cycle: Tensor, stride: float, feet: dict[int, tuple[Tensor, Tensor]]
) -> None:
    """Pelvis, spine and head; the pelvis rides as high as the legs allow."""
    person, frames = figure.performer, figure.frames
    angle = 2 * math.pi * cycle
    # cos(angle) is 1 when the left foot touches down: then the left hip is ahead, a turn to the right.
    turn = -math.radians(gait.turn) * person.energy * torch.cos(angle)
    # Weight is on the left in the middle of the left stance; the other side of the pelvis drops a little.
    loaded = torch.cos(angle - 2 * math.pi * gait.duty / 2)
    roll = -math.radians(gait.roll) * loaded
    lean = math.radians(gait.lean) + torch.zeros(frames, dtype=torch.float64)
    position = torch.zeros(frames, 3, dtype=torch.float64)
    position[:, 0] = gait.sway * person.leg * loaded
    position[:, 2] = cycle * stride
    position[:, 1] = gait.bob * person.leg * torch.cos(2 * angle - 2 * math.pi * gait.bob_peak)
    figure.pelvis(position, turn, lean * 0.6, roll)
    position[:, 1] += _room_above(gait, figure, cycle, feet)
    figure.pelvis(position, turn, lean * 0.6, roll)
    figure.spine(person.stoop + 0.4 * lean + wander(draw, frames, 0.015), -roll * 0.9, -2.0 * turn)
    figure.head(-0.5 * lean - person.stoop, wander(draw, frames, 0.015), turn + wander(draw, frames, 0.03))


def _room_above(gait: Gait, figure: Figure, cycle: Tensor, feet: dict[int, tuple[Tensor, Tensor]]) -> Tensor:
    """How far the pelvis can rise until the first standing leg is stretched to `reach`, metres."""
    room = []
    for side, name, offset in ((LEFT, "left_hip", 0.0), (RIGHT, "right_hip", 0.5)):
        away = feet[side][0] - figure.joint(name)
        spread = away[:, 0] ** 2 + away[:, 2] ** 2
        height = torch.sqrt(((gait.reach * figure.performer.leg) ** 2 - spread).clamp(min=0.0))
        standing = (cycle + offset) % 1.0 < gait.duty
        room.append((away[:, 1] + height)[standing].min())
    return torch.stack(room).min()


def _swing_arms(gait: Gait, figure: Figure, draw: Draw, cycle: Tensor) -> None:
    person = figure.performer
    for side, offset in ((LEFT, 0.0), (RIGHT, 0.5)):
        # The arm is furthest back when the foot of its own side touches down.
        swing = -torch.cos(2 * math.pi * (cycle + offset) - 0.25)
        energy = person.energy * draw.uniform(0.95, 1.05)
        figure.swing_arm(
            side,
            flexion=math.radians(gait.arm_offset) + math.radians(gait.arm) * energy * swing,
            abduction=person.carry * gait.carry,
            elbow=math.radians(gait.elbow) + math.radians(gait.elbow_swing) * swing,
            rotation=0.30,
            pronation=0.35,
            wrist=0.1,
            grip=math.radians(gait.grip),
        )
