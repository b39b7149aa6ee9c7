"""Pairs of actions as classes of their own: mixtures of clips that are drawn once, blended when they are asked for.

A mixture is a function of its number alone: which two clips, which frames of them and which share follow from the
constant seed, so every rank, worker and epoch sees the same one and none is kept in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.body.pose_format import PoseFormat
from components.errors import InputError
from datamodules.actor.batch import MotionItem
from datamodules.actor.collate import collate_motions
from datamodules.actor.datasets import MotionDataset
from datamodules.actor.masks import class_masks, leg_action
from datamodules.actor.mixing import MixingCollate, class_label, pair_labels
from datamodules.samplers import Draw, fold_seed

# The published pairs: what the legs do, what the arms do.
HUMANACT12_PAIRS: tuple[tuple[str, str], ...] = (
    ("walk", "drink"), ("walk", "lift_dumbbell"), ("walk", "phone"), ("walk", "throw"), ("run", "phone"),
    ("run", "throw"), ("sit", "phone"), ("sit", "eat"), ("sit", "drink"),
)  # fmt: skip


class Mixture(NamedTuple):
    """What one mixture is made of."""

    pair: int
    """Number of the pair; its label is the number of single actions plus this."""
    first: int
    """Place of the first clip among the clips of the split."""
    second: int
    seed: int


@dataclass(frozen=True)
class CompositionalClasses:
    """How pairs of actions become classes (the compositional variant of the mixing fork of ACTOR).

    The labels of the data keep their places, pair k gets label C + k. Of each action `clips_per_class` clips are drawn
    without replacement; every clip of the one is mixed with every clip of the other, `alphas_per_pair` times.

    Args:
        num_pairs: number of pairs.
        pairs: ordered pairs, as names or labels. None takes the published nine where the data have all their actions,
            else leg actions with arm actions, by how much the legs move.
        classes: only these actions, names or labels, are trained on and paired; None = all.
        clips_per_class: clips of each action that are mixed (fewer where the data have fewer).
        alphas_per_pair: mixtures of the same two clips.
        seed: of clips, frames and shares.
        alpha, alpha_value, alpha_std, alpha_low, alpha_high, alpha_clip, blend, masks, mask_table, leg_classes,
            align_heading, length, translation_weight: see `MixingCollate`.
        validation: mixtures of the held-out clips join the evaluation split.

    Raises:
        InputError: a value is out of range.
    """

    num_pairs: int = 9
    pairs: list[list[str | int]] | None = None
    classes: list[str | int] | None = None
    clips_per_class: int = 10
    alphas_per_pair: int = 2
    seed: int = 1000
    alpha: Literal["fixed", "uniform", "normal"] = "normal"
    alpha_value: float = 0.5
    alpha_std: float = 0.1
    alpha_low: float = 0.0
    alpha_high: float = 1.0
    alpha_clip: bool = True
    blend: Literal["linear6d", "renormalised6d", "slerp"] = "linear6d"
    masks: Literal["auto", "table", "data"] = "auto"
    mask_table: str | None = None
    leg_classes: int | None = None
    align_heading: bool = False
    length: Literal["min", "first"] = "min"
    translation_weight: Literal["alpha", "pelvis"] = "alpha"
    validation: bool = False

    def __post_init__(self) -> None:
        for key in ("num_pairs", "clips_per_class", "alphas_per_pair"):
            if getattr(self, key) < 1:
                raise InputError(f"data.mix.{key}={getattr(self, key)} must be at least 1")
        if self.seed < 0:
            raise InputError(f"data.mix.seed={self.seed} must be a whole number from 0 on")
        if self.pairs is not None and len(self.pairs) != self.num_pairs:
            raise InputError(
                f"data.mix.pairs names {len(self.pairs)} pairs, but data.mix.num_pairs={self.num_pairs}.\n"
                f"Set data.mix.num_pairs={len(self.pairs)} and data.num_classes=<actions of the data + pairs>"
            )

    def num_single(self, num_classes: int) -> int:
        """Actions of the data when there are `num_classes` classes with the pairs.

        Raises:
            InputError: nothing is left.
        """
        if num_classes - self.num_pairs < 2:
            raise InputError(
                f"data.num_classes={num_classes} counts the actions of the data and {self.num_pairs} pairs of them "
                "(data.mix.num_pairs);\nset it to their sum (12 actions and 9 pairs: 21)"
            )
        return num_classes - self.num_pairs

    def kept_classes(self, names: Sequence[str]) -> list[int]:
        """Labels that are trained on.

        Raises:
            InputError: an unknown action.
        """
        if self.classes is None:
            return list(range(len(names)))
        return sorted({class_label(action, names, "classes") for action in self.classes})

    def choose_pairs(self, names: Sequence[str], leg_motion: Tensor) -> list[tuple[int, int]]:
        """Labels of the ordered pairs.

        Args:
            names: single actions by label.
            leg_motion: `[C]`, see `masks.leg_motion`.

        Raises:
            InputError: unknown actions, an action with itself, a pair twice, or fewer pairs than asked for.
        """
        kept = self.kept_classes(names)
        named: Sequence[Sequence[str | int]] | None = self.pairs
        if named is None and len(HUMANACT12_PAIRS) == self.num_pairs:
            published = {action for pair in HUMANACT12_PAIRS for action in pair}
            named = HUMANACT12_PAIRS if published <= {names[label] for label in kept} else None
        if named is not None:
            return _checked_pairs(named, names, kept)
        pairs = leg_arm_pairs(leg_motion, kept, self.leg_classes, self.num_pairs)
        if len(pairs) < self.num_pairs:
            raise InputError(
                f"data.mix.num_pairs={self.num_pairs}: the data have {len(pairs)} pairs of a leg and an arm action.\n"
                "Lower it and data.num_classes with it, set data.mix.leg_classes, or name pairs with "
                f"data.mix.pairs=[[{names[0]}, {names[-1]}], ...]"
            )
        return pairs

    def mixer(self, names: Sequence[str], pose_format: PoseFormat, leg_motion: Tensor) -> MixingCollate:
        """What blends two clips.

        Raises:
            InputError: see `MixingCollate`.
        """
        mixer = MixingCollate(
            names, pose_format, leg_motion, blend=self.blend, alpha=self.alpha, alpha_value=self.alpha_value,
            alpha_std=self.alpha_std, alpha_low=self.alpha_low, alpha_high=self.alpha_high, alpha_clip=self.alpha_clip,
            masks=self.masks, mask_table=self.mask_table, leg_classes=self.leg_classes,
            align_heading=self.align_heading, length=self.length, translation_weight=self.translation_weight,
        )  # fmt: skip
        if self.classes is not None:
            # The leg actions of those that are mixed: others may move their legs more.
            members = self.kept_classes(names)
            mixer.masks = class_masks(names, leg_motion, self.masks, self.mask_table, self.leg_classes, members)
        return mixer


class CompositionalDataset(Dataset):
    """The clips of a split, and after them the mixtures of their pairs.

    Args:
        clips: single clips of the split; of those only the classes of `settings` are used.
        settings: how pairs become classes.
        mixer: blends two clips, made by `settings.mixer`.
        pairs: labels of the ordered pairs, made by `settings.choose_pairs`.
        names: single actions by label.

    Raises:
        InputError: the split has no clip of an action that is paired.
    """

    def __init__(
        self,
        clips: MotionDataset,
        settings: CompositionalClasses,
        mixer: MixingCollate,
        pairs: Sequence[tuple[int, int]],
        names: Sequence[str],
    ) -> None:
        self.clips = clips
        self.settings = settings
        self.mixer = mixer
        self.pairs = list(pairs)
        self.num_single = len(names)
        kept = clips.indices[np.isin(clips.labels, settings.kept_classes(names))]
        # The single clips alone, for whoever compares with real motions.
        self.originals = MotionDataset(clips.clips, kept, clips.pose_format, clips.sampling, clips.centred)
        self._chosen = {label: self._draw_clips(label, names) for pair in pairs for label in pair}
        sizes = [len(self._chosen[a]) * len(self._chosen[b]) * settings.alphas_per_pair for a, b in self.pairs]
        self._starts = np.cumsum([0, *sizes])

    def _draw_clips(self, label: int, names: Sequence[str]) -> list[int]:
        members = np.flatnonzero(self.clips.labels == label)
        if not len(members):
            raise InputError(
                f"data.mix: '{names[label]}' is to be mixed, but a split has no clip of it; choose other "
                "data.mix.pairs, or another data.val_fraction"
            )
        generator = torch.Generator().manual_seed(fold_seed(self.settings.seed, label))
        order = torch.randperm(len(members), generator=generator).numpy()
        return sorted(members[order[: self.settings.clips_per_class]].tolist())

    def __len__(self) -> int:
        return len(self.originals) + int(self._starts[-1])

    @property
    def labels(self) -> np.ndarray:
        """Class of every sample, `[N]` int64."""
        mixed = np.repeat(np.arange(len(self.pairs)) + self.num_single, np.diff(self._starts))
        return np.concatenate([self.originals.labels, mixed]).astype(np.int64)

    def mixture(self, number: int) -> Mixture:
        """What mixture `number`, 0 to the number of mixtures - 1, is made of."""
        pair = int(np.searchsorted(self._starts, number, side="right")) - 1
        first, second = (self._chosen[label] for label in self.pairs[pair])
        couple, turn = divmod(number - int(self._starts[pair]), self.settings.alphas_per_pair)
        row, column = divmod(couple, len(second))
        return Mixture(
            pair, first[row], second[column], fold_seed(self.settings.seed, *self.pairs[pair], row, column, turn)
        )

    def __getitem__(self, draw: Draw | int) -> MotionItem:
        index, seed = draw if isinstance(draw, tuple) else (draw, 0)
        if index < len(self.originals):
            return self.originals[Draw(index, seed)]
        return {**self._blend(self.mixture(index - len(self.originals))), "seed": seed}

    def _blend(self, mixture: Mixture) -> MotionItem:
        # The frames of a clip are drawn once for all of its mixtures.
        sources = collate_motions(
            [self.clips[Draw(clip, fold_seed(self.settings.seed, clip))] for clip in (mixture.first, mixture.second)]
        )
        generator = torch.Generator().manual_seed(mixture.seed)
        alpha = self.mixer.draw_alpha(1, generator)
        made = self.mixer.mix(sources, torch.tensor([0]), torch.tensor([1]), alpha)
        return {
            "motion": made["motion"][0, ..., : int(made["lengths"][0])],
            "action": self.num_single + mixture.pair,
            "seed": mixture.seed,
            "mix_alpha": float(alpha[0]),
        }


def pair_names(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Names of pair classes: `walk+drink`."""
    return tuple(f"{names[first]}+{names[second]}" for first, second in pairs)


