"""Scores of classes against true labels: top-k, mean class accuracy, confusion, precision, recall, F1, late fusion.

Exact over batches and ranks. A class of equal scores comes before those with greater numbers, so that a network that
gives every class the same score is right as often as its first class is, not always.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from components.errors import InputError


def confusion_matrix(labels: Tensor, predictions: Tensor, num_classes: int) -> Tensor:
    """Counts `[true, predicted]`, `[C, C]` int64, of labels and predictions `[N]`."""
    cells = labels.long() * num_classes + predictions.long()
    return torch.bincount(cells, minlength=num_classes**2).view(num_classes, num_classes)


def accuracy(confusion: Tensor) -> Tensor:
    """Share of the samples on the diagonal; NaN without samples."""
    return confusion.trace().double() / confusion.sum()


def top_k_hits(logits: Tensor, labels: Tensor, k: int) -> Tensor:
    """Whether all labels of a sample are among its k best classes, bool `[N]`.

    Args:
        logits: `[N, C]`.
        labels: `[N]`, or `[N, L]` for samples with several labels (a pair of actions: L = 2); a label that is named
            twice counts once.
        k: classes looked at, at most C are there.
    """
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices
    labels = labels.unsqueeze(1) if labels.ndim == 1 else labels
    return (labels.unsqueeze(2) == best.unsqueeze(1)).any(2).all(1)


def label_ranks(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Where the true class stands among all, and which class is first.

    Args:
        scores: `[N, C]`, greater is better.
        labels: `[N]` int64.

    Returns:
        Ranks `[N]` from 0 on (top-k counts those below k), and predictions `[N]`, int64 both.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    return (order == labels.unsqueeze(1)).int().argmax(dim=1), order[:, 0]


class ClassScores(NamedTuple):
    """What a confusion matrix says of every class; float64 `[C]`, NaN where it is not defined."""

    precision: Tensor
    """Share of the samples taken for the class that are of it; NaN for a class that is never predicted."""
    recall: Tensor
    """Share of its samples that are recognised; NaN for a class without samples."""
    f1: Tensor
    """Harmonic mean of both, 0 for a class with samples that is never predicted; NaN for one that never occurs."""


def class_scores(confusion: Tensor) -> ClassScores:
    """Precision, recall and F1 of every class from counts `[true, predicted]`."""
    counts = confusion.double()
    right, true, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    return ClassScores(right / said, right / true, 2 * right / (true + said))


def mean_class_accuracy(confusion: Tensor) -> Tensor:
    """Mean recall over the classes that occur in truth or prediction; one that is only predicted counts as 0.

    The published rule (pyskl `mean_class_accuracy`); NaN without samples.
    """
    occurs = (confusion.sum(1) + confusion.sum(0)) > 0
    return class_scores(confusion).recall[occurs].nan_to_num(0.0).mean()


def macro_mean(values: Tensor, confusion: Tensor) -> float:
    """Mean of a score `[C]` over the classes that have samples; what is not defined (no prediction) counts as 0."""
    return float(values[confusion.sum(1) > 0].nan_to_num(0.0).mean())


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of `count` independent samples (Wilson 1927); NaN without samples.

    Unlike the normal interval it stays within 0..1 and has a width at shares of 0 and 1.
    """
    if count == 0:
        return math.nan, math.nan
    z2 = 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = 1.96 / (1 + z2 / count) * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def share_as_good_permuted(confusion: Tensor, draws: int = 5000, seed: int = 0) -> float:
    """How often classes that are named at random come out as right as they do: a p-value of zero-shot recognition.

    A model that has never seen some classes can tell them apart without knowing which is which; all samples of a class
    are right or wrong together then, and an interval over samples says nothing of that. Of three classes, one in six
    namings is the true one by chance: few classes prove little, however many samples they have.

    Args:
        confusion: counts `[true, predicted]`, `[C, C]`.
        draws: random namings for more than seven classes; up to seven all are tried.
        seed: of these.

    Returns:
        Share of the namings, the true one among them, with at least as many samples on the diagonal.
    """
    counts = confusion.cpu().numpy()
    classes = len(counts)
    if classes <= 7:
        namings = np.array(list(itertools.permutations(range(classes))))
    else:
        generator = np.random.default_rng(seed)
        namings = np.stack([np.arange(classes), *(generator.permutation(classes) for _ in range(draws))])
    return float((counts[np.arange(classes), namings].sum(axis=1) >= np.trace(counts)).mean())


