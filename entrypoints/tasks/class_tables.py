"""Tables of what a classifier does with every class, from its confusion matrix."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from entrypoints.tasks.tables import Value

if TYPE_CHECKING:
    from torch import Tensor


def class_rows(counts: "Tensor", names: Sequence[str]) -> list[list[Value]]:
    """Rows of the table by class: name, samples, precision, recall, F1, the class it is mostly taken for.

    A class without samples has no recall, one that is never recognised no precision. The last row has the means over
    the classes with samples; what is missing there counts as 0.

    Args:
        counts: `[true, recognised]`, `[C, C]`.
        names: of the classes.
    """
    from components.metrics.classification import class_scores, macro_mean

    scores = class_scores(counts)
    rows: list[list[Value]] = []
    for label, (name, *values) in enumerate(zip(names, *(score.tolist() for score in scores), strict=True)):
        others = counts[label].clone()
        others[label] = 0
        mistaken = names[int(others.argmax())] if int(others.sum()) else "-"
        rows.append([name, int(counts[label].sum()), *values, mistaken])
    rows.append(["all", int(counts.sum()), *(macro_mean(score, counts) for score in scores), "-"])
    return rows


def confusion_rows(counts: "Tensor", names: Sequence[str]) -> list[list[Value]]:
    """Counts with the name of the true class before every row."""
    return [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
