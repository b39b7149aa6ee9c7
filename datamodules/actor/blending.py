"""Mixing two motions joint by joint: closed form, a whole batch at once.

The published loop interpolates the first frames and adds weighted differences to them; those cancel, so the result is
w1*V1 + w2*V2 exactly. Rotation vectors are never interpolated: real clips sit at the pi boundary, where neighbouring
frames have opposite signs.
"""

from typing import Literal

import torch
from torch import Tensor

from components.body.pose_format import PoseFormat, decode_rotations, encode_matrices
from components.errors import InputError
from components.geometry import rotations

Blend = Literal["linear6d", "renormalised6d", "slerp"]
LEFT_HIP, RIGHT_HIP = 1, 2


def check_blend(blend: str, pose_format: PoseFormat) -> None:
    """Raises InputError where a blend cannot work on a representation."""
    if blend not in ("linear6d", "renormalised6d", "slerp"):
        raise InputError(f"data.mix.blend='{blend}' is not one of linear6d, renormalised6d, slerp")
    if pose_format.pose_rep == "xyz" and blend != "linear6d":
        raise InputError(f"data.mix.blend={blend} needs rotations, but data.pose_rep=xyz; use data.mix.blend=linear6d")
    if pose_format.pose_rep in ("rotvec", "rotquat") and blend == "linear6d":
        raise InputError(
            f"data.mix.blend=linear6d cannot mix data.pose_rep={pose_format.pose_rep} (equal rotations have unequal "
            "numbers there); use data.mix.blend=slerp or data.pose_rep=rot6d"
        )


def blend_motions(first: Tensor, second: Tensor, weight: Tensor, pose_format: PoseFormat, blend: Blend) -> Tensor:
    """Mix motions.

    Args:
        first, second: `[S, J, F, T]` in the representation of `pose_format`.
        weight: `[S, J]` share of the first motion per row.
        pose_format: tells rotations from the translation row, which is always mixed linearly.
        blend: `linear6d` mixes features as they are (published; the result is no valid rotation), `renormalised6d`
            projects the linear mix of 6D features back onto rotations, `slerp` goes along the great arc that is the
            shorter one in the first frame, so that the result is as continuous as its sources.

    Returns:
        `[S, J, F, T]`.
    """
    share = weight[:, :, None, None]
    if blend == "linear6d":
        return torch.lerp(second, first, share)
    count = pose_format.joint_rows
    mixed = _blend_rotations(first[:, :count], second[:, :count], share[:, :count], pose_format.pose_rep, blend)
    if count == first.shape[1]:
        return mixed
    return torch.cat([mixed, torch.lerp(second[:, count:], first[:, count:], share[:, count:])], dim=1)


def _blend_rotations(first: Tensor, second: Tensor, share: Tensor, pose_rep: str, blend: Blend) -> Tensor:
    # Features last in memory too: the conversions are several times faster on it.
    one, two = first.transpose(2, 3).contiguous(), second.transpose(2, 3).contiguous()
    if blend == "slerp":
        one, two = (rotations.matrix_to_quaternion(decode_rotations(features, pose_rep)) for features in (one, two))
        matrices = rotations.quaternion_to_matrix(_steady_slerp(one, two, 1 - share))
    else:
        if pose_rep != "rot6d":
            one, two = (rotations.matrix_to_rot6d(decode_rotations(features, pose_rep)) for features in (one, two))
        matrices = rotations.rot6d_to_matrix(torch.lerp(two, one, share))
    return encode_matrices(matrices, pose_rep).transpose(2, 3).contiguous()


def _steady_slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Spherical interpolation of quaternion sequences `[..., T, 4]` that does not change sides on the way.

    The shorter arc is taken in the first frame and followed from there: two people who turn apart by more than half a
    circle would otherwise make their mixture spin round within one frame.
    """
    relative = rotations.quaternion_raw_multiply(rotations.quaternion_invert(start), end)
    ahead = (relative[..., 1:, :] * relative[..., :-1, :]).sum(-1, keepdim=True)
    flips = torch.cat([relative[..., :1, :1], ahead], dim=-2)
    signs = torch.where(flips < 0, -torch.ones_like(flips), torch.ones_like(flips)).cumprod(dim=-2)
    step = rotations.quaternion_to_axis_angle(relative * signs) * weight
    return rotations.quaternion_raw_multiply(start, rotations.axis_angle_to_quaternion(step))


def align_heading(reference: Tensor, motion: Tensor, pose_format: PoseFormat) -> Tensor:
    """Turn motions about the vertical (y) axis so that they face as the reference does in the first frame.

    Without this the mean of two opposite headings collapses. Motions without global orientation (`glob=false`) come
    back unchanged, as does one whose body lies along the vertical axis (no heading).

    Args:
        reference, motion: `[S, J, F, T]`.
        pose_format: the representation of both.

    Returns:
        The turned motion `[S, J, F, T]`.
    """
    if pose_format.pose_rep != "xyz" and not pose_format.glob:
        return motion
    wanted, present = (_heading(features[..., 0], pose_format) for features in (reference, motion))
    # Angle from one planar vector to the other; 0 where one of them is too short to tell.
    sine = present[:, 1] * wanted[:, 0] - present[:, 0] * wanted[:, 1]
    cosine = (present * wanted).sum(-1)
    known = (present.norm(dim=-1) > 1e-3) & (wanted.norm(dim=-1) > 1e-3)
    turn = rotations.axis_rotation("Y", torch.where(known, torch.atan2(sine, cosine), torch.zeros_like(sine)))
    if pose_format.pose_rep == "xyz":
        return torch.einsum("sab,sjbt->sjat", turn, motion)
    turned = motion.clone()
    root = decode_rotations(motion[:, 0].transpose(1, 2), pose_format.pose_rep)
    turned[:, 0] = encode_matrices(turn[:, None] @ root, pose_format.pose_rep).transpose(1, 2)
    if pose_format.has_translation_row:
        turned[:, -1, :3] = turn @ motion[:, -1, :3]
    return turned


def _heading(pose: Tensor, pose_format: PoseFormat) -> Tensor:
    """Horizontal direction (x, z) of one frame `[S, J, F]`: of the body's forward axis, or across the hips for xyz."""
    if pose_format.pose_rep == "xyz":
        return (pose[:, LEFT_HIP] - pose[:, RIGHT_HIP])[:, [0, 2]]
    forward = decode_rotations(pose[:, 0], pose_format.pose_rep)[..., 2]
    return forward[:, [0, 2]]
