"""The mixing collate: turns a batch of originals into synthetic motions that do two actions, plus the originals."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.spelling import did_you_mean
from datamodules.actor.batch import MotionBatch, MotionItem, frame_mask
from datamodules.actor.blending import Blend, align_heading, blend_motions, check_blend
from datamodules.actor.collate import collate_motions
from datamodules.actor.masks import blend_weights, class_masks, leg_action
from datamodules.samplers import fold_seed


class MixingCollate:
    """Makes `round(ratio * originals)` synthetic motions per batch, puts them first and the originals after them.

    A synthetic motion has a first motion, and a partner drawn from the batch: a uniform other class, then a uniform
    clip of it. Its labels are ordered: (class of the first, class of the partner). With ratio 1 every original is first
    once. Originals of classes that have no allowed partner in the batch are never first.

    Length: `length=min` keeps the frames that both motions have; `length=first` lasts as long as the first motion, the
    partner is cropped or holds its last frame. The mask tells the result's frames; the rest is zero.

    All chance comes from the seeds of the items, so it is a function of (seed, epoch, number of the batch), whichever
    worker does it.

    Args:
        action_names: names by label.
        pose_format: the representation; any, but see `blend`.
        leg_motion: `[C]` leg motion per class, for classes without a row in the mask table.
        enabled: false leaves only originals (the control experiment).
        blend: `linear6d`, `renormalised6d` or `slerp`; `rotvec` and `rotquat` need one of the last two.
        alpha: share of the first motion before the masks: `fixed`, `uniform` or `normal`.
        alpha_value: the fixed share, or the mean of `normal`.
        alpha_std: standard deviation of `normal`.
        alpha_low, alpha_high: bounds of `uniform`, clipping bounds of `normal`.
        alpha_clip: false leaves `normal` unclipped.
        masks: `table` (every class must have a row), `data` (leg or arm mask by leg motion), `auto` (table, else data).
        mask_table: YAML file of masks; None = the shipped one.
        leg_classes: number of leg actions for masks from data; None finds the largest gap.
        pairs: allowed pairs, as names or labels; `leg_arm` allows a leg action with an arm action, by how much the legs
            move; None allows all.
        ordered_pairs: whether (a, b) leaves (b, a) out; of `leg_arm` the leg action is then first.
        align_heading: turn the partner about the vertical axis to face as the first motion does.
        length: `min` or `first`.
        translation_weight: share in the translation row: `alpha`, or as the `pelvis`.
        ratio: synthetic motions per original.
        keep_originals: false leaves only the synthetic ones (where there are any).

    Raises:
        InputError: a value is out of range, an action is unknown, `pairs` leaves none, or blend and representation do
            not go together.
    """

    def __init__(
        self,
        action_names: Sequence[str],
        pose_format: PoseFormat,
        leg_motion: Tensor | None = None,
        enabled: bool = True,
        blend: Literal["linear6d", "renormalised6d", "slerp"] = "linear6d",
        alpha: Literal["fixed", "uniform", "normal"] = "fixed",
        alpha_value: float = 0.5,
        alpha_std: float = 0.1,
        alpha_low: float = 0.0,
        alpha_high: float = 1.0,
        alpha_clip: bool = True,
        masks: Literal["auto", "table", "data"] = "auto",
        mask_table: str | None = None,
        leg_classes: int | None = None,
        pairs: list[list[str | int]] | Literal["leg_arm"] | None = None,
        ordered_pairs: bool = False,
        align_heading: bool = False,
        length: Literal["min", "first"] = "min",
        translation_weight: Literal["alpha", "pelvis"] = "alpha",
        ratio: float = 1.0,
        keep_originals: bool = True,
    ) -> None:
        check_blend(blend, pose_format)
        _check_choice("alpha", alpha, ("fixed", "uniform", "normal"))
        _check_choice("masks", masks, ("auto", "table", "data"))
        _check_choice("length", length, ("min", "first"))
        _check_choice("translation_weight", translation_weight, ("alpha", "pelvis"))
        if not 0 <= alpha_low <= alpha_high <= 1 or not 0 <= alpha_value <= 1 or alpha_std < 0:
            raise InputError(
                f"data.mix: alpha_value={alpha_value} must lie in 0..1, alpha_low={alpha_low} and "
                f"alpha_high={alpha_high} too and in order, alpha_std={alpha_std} must not be negative"
            )
        if ratio < 0:
            raise InputError(f"data.mix.ratio={ratio} must not be negative (synthetic motions per original)")
        self.pose_format = pose_format
        self.enabled = enabled
        self.blend: Blend = blend
        self.alpha = alpha
        self.alpha_value, self.alpha_std = alpha_value, alpha_std
        self.alpha_low, self.alpha_high, self.alpha_clip = alpha_low, alpha_high, alpha_clip
        self.align_heading = align_heading
        self.length = length
        self.translation_weight = translation_weight
        self.ratio = ratio
        self.keep_originals = keep_originals
        self.masks = class_masks(action_names, leg_motion, masks, mask_table, leg_classes)
        self.allowed = _allowed_pairs(action_names, pairs, ordered_pairs, leg_motion, leg_classes)
        if enabled and pairs is not None and not bool(self.allowed.any()):
            raise InputError(
                f"data.mix.pairs={pairs} allows no pair of {', '.join(action_names)}, so nothing would be mixed.\n"
                "Name pairs, set data.mix.leg_classes, or take mix=none"
            )

    def __call__(self, items: Sequence[MotionItem]) -> MotionBatch:
        """Items of one batch, any order and number of classes, to `[synthetic, originals]`."""
        originals = collate_motions(items)
        if not self.enabled:
            return originals
        generator = torch.Generator().manual_seed(fold_seed(*(item["seed"] for item in items)))
        first, partner = self.draw_pairs(originals["action"], generator)
        if not len(first):
            return originals
        synthetic = self.mix(originals, first, partner, self.draw_alpha(len(first), generator))
        return _concatenate(synthetic, originals) if self.keep_originals else synthetic

    def draw_pairs(self, action: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Rows of the first motions and of their partners, `[S]` each, from the labels `[B]` of a batch."""
        allowed = self.allowed[action[:, None], action[None, :]]
        eligible = allowed.any(dim=1).nonzero().squeeze(1)
        whole, rest = divmod(round(self.ratio * len(eligible)), max(len(eligible), 1))
        chosen = torch.randperm(len(eligible), generator=generator)[:rest].sort().values
        first = torch.cat([eligible.repeat(whole), eligible[chosen]])
        if not len(first):
            return first, first
        # Every allowed class has the same chance, however many clips of it the batch holds.
        clips_of_class = (action[:, None] == action[None, :]).sum(dim=0)
        weights = allowed[first].double() / clips_of_class
        return first, torch.multinomial(weights, 1, generator=generator).squeeze(1)

    def draw_alpha(self, count: int, generator: torch.Generator) -> Tensor:
        """Shares of the first motions, `[count]`."""
        if self.alpha == "fixed":
            return torch.full((count,), self.alpha_value)
        if self.alpha == "uniform":
            return self.alpha_low + (self.alpha_high - self.alpha_low) * torch.rand(count, generator=generator)
        drawn = self.alpha_value + self.alpha_std * torch.randn(count, generator=generator)
        return drawn.clamp(self.alpha_low, self.alpha_high) if self.alpha_clip else drawn

    def mix(self, originals: MotionBatch, first: Tensor, partner: Tensor, alpha: Tensor) -> MotionBatch:
        """Synthetic motions of given pairs, without chance.

        Args:
            originals: a batch `[B, J, F, T]`.
            first, partner: `[S]` rows of the batch.
            alpha: `[S]` shares of the first motions.
        """
        action, second_action = originals["action"][first], originals["action"][partner]
        one, two = originals["motion"][first], originals["motion"][partner]
        lengths, partner_lengths = originals["lengths"][first], originals["lengths"][partner]
        if self.length == "min":
            lengths = torch.minimum(lengths, partner_lengths)
        elif bool((partner_lengths < lengths).any()):
            held = torch.minimum(torch.arange(one.shape[-1]), partner_lengths[:, None] - 1)
            two = two.gather(3, held[:, None, None, :].expand_as(two))
        if self.align_heading:
            two = align_heading(one, two, self.pose_format)
        mixed = blend_motions(one, two, self.weights(action, second_action, alpha), self.pose_format, self.blend)
        mask = frame_mask(lengths, one.shape[-1])
        if not mask.all():
            mixed = mixed.masked_fill(~mask[:, None, None, :], 0.0)
        return {
            "motion": mixed,
            "mask": mask,
            "lengths": lengths,
            "action": action,
            "second_action": second_action,
            "mix_alpha": alpha,
        }

    def weights(self, action: Tensor, second_action: Tensor, alpha: Tensor) -> Tensor:
        """Share of the first motion in every row of the representation, `[S, J]`."""
        share = blend_weights(self.masks[action], self.masks[second_action], alpha)
        if self.pose_format.pose_rep == "xyz":
            return share
        rows = share if self.pose_format.glob else share[:, 1:]
        if not self.pose_format.has_translation_row:
            return rows
        last = share[:, :1] if self.translation_weight == "pelvis" else alpha[:, None]
        return torch.cat([rows, last], dim=1)