def leg_arm_pairs(
    leg_motion: Tensor, classes: Sequence[int], leg_classes: int | None = None, limit: int | None = None
) -> list[tuple[int, int]]:
    """Pairs of a leg action and an arm action, in the order of their labels.

    Args:
        leg_motion: `[C]`, see `masks.leg_motion`.
        classes: labels that are paired.
        leg_classes: how many of them are leg actions; None finds the largest gap.
        limit: so many at most; chosen so that no action comes much more often than another.
    """
    members = torch.as_tensor(list(classes))
    is_leg = leg_action(leg_motion[members], leg_classes)
    legs, arms = members[is_leg].tolist(), members[~is_leg].tolist()
    if not legs or not arms:
        return []
    # Diagonals of the table of legs x arms; long ones, so that a step is never taken twice.
    steps = np.lcm(len(legs), len(arms))
    rounds = len(legs) * len(arms) // steps
    pairs = [(legs[n % len(legs)], arms[(n + shift) % len(arms)]) for shift in range(rounds) for n in range(steps)]
    return sorted(pairs[:limit])


def _checked_pairs(
    named: Sequence[Sequence[str | int]], names: Sequence[str], kept: Sequence[int]
) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for pair in named:
        first, second = pair_labels(pair, names)
        if (first, second) in pairs:
            raise InputError(f"data.mix.pairs: {list(pair)} is named twice")
        if first not in kept or second not in kept:
            raise InputError(f"data.mix.pairs: {list(pair)} has an action that data.mix.classes leaves out")
        pairs.append((first, second))
    return pairs
