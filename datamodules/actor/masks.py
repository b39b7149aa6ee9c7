"""Which joints an action claims when two motions are mixed: from a table, or from how much the legs move."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import yaml
from torch import Tensor

from components.body.skeleton import LEG_JOINTS, SMPL_JOINTS
from components.errors import InputError
from datamodules.actor.clips import MotionClips

MASK_TABLE = Path(__file__).with_name("mask_table.yaml")
MaskSource = Literal["auto", "table", "data"]
# Masks of the rule for classes that no table knows, SMPL joint order.
LEG_MASK = (.1, .8, .8, .1, .8, .8, .1, .9, .9, .1, 1., 1., *[.1] * 12)  # fmt: skip
ARM_MASK = (*[.1] * 13, .8, .8, .1, .8, .8, .8, .8, .9, .9, 1., 1.)  # fmt: skip


def load_mask_table(path: str | Path | None = None) -> dict[str, list[float]]:
    """Masks by action name, 24 numbers in 0..1 each, from a YAML file; None is the shipped table.

    Raises:
        InputError: the file is missing or malformed.
    """
    path = MASK_TABLE if path is None else Path(path).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"data.mix.mask_table: cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"data.mix.mask_table={path}: expected lines 'action: [24 numbers]'")
    for name, row in content.items():
        good = isinstance(row, list) and len(row) == len(SMPL_JOINTS)
        if not good or not all(isinstance(x, int | float) and 0 <= x <= 1 for x in row):
            raise InputError(f"data.mix.mask_table={path}: '{name}' needs {len(SMPL_JOINTS)} numbers between 0 and 1")
    return {str(name): [float(x) for x in row] for name, row in content.items()}


def leg_motion(clips: MotionClips, indices: np.ndarray, num_classes: int) -> Tensor:
    """How much the legs move, per class `[C]`: mean of |V[t] - V[0]| over clips, frames, leg joints, 6D features.

    A class without clips has 0.
    """
    totals, counts = torch.zeros(num_classes, dtype=torch.float64), torch.zeros(num_classes, dtype=torch.float64)
    for clip in indices:
        start, length = clips.starts[clip], clips.lengths[clip]
        legs = clips.rot6d[start : start + length][:, LEG_JOINTS]
        totals[clips.labels[clip]] += float(np.abs(legs - legs[:1]).mean())
        counts[clips.labels[clip]] += 1
    return totals / counts.clamp(min=1)


def leg_action(motion: Tensor, leg_classes: int | None = None) -> Tensor:
    """Which classes are leg actions, `[C]` bool; the others are arm actions.

    Args:
        motion: `[C]` leg motion of each class.
        leg_classes: the number of leg actions (the published rule takes the 4 highest of 12); None cuts at the largest
            ratio between neighbours in the sorted list.
    """
    order = motion.argsort(descending=True)
    if leg_classes is None:
        values = motion[order].clamp(min=1e-6).log()
        leg_classes = int((values[:-1] - values[1:]).argmax()) + 1 if len(values) > 1 else 0
    result = torch.zeros(len(motion), dtype=torch.bool)
    result[order[:leg_classes]] = True
    return result


def class_masks(
    action_names: Sequence[str],
    motion: Tensor | None,
    source: MaskSource = "auto",
    table: str | Path | None = None,
    leg_classes: int | None = None,
    members: Sequence[int] | None = None,
) -> Tensor:
    """Masks of all classes `[C, 24]`.

    Args:
        action_names: names by label.
        motion: `[C]` leg motion, needed for classes without a row in the table.
        source: `table` demands a row for every class, `data` ignores the table, `auto` falls back to the data.
        table: YAML file, None = the shipped one.
        leg_classes: see `leg_action`.
        members: labels of which the leg actions are chosen; None = all.

    Raises:
        InputError: a class has no row and `source=table`.
    """
    rows = {} if source == "data" else load_mask_table(table)
    unknown = [name for name in action_names if name not in rows]
    if source == "table" and unknown:
        raise InputError(
            f"data.mix.masks=table, but the table has no row for {', '.join(unknown)}.\n"
            "Add the rows to a copy of it (data.mix.mask_table=<file>) or use data.mix.masks=auto"
        )
    if unknown and motion is None:
        raise ValueError("classes outside the table need the leg motion")
    is_leg = torch.zeros(len(action_names), dtype=torch.bool)
    if motion is not None:
        chosen = torch.arange(len(action_names)) if members is None else torch.as_tensor(list(members))
        is_leg[chosen] = leg_action(motion[chosen], leg_classes)
    fallback = [LEG_MASK if legs else ARM_MASK for legs in is_leg.tolist()]
    return torch.tensor([rows.get(name, list(mask)) for name, mask in zip(action_names, fallback)])


def blend_weights(first_mask: Tensor, second_mask: Tensor, alpha: Tensor) -> Tensor:
    """Share of the first motion per joint: alpha*m1 / (alpha*m1 + (1-alpha)*m2); the second has the rest.

    Args:
        first_mask, second_mask: `[S, J]`.
        alpha: `[S]` in 0..1.

    Returns:
        `[S, J]`; alpha itself where neither motion claims the joint.
    """
    alpha = alpha[:, None]
    first, second = alpha * first_mask, (1 - alpha) * second_mask
    total = first + second
    return torch.where(total > 1e-6, first / total.clamp(min=1e-6), alpha.expand_as(total))
