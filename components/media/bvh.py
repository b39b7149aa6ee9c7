"""Motion capture files (`.bvh`): a skeleton with Euler angles, which every animation program reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.files.atomic import write_text
from components.geometry.rotations import matrix_to_euler

# Length of the bones beyond the last joints, metres: hands, toes and head show as bones.
_TIP = 0.08


def write_bvh(
    path: str | Path,
    rotations: Tensor,
    root: Tensor,
    joints: Tensor,
    parents: Sequence[int],
    names: Sequence[str],
    fps: float,
) -> Path:
    """Write a motion; y up, metres, degrees, channels Zrotation Yrotation Xrotation.

    Args:
        path: appears whole or not at all.
        rotations: `[T, J, 3, 3]` local rotations.
        root: `[T, 3]` place of joint 0.
        joints: `[J, 3]` joints at rest.
        parents: parent of each joint, -1 for joint 0, parents before children.
        names: of the joints, without spaces.
        fps: frames per second.

    Raises:
        InputError: the file cannot be written.
    """
    order: list[int] = []  # of the angles, as the tree is written
    lines = ["HIERARCHY", *_joint_lines(0, 0, joints, parents, names, order)]
    angles = torch.rad2deg(matrix_to_euler(rotations[:, order].double(), "ZYX")).flatten(1).numpy()
    # Without jumps of a whole turn programs may interpolate.
    rows = np.concatenate([root.double().numpy(), np.unwrap(angles, period=360.0, axis=0)], axis=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    write_text(path, "\n".join(lines) + "\n")
    return Path(path)


def _joint_lines(
    joint: int, depth: int, joints: Tensor, parents: Sequence[int], names: Sequence[str], order: list[int]
) -> list[str]:
    order.append(joint)
    indent, inner = "  " * depth, "  " * (depth + 1)
    parent = parents[joint]
    # The channels of the root hold its whole place.
    offset = joints[joint] - joints[parent] if parent >= 0 else torch.zeros(3)
    channels = "CHANNELS 3 Zrotation Yrotation Xrotation"
    if parent < 0:
        channels = "CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation"
    lines = [f"{indent}{'ROOT' if parent < 0 else 'JOINT'} {names[joint]}", f"{indent}{{"]
    lines += [f"{inner}OFFSET {_numbers(offset)}", f"{inner}{channels}"]
    children = [child for child, above in enumerate(parents) if above == joint]
    for child in children:
        lines += _joint_lines(child, depth + 1, joints, parents, names, order)
    if not children:
        tip = offset / offset.norm().clamp(min=1e-9) * _TIP
        lines += [f"{inner}End Site", f"{inner}{{", f"{inner}  OFFSET {_numbers(tip)}", f"{inner}}}"]
    return [*lines, f"{indent}}}"]


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:.6f}" for value in values.tolist())