def _concatenate(first: MotionBatch, second: MotionBatch) -> MotionBatch:
    return {
        "motion": torch.cat([first["motion"], second["motion"]]),
        "mask": torch.cat([first["mask"], second["mask"]]),
        "lengths": torch.cat([first["lengths"], second["lengths"]]),
        "action": torch.cat([first["action"], second["action"]]),
        "second_action": torch.cat([first["second_action"], second["second_action"]]),
        "mix_alpha": torch.cat([first["mix_alpha"], second["mix_alpha"]]),
    }


def _allowed_pairs(
    names: Sequence[str],
    pairs: Sequence[Sequence[str | int]] | str | None,
    ordered: bool,
    leg_motion: Tensor | None,
    leg_classes: int | None,
) -> Tensor:
    """`[C, C]` bool: may the row's class be first with the column's class as partner."""
    if pairs is None:
        return ~torch.eye(len(names), dtype=torch.bool)
    if pairs == "leg_arm":
        if leg_motion is None:
            raise ValueError("leg_arm needs the leg motion of the classes")
        is_leg = leg_action(leg_motion, leg_classes)
        both = is_leg[:, None] & ~is_leg[None, :]
        return both if ordered else both | both.T
    if isinstance(pairs, str):
        raise InputError(f"data.mix.pairs='{pairs}': expected leg_arm, or pairs like [[walk, drink]]")
    allowed = torch.zeros(len(names), len(names), dtype=torch.bool)
    for first, second in (pair_labels(pair, names) for pair in pairs):
        allowed[first, second] = True
        if not ordered:
            allowed[second, first] = True
    return allowed


def class_label(action: str | int, names: Sequence[str], key: str = "pairs") -> int:
    """The label of an action that is given as a name or as a label.

    Raises:
        InputError: there is no such action; `key` is the one below data.mix that named it.
    """
    if isinstance(action, int) and 0 <= action < len(names):
        return action
    if action in names:
        return list(names).index(str(action))
    hint = did_you_mean(action, names)
    raise InputError(f"data.mix.{key}: unknown action '{action}'{hint}; known are {', '.join(names)}")


def pair_labels(pair: Sequence[str | int], names: Sequence[str]) -> tuple[int, int]:
    """Labels of two actions that are given as names or labels.

    Raises:
        InputError: no pair, an unknown action, or an action with itself.
    """
    if isinstance(pair, str) or len(pair) != 2:
        raise InputError(f"data.mix.pairs: found {pair!r}, expected pairs like [walk, drink]")
    first, second = (class_label(action, names) for action in pair)
    if first == second:
        raise InputError(f"data.mix.pairs: {list(pair)} names the same action twice")
    return first, second


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"data.mix.{key}='{value}' is not one of {', '.join(choices)}")
