"""Retrieval by class: a text asks for its clips, a clip asks for its text."""

import math
from typing import NamedTuple

import numpy as np

DEPTHS = (1, 5)


class Retrieval(NamedTuple):
    """Figures of one direction, shares of 1."""

    recall: dict[int, float]
    """R@k: share of the queries with a right answer among their k best."""
    chance: dict[int, float]
    """The same for answers in random order."""
    mean_average_precision: float
    queries: int


def clips_of_texts(similarities: np.ndarray, labels: np.ndarray) -> Retrieval:
    """Every class text that has clips ranks all clips.

    Args:
        similarities: `[N, L]` of N clips and L texts.
        labels: `[N]`, the class of every clip.
    """
    asked = np.unique(labels)
    order = np.argsort(-similarities[:, asked], axis=0, kind="stable")
    right = labels[order] == asked[None, :]
    places = np.arange(1, len(labels) + 1)[:, None]
    precision = np.cumsum(right, axis=0) / places
    average = (precision * right).sum(axis=0) / right.sum(axis=0)
    counts = right.sum(axis=0)
    return Retrieval(
        {k: float(right[:k].any(axis=0).mean()) for k in DEPTHS},
        {k: float(np.mean([_hit_by_chance(len(labels), int(count), k) for count in counts])) for k in DEPTHS},
        float(average.mean()),
        len(asked),
    )


def texts_of_clips(similarities: np.ndarray, labels: np.ndarray) -> Retrieval:
    """Every clip ranks all texts, one of which is right; arguments as in `clips_of_texts`."""
    order = np.argsort(-similarities, axis=1, kind="stable")
    ranks = (order == labels[:, None]).argmax(axis=1)
    texts = similarities.shape[1]
    return Retrieval(
        {k: float((ranks < k).mean()) for k in DEPTHS},
        {k: min(1.0, k / texts) for k in DEPTHS},
        float((1 / (ranks + 1)).mean()),
        len(labels),
    )


def _hit_by_chance(total: int, right: int, draws: int) -> float:
    """Chance that at least one of some draws without replacement is right."""
    draws = min(draws, total)
    return 1 - math.comb(total - right, draws) / math.comb(total, draws)
