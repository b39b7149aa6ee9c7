"""Percentage of correct keypoints (PCK) of propagated joints: as published for JHMDB, and a strict one.

Published, a joint that was not found is left out, and the normaliser of a frame is the box of the true joints that were
found. The strict score counts such joints as wrong and takes the box of all true joints. Frame 0 is given, not scored.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from components.errors import InputError

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)
# Of the diagonal of the joints' box.
_BOX_SHARE = 0.6


class PckScores(NamedTuple):
    """Percent: `joints` float64 `[thresholds, J]` (NaN where nothing was scored), their `mean` `[thresholds]`, and the
    number of scored pairs `[J]`."""

    joints: np.ndarray
    mean: np.ndarray
    counts: np.ndarray


def box_normalizers(truth: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """0.6 x diagonal of the box of the counted joints in every frame, float64 `[F]`; 0 where none is counted.

    Args:
        truth: pixels `[2, J, F]`.
        counted: bool `[J, F]`.
    """
    low = np.where(counted, truth, np.inf).min(1)
    high = np.where(counted, truth, -np.inf).max(1)
    sides = np.where(counted.any(0), high - low, 0.0)
    return _BOX_SHARE * np.hypot(sides[0], sides[1])


def relative_errors(truth: np.ndarray, prediction: np.ndarray, strict: bool = False) -> np.ndarray:
    """Distance over normaliser of every joint, float64 `[J, F - 1]`; NaN is not scored, infinite is wrong.

    Args:
        truth: zero-based pixels `[2, J, F]`.
        prediction: pixels `[2, J, F]`; a negative x stands for a joint that was not found.
        strict: joints that were not found are wrong.

    Raises:
        InputError: other shapes.
    """
    if truth.shape != prediction.shape or truth.ndim != 3 or truth.shape[0] != 2:
        raise InputError(
            f"predicted joints have shape {list(prediction.shape)}, the annotation {list(truth.shape)}; "
            "expected [2, joints, frames]"
        )
    truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
    found = prediction[0] >= 0
    box = box_normalizers(truth, np.ones_like(found) if strict else found)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.hypot(*(prediction - truth)) / box
    errors = np.where(np.isnan(errors), np.inf, errors)
    return np.where(found, errors, np.inf if strict else np.nan)[:, 1:]


def pck_scores(errors: np.ndarray) -> PckScores:
    """PCK at every one of `THRESHOLDS` from `relative_errors` of all frames, `[J, pairs]`."""
    scored = ~np.isnan(errors)
    counts = scored.sum(1)
    right = np.array([(scored & (errors <= threshold)).sum(1) for threshold in THRESHOLDS])
    joints = np.where(counts > 0, 100 * right / np.maximum(counts, 1), np.nan)
    mean = np.nanmean(joints, axis=1) if counts.any() else np.full(len(THRESHOLDS), np.nan)
    return PckScores(joints, mean, counts)


class Pck(Metric):
    """PCK of a set of videos; `compute` gives `pck@0.1` ... `pck@0.5`, `scores` the joints."""

    full_state_update = False
    errors: list[Tensor]

    def __init__(self, strict: bool = False) -> None:
        super().__init__()
        self.strict = strict
        self.add_state("errors", default=[], dist_reduce_fx="cat")

    def update(self, truth: Tensor | np.ndarray, prediction: Tensor | np.ndarray) -> None:
        """Add a video; arguments and errors as of `relative_errors`."""
        errors = relative_errors(_array(truth), _array(prediction), self.strict)
        self.errors.append(torch.from_numpy(errors.T).to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """Mean over joints, percent, by threshold."""
        mean = self.scores().mean
        return {f"pck@{limit}": torch.tensor(value) for limit, value in zip(THRESHOLDS, mean.tolist(), strict=True)}

    def scores(self) -> PckScores:
        """The joints of everything added.

        Raises:
            InputError: nothing was added.
        """
        errors = torch.cat(self.errors) if isinstance(self.errors, list) and self.errors else self.errors
        if not isinstance(errors, Tensor):
            raise InputError("no video was scored")
        return pck_scores(errors.cpu().numpy().T)


def _array(joints: Tensor | np.ndarray) -> np.ndarray:
    return joints.cpu().numpy() if isinstance(joints, Tensor) else joints