def fuse_scores(
    parts: Sequence[tuple[Sequence[str], np.ndarray]], weights: Sequence[float], what: str = "fuse"
) -> tuple[list[str], np.ndarray]:
    """Late fusion: the weighted sum of several models' scores of the same samples.

    Args:
        parts: names of the samples and scores `[N, C]` of each model, in any order of the samples.
        weights: one per model.
        what: the key that the models were named by, for messages.

    Returns:
        Names in the order of the first model, and their sums `[N, C]` float64.

    Raises:
        InputError: other samples or classes in one of them, a name twice, or another number of weights.
    """
    if len(weights) != len(parts):
        raise InputError(f"{what}_weights has {len(weights)} values for {len(parts)} models; give one for each")
    names, first = list(parts[0][0]), np.asarray(parts[0][1])
    total = np.zeros(first.shape)
    for number, ((own, scores), weight) in enumerate(zip(parts, weights, strict=True)):
        if scores.shape[1] != first.shape[1]:
            raise InputError(
                f"{what}: model {number + 1} tells {scores.shape[1]} classes apart, the first one {first.shape[1]};\n"
                "only scores of the same classes can be added"
            )
        rows = {name: row for row, name in enumerate(own)}
        if len(rows) != len(own):
            twice = next(name for row, name in enumerate(own) if rows[name] != row)
            raise InputError(f"{what}: sample '{twice}' occurs twice in model {number + 1}")
        missing, extra = [name for name in names if name not in rows], sorted(rows.keys() - set(names))
        if missing or extra:
            example = f"'{missing[0]}' is missing" if missing else f"'{extra[0]}' is new"
            raise InputError(
                f"{what}: model {number + 1} has scores of {len(own)} samples, the first one of {len(names)}; "
                f"{example}.\nEvaluate all of them on the same split of the same data"
            )
        total += weight * np.asarray(scores, dtype=np.float64)[[rows[name] for name in names]]
    return names, total


class ConfusionAccuracy(Metric):
    """Accuracy over batches and ranks, with the confusion matrix in `confusion` `[true, predicted]`.

    Args:
        num_classes: C.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    confusion: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", zeros, dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add logits `[N, C]` with labels `[N]`."""
        self.confusion += confusion_matrix(labels, logits.argmax(dim=1), self.num_classes)

    def compute(self) -> Tensor:
        """The accuracy; NaN without samples."""
        return self.confusion.trace() / self.confusion.sum()  # float32: not every device has float64


class ClassificationScore(Metric):
    """Top-k and mean class accuracy over batches and ranks, each sample once.

    Samplers pad the last round of ranks with samples that another rank has too; with the number of every sample that
    is undone, and the figures are those of one process. Nothing is copied to the host before `compute`.

    Args:
        num_classes: C.
        top_k: which k; those above C count as C.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    rows: list[Tensor]

    def __init__(self, num_classes: int, top_k: Sequence[int] = (1, 5)) -> None:
        super().__init__()
        if num_classes < 1 or not top_k or min(top_k) < 1:
            raise ValueError(f"num_classes={num_classes} and top_k={list(top_k)} must be at least 1")
        self.num_classes = num_classes
        self.top_k = tuple(top_k)
        # One row per sample: its number, label, prediction and the rank of its label.
        self.add_state("rows", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor, index: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            scores: `[N, C]`, greater is better.
            labels: `[N]` int64.
            index: `[N]` int64, numbers of the samples from 0 on; None counts every sample of the batch.
        """
        labels = labels.long()
        ranks, predictions = label_ranks(scores.detach(), labels)
        numbers = torch.full_like(labels, -1) if index is None else index.long()
        self.rows.append(torch.stack([numbers, labels, predictions, ranks], dim=1))

    def samples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Labels, predictions and ranks of the labels, `[N]` int64 on the CPU, each numbered sample once.

        Of this process, or inside of `compute` of all.
        """
        rows = dim_zero_cat(cast(Any, self.rows)).cpu() if len(self.rows) else torch.zeros(0, 4, dtype=torch.int64)
        order = rows[:, 0].argsort(stable=True)
        rows = rows[order]
        first = torch.ones(len(rows), dtype=torch.bool)
        first[1:] = (rows[1:, 0] != rows[:-1, 0]) | (rows[1:, 0] < 0)
        rows = rows[first]
        return rows[:, 1], rows[:, 2], rows[:, 3]

    def compute(self) -> dict[str, Tensor]:
        """`top1`, `top5`, ... and `mean_class_acc`, shares of 1, float32; NaN without samples."""
        labels, predictions, ranks = self.samples()
        confusion = confusion_matrix(labels, predictions, self.num_classes)
        values = {f"top{k}": (ranks < k).double().mean() for k in self.top_k}
        values["mean_class_acc"] = mean_class_accuracy(confusion)
        return {name: value.float().to(self.device) for name, value in values.items()}

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        # A rank without samples must offer rows of the same width and type, or gathering them fails.
        if not self.rows:
            self.rows.append(torch.zeros(0, 4, dtype=torch.int64, device=self.device))
        super()._sync_dist(*args, **kwargs)
