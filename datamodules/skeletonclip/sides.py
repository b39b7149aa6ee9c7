"""The clips of training, validation and test with the classes that each is judged among."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet
from datamodules.skeletonclip.batch import Stage
from datamodules.skeletonclip.splits import hold_out_classes, keep_classes, new_labels, select_split
from datamodules.skeletonclip.texts import ClassTexts, check_labels

Among = Literal["unseen", "all"]


@dataclass(frozen=True, eq=False)
class Side:
    """The clips of a stage.

    Args:
        clips: in the order of the file.
        labels: `[N]` int64, places in `texts`.
        texts: the classes that a clip of this stage may be of.
        split: its name, None for all clips of the file.
    """

    clips: list[SkeletonClip]
    labels: np.ndarray
    texts: ClassTexts
    split: str | None

    @property
    def names(self) -> list[str]:
        """Of the clips."""
        return [clip.name for clip in self.clips]

    def described(self) -> dict[str, Any]:
        """Its size in plain containers."""
        frames = np.array([clip.total_frames for clip in self.clips])
        counts = np.bincount(self.labels, minlength=len(self.texts)).tolist()
        return {
            "split": self.split,
            "clips": len(self.clips),
            "clips_per_class": dict(zip(self.texts.names, counts)),
            "frames_per_clip": {
                "min": int(frames.min()), "median": float(np.median(frames)), "max": int(frames.max()),
            },
        }  # fmt: skip


def make_sides(
    skeletons: SkeletonSet,
    texts: ClassTexts,
    splits: dict[Stage, str | None],
    unseen_classes: Sequence[str | int] = (),
    unseen_among: Among = "unseen",
) -> dict[Stage, Side]:
    """Sides of a set.

    With unseen classes, training and validation have the other classes, counted anew from 0; the test has clips of the
    unseen classes alone, which are to be told from one another (`unseen`) or from all classes (`all`, where labels are
    those of the file).

    Args:
        skeletons: all clips.
        texts: of all classes.
        splits: name of the split of each stage.
        unseen_classes: names or numbers; none: every side has all classes.
        unseen_among: what an unseen clip may be taken for.

    Raises:
        InputError: no such split or class, a split without clips, a label without text, one unseen class among itself.
    """
    if unseen_among not in ("unseen", "all"):
        raise InputError(f"data.unseen_among='{unseen_among}' is not one of unseen, all")
    labels = skeletons.labels
    held_out = hold_out_classes(unseen_classes, texts) if unseen_classes else None
    if held_out is not None and len(held_out.unseen) == 1 and unseen_among == "unseen":
        raise InputError(
            f"data.unseen_classes={list(unseen_classes)}: one class among itself is always right.\n"
            "Name two or more, or have it told from all classes with data.unseen_among=all"
        )
    sides: dict[Stage, Side] = {}
    for stage, split in splits.items():
        key = f"data.{stage}_split"
        places = select_split(skeletons, split, key)
        check_labels(labels[places], [skeletons.clips[place].name for place in places], texts)
        candidates: Sequence[int] = range(len(texts))
        if held_out is not None:
            wanted = held_out.unseen if stage == "test" else held_out.seen
            places = keep_classes(places, labels, wanted, key)
            candidates = candidates if stage == "test" and unseen_among == "all" else wanted
        own_texts = texts if len(candidates) == len(texts) else texts.take(candidates)
        own_labels = new_labels(candidates, len(texts))[labels[places]]
        sides[stage] = Side([skeletons.clips[place] for place in places], own_labels, own_texts, split)
    return sides
