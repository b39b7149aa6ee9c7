"""Writes BVH files of SMPL motions for tests: any channel order, unit, names, axes and rest pose."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS, forward_kinematics
from components.geometry.rotations import axis_angle_to_matrix, axis_rotation, matrix_to_euler

MIXAMO = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Spine1", "spine3": "Spine2", "neck": "Neck", "head": "Head",
    **{
        f"{side.lower()}_{part}": f"{side}{name}"
        for side in ("Left", "Right")
        for part, name in {
            "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "foot": "ToeBase", "collar": "Shoulder", "shoulder": "Arm",
            "elbow": "ForeArm", "wrist": "Hand", "hand": "HandIndex1",
        }.items()
    },
}  # fmt: skip
# World rotations of joints in the zero pose of a skeleton whose arms hang down by 45 degrees.
A_POSE = {
    name: axis_rotation("Z", torch.tensor(sign * -0.785, dtype=torch.float64))
    for side, sign in (("left", 1), ("right", -1))
    for name in (f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist", f"{side}_hand")
}


def smooth_motion(frames: int = 40, seed: int = 0, size: float = 0.35) -> tuple[Tensor, Tensor]:
    """Local rotations `[T, 24, 3, 3]` and pelvis `[T, 3]` of a person who stands and moves all joints but the tips."""
    rng = np.random.default_rng(seed)
    time = np.linspace(0, 2 * np.pi, frames)[:, None, None]
    waves = np.sin(time * rng.integers(1, 3, (1, 24, 3)) + rng.uniform(0, 6, (1, 24, 3))) * rng.uniform(
        0, 1, (1, 24, 3)
    )
    angles = torch.from_numpy(size * waves)
    angles[:, [10, 11, 22, 23]] = 0
    root = torch.stack([0.3 * torch.from_numpy(np.sin(time[:, 0, 0])), torch.full((frames,), 0.9).double(),
                        torch.linspace(0, 1.2, frames).double()], dim=1)  # fmt: skip
    return axis_angle_to_matrix(angles), root


def write_smpl_bvh(
    path: Path,
    rotations: Tensor,
    root: Tensor,
    rest: Tensor,
    names: Mapping[str, str] = MIXAMO,
    order: str = "ZXY",
    scale: float = 100.0,
    fps: float = 30.0,
    zero_pose: Mapping[str, Tensor] | None = None,
    axes: Tensor | None = None,
    extra: Sequence[str] = (),
    positions_last: bool = False,
    all_positions: bool = False,
) -> Path:
    """Write a motion of the SMPL skeleton.

    Args:
        rotations, root: `[T, 24, 3, 3]` local rotations and `[T, 3]` pelvis, y up, metres.
        rest: `[24, 3]` SMPL joints.
        names: SMPL joint -> name; joints without a name are left out, their motion goes to their children.
        order: of the rotation channels.
        scale: units per metre.
        zero_pose: world rotation of joints in the pose of zero angles; None = SMPL's rest pose.
        axes: `[3, 3]` turns y-up axes into those of the file.
        extra: names of more joints, below the head, that never move.
        positions_last: rotation channels of the root before its position.
        all_positions: every joint has position channels.
    """
    axes = torch.eye(3, dtype=torch.float64) if axes is None else axes.double()
    rest = rest.double()
    _, world = forward_kinematics(rotations.double(), rest)
    zero = torch.stack([(zero_pose or {}).get(name, torch.eye(3, dtype=torch.float64)) for name in SMPL_JOINTS])
    kept = [joint for joint, name in enumerate(SMPL_JOINTS) if name in names]
    parents = {joint: _kept_parent(joint, kept) for joint in kept}
    # Bones in the zero pose, which all angles of the file are relative to.
    posed = {0: torch.zeros(3, dtype=torch.float64)}
    for joint in range(1, 24):
        bone = zero[SMPL_PARENTS[joint]] @ (rest[joint] - rest[SMPL_PARENTS[joint]])
        posed[joint] = posed[SMPL_PARENTS[joint]] + bone
    relative = axes @ world @ zero.transpose(-1, -2) @ axes.T
    lines, columns = ["HIERARCHY"], []

    def joint_lines(joint: int, depth: int) -> None:
        tab = "\t" * depth
        parent = parents[joint]
        offset = scale * (axes @ (posed[joint] - posed[parent])) if parent >= 0 else torch.zeros(3)
        lines.append(f"{tab}{'JOINT' if depth else 'ROOT'} {names[SMPL_JOINTS[joint]]}")
        lines.extend([f"{tab}{{", f"{tab}\tOFFSET " + " ".join(f"{value:.6f}" for value in offset.tolist())])
        above = relative[:, parent] if parent >= 0 else torch.eye(3, dtype=torch.float64).expand(len(root), 3, 3)
        angles = torch.rad2deg(matrix_to_euler(above.transpose(-1, -2) @ relative[:, joint], order))
        turns, places = [f"{axis}rotation" for axis in order], ["Xposition", "Yposition", "Zposition"]
        channels, values = turns, angles
        if parent < 0 or all_positions:
            place = scale * (root.double() @ axes.T) if parent < 0 else offset.expand(len(root), 3)
            channels, values = (turns + places, torch.cat([angles, place], 1)) if positions_last else (
                places + turns, torch.cat([place, angles], 1))  # fmt: skip
        lines.append(f"{tab}\tCHANNELS {len(channels)} {' '.join(channels)}")
        columns.append(values)
        children = [other for other in kept if parents[other] == joint]
        for child in children:
            joint_lines(child, depth + 1)
        if SMPL_JOINTS[joint] == "head":
            for name in extra:
                lines.extend([f"{tab}\tJOINT {name}", f"{tab}\t{{", f"{tab}\t\tOFFSET 1 2 3",
                              f"{tab}\t\tCHANNELS 3 Zrotation Yrotation Xrotation", f"{tab}\t\tEnd Site",
                              f"{tab}\t\t{{", f"{tab}\t\t\tOFFSET 0 1 0", f"{tab}\t\t}}", f"{tab}\t}}"])  # fmt: skip
                columns.append(torch.zeros(len(root), 3))
        if not children and not (extra and SMPL_JOINTS[joint] == "head"):
            lines.extend([f"{tab}\tEnd Site", f"{tab}\t{{", f"{tab}\t\tOFFSET 0.0 5.0 0.0", f"{tab}\t}}"])
        lines.append(f"{tab}}}")

    joint_lines(0, 0)
    rows = torch.cat(columns, dim=1)
    lines += ["MOTION", f"Frames: {len(rows)}", f"Frame Time: {1 / fps:.8f}"]
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows.tolist()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def _kept_parent(joint: int, kept: Sequence[int]) -> int:
    parent = SMPL_PARENTS[joint]
    while parent >= 0 and parent not in kept:
        parent = SMPL_PARENTS[parent]
    return parent
