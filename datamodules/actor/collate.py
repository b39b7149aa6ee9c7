"""Motions of several lengths in one batch."""

from collections.abc import Sequence

import torch

from datamodules.actor.batch import MotionBatch, MotionItem, frame_mask


def collate_motions(items: Sequence[MotionItem]) -> MotionBatch:
    """Pad with zeros to the longest motion; the mask is True on the frames that an item has."""
    motions = [item["motion"] for item in items]
    lengths = torch.tensor([motion.shape[-1] for motion in motions])
    longest = int(lengths.max())
    batch = motions[0].new_zeros(len(motions), *motions[0].shape[:-1], longest)
    for row, motion in enumerate(motions):
        batch[row, ..., : motion.shape[-1]] = motion
    action = torch.tensor([item["action"] for item in items])
    return {
        "motion": batch,
        "mask": frame_mask(lengths, longest),
        "lengths": lengths,
        "action": action,
        "second_action": action.clone(),
        "mix_alpha": torch.tensor([item.get("mix_alpha", 1.0) for item in items], dtype=torch.float32),
    }
