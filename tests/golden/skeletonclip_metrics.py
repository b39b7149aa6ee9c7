"""Golden case of skeletonclip's evaluation: top-k, mean class accuracy, confusion matrix, late fusion."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from components.metrics.classification import (
    ClassificationScore,
    confusion_matrix,
    fuse_scores,
    label_ranks,
    mean_class_accuracy,
)
from tests.golden.harness import Case


def check_metrics(case: Case) -> None:
    """Two models and their fusions; which there are, the names of the arrays say."""
    labels = case.tensor("in/labels")
    names = [str(row) for row in range(len(labels))]
    parts = [(names, case.arrays["in/scores_a"])]
    # The second model's samples come in another order.
    parts.append((names[::-1], case.arrays["in/scores_b"][::-1]))
    for name in sorted({name.split("/")[1] for name in case.names("out/")}):
        if not name.startswith("fused_"):
            _check_scores(case, name, case.tensor(f"in/scores_{name}"), labels)
            continue
        weights = [float(weight) for weight in name.removeprefix("fused_").split("_")]
        matched, fused = fuse_scores(parts, weights)
        assert matched == names
        case.check(f"out/{name}/scores", fused)
        _check_scores(case, name, torch.from_numpy(fused), labels)


def _check_scores(case: Case, name: str, scores: Tensor, labels: Tensor) -> None:
    (topk,) = case.names(f"out/{name}/topk_")
    ks = [int(k) for k in topk.rsplit("topk_")[-1].split("_")]
    score = ClassificationScore(scores.shape[1], ks)
    score.update(scores, labels, torch.arange(len(labels)))
    values = score.compute()
    case.check(topk, np.array([float(values[f"top{k}"]) for k in ks]))
    case.check(f"out/{name}/mean_class_accuracy", values["mean_class_acc"])
    # Recorded over the labels that occur; ours has all.
    confusion = confusion_matrix(labels, label_ranks(scores, labels)[1], scores.shape[1])
    occurs = (confusion.sum(0) + confusion.sum(1)) > 0
    case.check(f"out/{name}/confusion", confusion[occurs][:, occurs])
    case.check(f"out/{name}/mean_class_accuracy", mean_class_accuracy(confusion))


HANDLERS: dict[str, Callable[[Case], None]] = {"metrics": check_metrics}
