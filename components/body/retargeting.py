"""Motion of any skeleton onto the 24 SMPL joints: world rotations relative to a reference pose.

The world rotation of an SMPL joint is `G(t) @ inverse(G(ref)) @ B`: what the matched joint has turned since a reference
pose, times the SMPL joint's rotation `B` in that pose. `B` comes from bone directions: the trunk from the hip and
shoulder lines, a limb by the shortest turn from its parent's frame onto the bone, so that rest poses with lowered arms
(A-pose) or any orientation of axes come out right. The reference is the pose of zero angles where that resembles the
SMPL rest pose (as most files have it), else the frame of the motion that does so most.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from components.body.bvh import BvhMotion
from components.body.joint_names import match_joints
from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix

Reference = Literal["auto", "zero", "first"]

# The zero pose serves as long as no limb is farther from SMPL's rest pose, degrees.
_ACCEPTED = 70.0
_LIMBS = (
    ("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"),
)  # fmt: skip
_SIDES = ("left", "right")


class Retargeted(NamedTuple):
    """A motion of the SMPL skeleton in the axes of its source."""

    rotations: Tensor
    """`[T, 24, 3, 3]` local rotations, float64."""
    root: Tensor
    """`[T, 3]` position of the pelvis, metres."""
    scale: float
    """Metres per unit of the source."""
    matched: dict[str, int]
    """SMPL joint -> joint of the source."""
    reference: int
    """Frame that served as the reference pose, -1 = the pose of zero angles."""


def retarget(
    motion: BvhMotion,
    rest_joints: Tensor,
    joint_map: Mapping[str, int] | None = None,
    reference: Reference = "auto",
) -> Retargeted:
    """Put a motion onto the SMPL skeleton.

    Args:
        motion: of any skeleton with legs and arms.
        rest_joints: `[24, 3]` SMPL joints at rest, y up, facing +z, metres.
        joint_map: SMPL joint -> joint of the source; None matches by name.
        reference: `zero` takes the pose of zero angles as the reference, `first` the first frame, `auto` chooses.

    Raises:
        InputError: joints are missing, or the legs have no length.
    """
    matched = dict(match_joints(motion.names, motion.parents) if joint_map is None else joint_map)
    target = _named(rest_joints.double())
    positions, world = motion.world()
    source_rest = motion.rest()
    frame = _reference_frame(source_rest, positions, matched, target, reference)
    poses = source_rest if frame < 0 else positions[frame]
    points = {joint: poses[number] for joint, number in matched.items()}
    scale = _leg_length(target) / _source_leg(source_rest, positions, matched)
    bases = _bases(points, target, neutral=frame < 0)
    start = torch.eye(3, dtype=torch.float64).expand(len(motion.names), 3, 3) if frame < 0 else world[frame]
    carried = {
        joint: world[:, number] @ start[number].T @ bases[joint] for joint, number in matched.items() if joint in bases
    }
    return Retargeted(
        _local(carried, len(motion)), positions[:, matched["pelvis"]] * scale, float(scale), matched, frame
    )


def _named(joints: Tensor) -> dict[str, Tensor]:
    return {name: joints[..., number, :] for number, name in enumerate(SMPL_JOINTS)}


def _leg_length(points: Mapping[str, Tensor]) -> Tensor:
    """Mean length of the legs; of the thighs alone where the file has no ankles."""
    bones = [(f"{side}_{a}", f"{side}_{b}") for side in _SIDES for a, b in (("hip", "knee"), ("knee", "ankle"))]
    return torch.stack([(points[b] - points[a]).norm(dim=-1) for a, b in bones]).sum() / 2


def _source_leg(rest: Tensor, positions: Tensor, matched: Mapping[str, int]) -> Tensor:
    ankles = all(f"{side}_ankle" in matched for side in _SIDES)
    points = {joint: rest[number] for joint, number in matched.items()}
    if not ankles:
        raise InputError("the skeleton has no ankles, by which its size is known")
    length = _leg_length(points)
    if not torch.isfinite(length) or length <= 0:
        # Some files hold their bones in position channels only.
        length = _leg_length({joint: positions[0, number] for joint, number in matched.items()})
    if not torch.isfinite(length) or length <= 0:
        raise InputError("the legs of the skeleton have no length (OFFSET 0 0 0)")
    return length


def _trunk_frame(points: Mapping[str, Tensor], part: Literal["pelvis", "chest"]) -> Tensor:
    """Axes `[..., 3, 3]` (columns left, up, forward) from the hip or the shoulder line and the trunk."""
    hips = (points["left_hip"] + points["right_hip"]) / 2
    shoulders = (points["left_shoulder"] + points["right_shoulder"]) / 2
    across = ("left_hip", "right_hip") if part == "pelvis" else ("left_shoulder", "right_shoulder")
    left = F.normalize(points[across[0]] - points[across[1]], dim=-1)
    forward = F.normalize(torch.linalg.cross(left, shoulders - hips), dim=-1)
    return torch.stack([left, torch.linalg.cross(forward, left), forward], dim=-1)


def _shortest_turn(start: Tensor, end: Tensor) -> Tensor:
    """Rotation `[..., 3, 3]` along the great arc from one direction to another."""
    start, end = F.normalize(start, dim=-1), F.normalize(end, dim=-1)
    axis = torch.linalg.cross(start, end)
    sine, cosine = axis.norm(dim=-1, keepdim=True), (start * end).sum(-1, keepdim=True)
    # Opposite directions have no axis: any one across the bone.
    other = torch.linalg.cross(start, torch.eye(3, dtype=start.dtype)[start.abs().argmin(-1)])
    axis = torch.where(sine > 1e-9, axis / sine.clamp(min=1e-12), F.normalize(other, dim=-1))
    return axis_angle_to_matrix(axis * torch.atan2(sine, cosine))


def _deviation(points: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> Tensor:
    """Largest angle of a limb against SMPL's rest pose as seen from the trunk, degrees `[...]`."""
    source_frame, target_frame = (_trunk_frame(which, "pelvis") for which in (points, target))
    worst = []
    for side in _SIDES:
        for start, end in ((f"{side}_{a}", f"{side}_{b}") for a, b in _LIMBS):
            if start in points and end in points:
                own = F.normalize(points[end] - points[start], dim=-1).unsqueeze(-2) @ source_frame
                wanted = F.normalize(target[end] - target[start], dim=-1) @ target_frame
                worst.append(torch.rad2deg(torch.acos((own.squeeze(-2) * wanted).sum(-1).clamp(-1, 1))))
    # A zero pose without a trunk or limbs to speak of resembles nothing.
    return torch.nan_to_num(torch.stack(worst).amax(0), nan=180.0)


