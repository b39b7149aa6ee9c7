import numpy as np
import pytest

from components.metrics.retrieval import clips_of_texts, texts_of_clips

# Clips in rows, texts in columns; nobody does what the third text says.
SIMILARITIES = np.array([[0.9, 0.1, 0.3], [0.2, 0.8, 0.1], [0.5, 0.6, 0.7], [0.4, 0.7, 0.0]])
LABELS = np.array([0, 1, 0, 0])


def test_texts_find_clips() -> None:
    found = clips_of_texts(SIMILARITIES, LABELS)
    # Text 0 ranks clips 0, 2, 3, 1; text 1 ranks 1, 3, 2, 0.
    assert found.recall == {1: 1.0, 5: 1.0}
    assert found.mean_average_precision == 1.0
    assert found.queries == 2
    assert found.chance[1] == pytest.approx((3 / 4 + 1 / 4) / 2)
    turned = clips_of_texts(-SIMILARITIES, LABELS)
    # Now 1, 3, 2, 0 and 0, 2, 3, 1.
    assert turned.recall[1] == 0
    assert turned.mean_average_precision == pytest.approx(((1 / 2 + 2 / 3 + 3 / 4) / 3 + 1 / 4) / 2)


def test_clips_find_texts() -> None:
    found = texts_of_clips(SIMILARITIES, LABELS)
    # Places of the right texts: 1, 1, 3, 2.
    assert found.recall == {1: 0.5, 5: 1.0}
    assert found.mean_average_precision == pytest.approx((1 + 1 + 1 / 3 + 1 / 2) / 4)
    assert found.chance == {1: pytest.approx(1 / 3), 5: 1.0}


def test_chance_of_five_draws() -> None:
    labels = np.repeat([0, 1], [2, 18])
    found = clips_of_texts(np.zeros((20, 2)), labels)
    hit = 1 - (18 * 17 * 16 * 15 * 14) / (20 * 19 * 18 * 17 * 16)
    assert found.chance[5] == pytest.approx((hit + 1) / 2)
