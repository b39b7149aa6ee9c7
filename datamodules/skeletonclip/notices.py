"""What the owner of the data should know before a training."""

import logging
from collections.abc import Mapping
from pathlib import Path

from components.keypoints.annotations import SkeletonSet
from datamodules.skeletonclip.batch import Stage
from datamodules.skeletonclip.splits import absent_clips, shared_clips

log = logging.getLogger(__name__)


def warn_of_faults(skeletons: SkeletonSet, path: Path, splits: Mapping[Stage, str | None], separate: bool) -> None:
    """Warn of clips that are left out, show nobody, are missing, or are trained on and tested.

    Args:
        skeletons: all clips.
        path: where they are from.
        splits: of each stage; None for all clips.
        separate: training and test have no class in common, hence no clip.
    """
    skipped = skeletons.skipped
    if skipped:
        examples = "; ".join(f"{name}: {reason}" for name, reason in list(skipped.items())[:3])
        log.warning("%s: %d clips cannot be used and are left out (%s)", path, len(skipped), examples)
    empty = [clip.name for clip in skeletons.clips if not clip.shows_somebody]
    if empty:
        log.warning(
            "%s: nobody is seen in %d of %d clips (%s): their heatmaps are empty, take them out of the splits",
            path, len(empty), len(skeletons), ", ".join(empty[:3]),
        )  # fmt: skip
    for stage, split in splits.items():
        absent = absent_clips(skeletons, split)
        if absent:
            log.warning(
                "data.%s_split=%s names %d clips that are not there (%s)",
                stage, split, len(absent), ", ".join(absent[:3]),
            )  # fmt: skip
    if separate:
        return
    stages: tuple[Stage, ...] = ("val", "test")
    for stage in stages:
        train, other = splits["train"], splits[stage]
        shared = shared_clips(skeletons, train, other, f"data.{stage}_split")
        if shared:
            log.warning(
                "%d clips are in data.train_split and data.%s_split: a result on them says little",
                len(shared), stage,
            )  # fmt: skip
