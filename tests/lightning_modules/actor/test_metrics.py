import logging
import math
from collections import Counter

import pytest
import torch

from lightning_modules.actor.metrics import (
    Diversity,
    Multimodality,
    draw_class_pairs,
    draw_pairs,
    mean_pair_distance,
    summarize,
)


def test_pairs_come_from_the_generator() -> None:
    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(4)

    pairs = draw_pairs(7, generator=generator())
    assert pairs.shape == (200, 2)
    assert set(pairs.flatten().tolist()) == set(range(7))
    assert torch.equal(pairs, draw_pairs(7, generator=generator()))


def test_pairs_of_a_class_follow_the_published_rule() -> None:
    labels = torch.tensor([0, 1, 0, 1, 0, 2, 2])
    pairs = draw_class_pairs(labels, 3, 600, torch.Generator().manual_seed(0))
    assert torch.equal(labels[pairs[:, 0]], labels[pairs[:, 1]])
    assert labels[pairs[:, 0]].bincount().tolist() == [600, 600, 600]
    # Rejection over the whole set, as published, gives every pair of a class the same chance, itself included.
    counts = Counter(map(tuple, pairs[labels[pairs[:, 0]] == 0].tolist()))
    assert len(counts) == 9
    assert all(35 <= count <= 105 for count in counts.values())


def test_missing_classes_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        pairs = draw_class_pairs(torch.tensor([0, 0, 2]), 4, 5, class_names=["walk", "run", "sit", "eat"])
    assert pairs.shape == (5, 2)
    assert "run, sit, eat" in caplog.text
    nothing = draw_class_pairs(torch.tensor([1]), 2)
    assert nothing.shape == (0, 2)
    assert math.isnan(mean_pair_distance(torch.zeros(1, 3), nothing))
    # The class that is left out does not change the draws of the others.
    full = draw_class_pairs(torch.tensor([0, 0, 1, 1, 2, 2]), 3, 5, torch.Generator().manual_seed(1))
    without = draw_class_pairs(torch.tensor([0, 0, 1, 2, 2]), 3, 5, torch.Generator().manual_seed(1))
    assert torch.equal(without[5:] + 1, full[10:])


def test_summary() -> None:
    summary = summarize([1.0, 2.0, 3.0, 6.0])
    assert summary.mean == 3.0
    assert summary.interval == pytest.approx(1.96 * math.sqrt(14 / 3) / 2)
    assert summary.published_interval == pytest.approx(1.96 * 14 / 4)
    assert math.isnan(summarize([1.0]).interval)
    with pytest.raises(ValueError, match="at least one"):
        summarize([])


@pytest.mark.filterwarnings("ignore:.*before the ``update``")
def test_metrics_over_batches() -> None:
    features, labels = torch.randn(30, 4), torch.arange(30) % 3
    diversity, multimodality = Diversity(seed=2), Multimodality(3, seed=2)
    assert math.isnan(diversity.compute())
    for rows in (slice(0, 11), slice(11, 30)):
        diversity.update(features[rows], labels[rows])
        multimodality.update(features[rows], labels[rows])
    generator = torch.Generator().manual_seed(2)
    assert float(diversity.compute()) == float(mean_pair_distance(features, draw_pairs(30, generator=generator)))
    pairs = draw_class_pairs(labels, 3, generator=torch.Generator().manual_seed(2))
    assert float(multimodality.compute()) == float(mean_pair_distance(features, pairs))
