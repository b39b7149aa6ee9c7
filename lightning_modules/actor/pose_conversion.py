"""Motions of one pose format as those of another, so that one recogniser judges models trained on other formats."""

import torch
from torch import Tensor

from components.body.pose_format import PoseFormat, decode_rotations, encode_matrices, encode_rotations
from components.errors import InputError


def convert_motion(motion: Tensor, mask: Tensor, source: PoseFormat, target: PoseFormat) -> Tensor:
    """Motions in another representation.

    Features stay as they are, bit for bit, where both formats share the representation. Otherwise rotations are
    decoded (rot6d through Gram-Schmidt) and encoded again. The translation row may be dropped but not invented; a
    global orientation that the source leaves out becomes its `glob_rot`, which stands for it in positions too.

    Args:
        motion: `[B, J, F, T]` in the source format.
        mask: bool `[B, T]`, True = real frame.
        source: format of the motion.
        target: format wanted.

    Returns:
        `[B, J', F', T]`; zero in frames that are not real, where anything was converted.

    Raises:
        InputError: the target holds something that the source does not know: translation, or positions instead of
            rotations.
    """
    if "xyz" in (source.pose_rep, target.pose_rep):
        if source.pose_rep != target.pose_rep:
            raise InputError(
                f"motions in pose_rep={source.pose_rep} cannot be turned into pose_rep={target.pose_rep}.\n"
                f"Train the recogniser with data.pose_rep={source.pose_rep}"
            )
        return motion
    if target.has_translation_row and not source.has_translation_row:
        raise InputError(
            "these motions have no translation (data.translation=false), and the recogniser was trained with it.\n"
            "Train the recogniser with data.translation=false"
        )
    if (source.num_joints, source.pose_rep, source.glob) == (target.num_joints, target.pose_rep, target.glob):
        return motion
    frames = motion.permute(0, 3, 1, 2)  # batch frames joints feats
    frames, translation = source.split_translation(frames)
    if source.glob and not target.glob:
        frames = frames[:, :, 1:]
    if source.pose_rep != target.pose_rep:
        frames = _reencode(frames, mask, source.pose_rep, target.pose_rep)
    if target.glob and not source.glob:
        constant = encode_rotations(frames.new_tensor(list(source.glob_rot)), target.pose_rep)
        frames = torch.cat([constant.expand(*frames.shape[:2], 1, -1), frames], dim=2)
    if target.has_translation_row and translation is not None:
        missing = target.num_feats - translation.shape[-1]
        row = torch.nn.functional.pad(translation, (0, missing)).unsqueeze(2)
        frames = torch.cat([frames, row], dim=2)
    return frames.masked_fill(~mask[:, :, None, None], 0.0).permute(0, 2, 3, 1).contiguous()


def _reencode(features: Tensor, mask: Tensor, source: str, target: str) -> Tensor:
    """`[B, T, J, F]` of one representation to another; padding, which may be no rotation, is taken as the identity."""
    identity = encode_rotations(features.new_zeros(3), source)
    matrix = decode_rotations(torch.where(mask[:, :, None, None], features, identity), source)
    return encode_matrices(matrix, target)
