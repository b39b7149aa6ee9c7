"""Scores of part segmentation from id masks: accuracies and intersection over union by class.

Source: Long et al. 2015 (arXiv:1411.4038), section 5; undefined classes are left out of the means, as published for
VIP.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from components.errors import InputError


class PartScores(NamedTuple):
    """Of a confusion matrix; `iou` and `accuracy` are float64 `[classes]`, NaN where 0/0."""

    overall_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    iou: np.ndarray
    accuracy: np.ndarray


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by true (rows) and predicted class, int64 `[classes, classes]`; true ids beyond the classes are void.

    Raises:
        InputError: other sizes, or a predicted id that is no class.
    """
    if truth.shape != prediction.shape:
        raise InputError(f"the prediction has shape {list(prediction.shape)}, the annotation {list(truth.shape)}")
    known = (truth >= 0) & (truth < classes)
    wanted, found = truth[known].astype(np.int64), prediction[known].astype(np.int64)
    if found.size and not 0 <= found.min() <= found.max() < classes:
        raise InputError(f"the prediction holds id {int(found.max())}; expected 0 to {classes - 1}")
    return np.bincount(classes * wanted + found, minlength=classes**2).reshape(classes, classes)


def part_scores(confusion: np.ndarray) -> PartScores:
    """Scores of a confusion matrix; a class that is predicted but never there has IoU 0 and counts.

    Raises:
        InputError: an empty matrix.
    """
    total = confusion.sum()
    if total == 0:
        raise InputError("no pixel was scored")
    right, wanted, found = np.diag(confusion).astype(np.float64), confusion.sum(1), confusion.sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        accuracy = right / wanted
        iou = right / (wanted + found - right)
    there = wanted > 0
    weighted = float((wanted[there] / total * iou[there]).sum())
    return PartScores(
        float(right.sum() / total), float(np.nanmean(accuracy)), float(np.nanmean(iou)), weighted, iou, accuracy
    )


class PartIoU(Metric):
    """Mean IoU over everything added; `scores` has the rest."""

    full_state_update = False
    confusion: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.add_state("confusion", torch.zeros(classes, classes, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, truth: Tensor | np.ndarray, prediction: Tensor | np.ndarray) -> None:
        """Add id masks of one shape, e.g. `[F, H, W]`; errors as of `confusion_matrix`."""
        added = confusion_matrix(_array(truth), _array(prediction), self.classes)
        self.confusion += torch.from_numpy(added).to(self.confusion.device)

    def compute(self) -> Tensor:
        """Mean IoU, 0 to 1."""
        return torch.tensor(self.scores().mean_iou)

    def scores(self) -> PartScores:
        """All numbers of this process (or of all, after `sync`)."""
        return part_scores(self.confusion.cpu().numpy())


def _array(ids: Tensor | np.ndarray) -> np.ndarray:
    return ids.cpu().numpy() if isinstance(ids, Tensor) else ids
