"""What ACTOR's evaluation measures on a recogniser's features and logits (Action2Motion's metrics, vectorised).

Chance comes in as indices, which the `draw_*` functions make from an explicit generator.
"""

import logging
import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

log = logging.getLogger(__name__)

DIVERSITY_PAIRS = 200
MULTIMODALITY_PAIRS = 20  # of each class


def draw_pairs(total: int, count: int = DIVERSITY_PAIRS, generator: torch.Generator | None = None) -> Tensor:
    """Random pairs of samples with replacement, `[count, 2]` int64; a sample may meet itself, as published."""
    return torch.randint(0, total, (count, 2), generator=generator)


def draw_class_pairs(
    labels: Tensor,
    num_classes: int,
    count: int = MULTIMODALITY_PAIRS,
    generator: torch.Generator | None = None,
    class_names: Sequence[str] | None = None,
    warn: bool = True,
) -> Tensor:
    """Random pairs of samples of one class with replacement, `count` of each class.

    The published rule draws samples until every class has its pairs, and never ends where a class has no sample. Pairs
    drawn within each class have the same distribution. Classes with fewer than two samples are left out with a warning.

    Args:
        labels: `[N]` int64.
        num_classes: C.
        count: pairs of each class.
        generator: on the CPU.
        class_names: for the warning.
        warn: whether to warn; what is measured again and again needs to say so once.

    Returns:
        `[K, 2]` int64 indices on the CPU, K = count * classes with two samples or more.
    """
    labels = labels.cpu()
    pairs, missing = [], []
    for label in range(num_classes):
        members = (labels == label).nonzero().squeeze(1)
        # Drawn for every class, so that one class does not change the draws of the next ones.
        draw = torch.rand(count, 2, generator=generator, dtype=torch.float64)
        if len(members) < 2:
            missing.append(str(label) if class_names is None else class_names[label])
            continue
        pairs.append(members[(draw * len(members)).long()])
    if missing and warn:
        log.warning("multimodality leaves out classes with fewer than two samples: %s", ", ".join(missing))
    return torch.cat(pairs) if pairs else torch.zeros(0, 2, dtype=torch.int64)


def mean_pair_distance(features: Tensor, pairs: Tensor) -> Tensor:
    """Mean Euclidean distance of pairs `[K, 2]` of features `[N, D]`, float64; NaN without pairs.

    Over `draw_pairs` it is the diversity, over `draw_class_pairs` the multimodality.
    """
    pairs = pairs.to(features.device)
    return (features[pairs[:, 0]].double() - features[pairs[:, 1]].double()).norm(dim=1).mean()


class Summary(NamedTuple):
    """One metric over the seeds of a protocol."""

    mean: float
    interval: float
    """Half of the 95 % interval of the mean, 1.96 * std / sqrt(n), std with n - 1; NaN for a single seed."""
    published_interval: float
    """What published tables print behind +-: 1.96 * VARIANCE over the seeds (divided by n). No interval of anything."""


def summarize(values: Sequence[float]) -> Summary:
    """Mean over seeds with the true and the published interval.

    Raises:
        ValueError: no value.
    """
    if not values:
        raise ValueError("a summary needs at least one value")
    count = len(values)
    mean = math.fsum(values) / count
    squares = math.fsum((value - mean) ** 2 for value in values)
    interval = 1.96 * math.sqrt(squares / (count - 1) / count) if count > 1 else math.nan
    return Summary(mean, interval, 1.96 * squares / count)


class _PairDistance(Metric):
    """Keeps features and labels; `compute` draws pairs with a seed of its own."""

    is_differentiable = False
    full_state_update = False
    features: list[Tensor]
    labels: list[Tensor]

    def __init__(self, count: int, seed: int) -> None:
        super().__init__()
        self.count, self.seed = count, seed
        self.add_state("features", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, labels: Tensor) -> None:
        """Add features `[N, D]` with labels `[N]`."""
        self.features.append(features.detach())
        self.labels.append(labels.detach())

    def compute(self) -> Tensor:
        """The mean distance; NaN without samples or pairs."""
        if len(self.features) == 0:
            return torch.tensor(torch.nan, dtype=torch.float64)
        features, labels = (dim_zero_cat(cast(list[Tensor], each)) for each in (self.features, self.labels))
        return mean_pair_distance(features, self._pairs(labels, torch.Generator().manual_seed(self.seed)))

    def _pairs(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        raise NotImplementedError


class Diversity(_PairDistance):
    """Mean distance of random pairs of samples.

    Args:
        count: pairs.
        seed: of the pairs.
    """

    def __init__(self, count: int = DIVERSITY_PAIRS, seed: int = 0) -> None:
        super().__init__(count, seed)

    def _pairs(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        return draw_pairs(len(labels), self.count, generator)


class Multimodality(_PairDistance):
    """Mean distance of random pairs of samples of one class; classes with fewer than two samples are left out.

    Args:
        num_classes: C.
        count: pairs of each class.
        seed: of the pairs.
    """

    def __init__(self, num_classes: int, count: int = MULTIMODALITY_PAIRS, seed: int = 0) -> None:
        super().__init__(count, seed)
        self.num_classes = num_classes

    def _pairs(self, labels: Tensor, generator: torch.Generator) -> Tensor:
        return draw_class_pairs(labels, self.num_classes, self.count, generator)
