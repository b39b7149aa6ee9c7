"""The synthetic stand-in for HumanAct12: procedural motions of its twelve actions in its own file layout."""

import csv
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.body.skeleton import SMPL_JOINTS
from components.errors import InputError
from components.files.atomic import atomic_path, write_text
from components.geometry.rotations import axis_rotation, matrix_to_axis_angle
from components.synthetic.boxing import box
from components.synthetic.curves import Draw
from components.synthetic.figure import Figure
from components.synthetic.gait import run, walk
from components.synthetic.handling import lift_dumbbell, turn_steering_wheel
from components.synthetic.jumping import jump
from components.synthetic.performers import Performer, draw_performers
from components.synthetic.reaching import drink, eat, phone
from components.synthetic.sitting import sit
from components.synthetic.throwing import throw
from components.synthetic.warming_up import warm_up

Performance = Callable[[Performer, int, Draw], Figure]
# In the order of HumanAct12's labels.
ACTIONS: dict[str, Performance] = {
    "warm_up": warm_up,
    "walk": walk,
    "run": run,
    "jump": jump,
    "drink": drink,
    "lift_dumbbell": lift_dumbbell,
    "sit": sit,
    "eat": eat,
    "turn_steering_wheel": turn_steering_wheel,
    "phone": phone,
    "boxing": box,
    "throw": throw,
}
# Actions of one hand: left-handed performers do their mirror image.
_ONE_HANDED = ("drink", "eat", "phone", "boxing", "throw")
NUM_PERFORMERS = 12
_SHORTEST, _LONGEST = 60, 68
# Where the first frame's pelvis stands before the camera, and how far from facing it people may stand (radians).
_DISTANCE, _FLOOR, _HEADING = 10.0, 1.0, 0.14
_LEFT = [index for index, name in enumerate(SMPL_JOINTS) if name.startswith("left_")]
_RIGHT = [SMPL_JOINTS.index(SMPL_JOINTS[index].replace("left_", "right_")) for index in _LEFT]
_FLIP = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)


@dataclass(frozen=True)
class Clip:
    """One clip in the camera frame of HumanAct12: x right, y down, z away, metres, 20 frames per second.

    Args:
        poses: `[T, 72]` float32 axis-angle, 24 SMPL joints, global orientation first.
        joints: `[T, 24, 3]` float32 joint positions.
    """

    poses: np.ndarray
    joints: np.ndarray


def perform(action: str, performer: Performer, draw: Draw, frames: int | None = None) -> Clip:
    """One clip of an action.

    Args:
        action: a name of `ACTIONS`.
        performer: who acts.
        draw: every other choice: length, tempo, side, heading.
        frames: length; 60 to 68 by default.

    Raises:
        InputError: no such action.
    """
    length = draw.integer(_SHORTEST, _LONGEST) if frames is None else frames
    rotations, positions = act(action, performer, length, draw)
    heading = axis_rotation("Y", torch.tensor(draw.normal(_HEADING), dtype=torch.float64))
    return to_camera(heading, rotations, positions)


def act(action: str, performer: Performer, frames: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Local rotations `[T, 24, 3, 3]` and joint positions `[T, 24, 3]` of an action (metres, y up, facing +z), done
    with the performer's own hand.

    Raises:
        InputError: no such action.
    """
    if action not in ACTIONS:
        raise InputError(f"synthetic action '{action}' is not one of {', '.join(ACTIONS)}")
    figure = ACTIONS[action](performer, frames, draw)
    if performer.left_handed and action in _ONE_HANDED:
        return mirror(figure.rotations, figure.positions)
    return figure.rotations, figure.positions


def mirror(rotations: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Swap left and right: local rotations `[T, 24, 3, 3]` and positions `[T, 24, 3]` seen in a mirror across x."""
    order = list(range(24))
    for left, right in zip(_LEFT, _RIGHT):
        order[left], order[right] = right, left
    sign = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    return rotations[:, order] * sign[:, None] * sign, positions[:, order] * sign


def to_camera(heading: Tensor, rotations: Tensor, positions: Tensor) -> Clip:
    """Turn a clip by its heading `[3, 3]`, place it before the camera and express it in the camera's frame."""
    rotations = rotations.clone()
    rotations[:, 0] = _FLIP[:, None] * (heading @ rotations[:, 0])
    origin = positions[0, 0] * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    placed = ((positions - origin) @ heading.T) * _FLIP
    placed += torch.tensor([0.0, _FLOOR, _DISTANCE], dtype=torch.float64)
    poses = matrix_to_axis_angle(rotations).flatten(1)
    return Clip(poses.float().numpy(), placed.float().numpy())


def write_humanact12(folder: str | Path, clips_per_action: int = 40, seed: int = 0) -> None:
    """Write `humanact12poses.pkl`, `actions.json` and `clips.csv`; the pickle holds numpy arrays in plain containers.

    Args:
        folder: made if missing.
        clips_per_action: clips of each of the twelve actions.
        seed: the same seed writes the same numbers.

    Raises:
        InputError: clips_per_action below 1, or the folder cannot be written.
    """
    if clips_per_action < 1:
        raise InputError(f"clips_per_action={clips_per_action}, expected at least 1")
    folder = Path(folder)
    cast = draw_performers(NUM_PERFORMERS, seed)
    content: dict[str, list] = {"poses": [], "joints3D": [], "y": [], "oldposes": []}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["index", "label", "name", "performer", "frames"])
    for number in range(clips_per_action):
        for label, action in enumerate(ACTIONS):
            who = (number + label) % NUM_PERFORMERS
            clip = perform(action, cast[who], Draw(seed, label, number))
            rows.writerow([len(content["y"]), label, action, who, len(clip.poses)])
            content["poses"].append(clip.poses)
            content["joints3D"].append(clip.joints)
            content["y"].append(label)
    write_text(folder / "actions.json", json.dumps({str(i): name for i, name in enumerate(ACTIONS)}, indent=1) + "\n")
    write_text(folder / "clips.csv", table.getvalue())
    # Last, because its presence says that the folder is complete.
    with atomic_path(folder / "humanact12poses.pkl") as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file, protocol=4)