def _reference_frame(
    rest: Tensor, positions: Tensor, matched: Mapping[str, int], target: Mapping[str, Tensor], reference: Reference
) -> int:
    if reference not in ("auto", "zero", "first"):
        raise InputError(f"dataset.reference='{reference}' is not one of auto, zero, first")
    if reference != "auto":
        return -1 if reference == "zero" else 0
    zero = _deviation({joint: rest[number] for joint, number in matched.items()}, target)
    if zero <= _ACCEPTED:
        return -1
    frames = _deviation({joint: positions[:, number] for joint, number in matched.items()}, target)
    best = int(frames.argmin())
    return best if frames[best] < zero else -1


def _bases(points: Mapping[str, Tensor], target: Mapping[str, Tensor], neutral: bool) -> dict[str, Tensor]:
    """World rotation of every SMPL joint in the reference pose.

    Args:
        points: `[3]` positions of the matched joints in the reference pose.
        target: SMPL joints at rest.
        neutral: the pose is one of rest: head, collars and hands are as SMPL's, whatever directions their bones have
            in the two skeletons, and feet stand flat.
    """
    pelvis = _trunk_frame(points, "pelvis") @ _trunk_frame(target, "pelvis").T
    chest = _trunk_frame(points, "chest") @ _trunk_frame(target, "chest").T
    bases = {"pelvis": pelvis, "spine1": pelvis, "spine2": chest, "spine3": chest, "neck": chest, "head": chest}

    def along(parent: Tensor, start: str, end: str) -> Tensor:
        if start not in points or end not in points:
            return parent
        return _shortest_turn(parent @ (target[end] - target[start]), points[end] - points[start]) @ parent

    if not neutral:
        bases["neck"] = bases["head"] = along(chest, "neck", "head")
    for side in _SIDES:
        hip, knee, ankle, foot, collar, shoulder, elbow, wrist = (
            f"{side}_{part}" for part in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
        )
        bases[hip] = along(pelvis, hip, knee)
        bases[knee] = along(bases[hip], knee, ankle)
        bases[ankle] = _foot(bases[knee], pelvis, points, target, ankle, foot) if neutral else along(
            bases[knee], ankle, foot
        )  # fmt: skip
        bases[foot] = bases[ankle]
        bases[collar] = chest
        bases[shoulder] = along(chest, shoulder, elbow)
        bases[elbow] = along(bases[shoulder], elbow, wrist)
        bases[wrist] = bases[elbow]
    return bases


def _foot(
    shank: Tensor, pelvis: Tensor, points: Mapping[str, Tensor], target: Mapping[str, Tensor], ankle: str, foot: str
) -> Tensor:
    """A foot that stands flat and points where the source's does: toes of two skeletons lie at different heights."""
    if ankle not in points or foot not in points:
        return shank
    up = pelvis[:, 1]
    own, wanted = pelvis @ (target[foot] - target[ankle]), points[foot] - points[ankle]
    flat = [vector - (vector @ up) * up for vector in (own, wanted)]
    if flat[1].norm() < 0.2 * wanted.norm():
        return _shortest_turn(shank @ (target[foot] - target[ankle]), wanted) @ shank
    return _shortest_turn(flat[0], flat[1]) @ pelvis


def _local(carried: Mapping[str, Tensor], frames: int) -> Tensor:
    """`[T, 24, 3, 3]` local rotations from the world rotations of the joints that have one; others keep still."""
    world: list[Tensor] = []
    local = []
    for joint, (name, parent) in enumerate(zip(SMPL_JOINTS, SMPL_PARENTS)):
        above = world[parent] if joint else torch.eye(3, dtype=torch.float64).expand(frames, 3, 3)
        own = carried.get(name, above)
        world.append(own)
        local.append(above.transpose(-1, -2) @ own)
    return torch.stack(local, dim=1)
