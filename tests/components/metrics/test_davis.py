import itertools
import math

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.metrics.davis import (
    DavisScore,
    boundary_f,
    dilate,
    jaccard,
    quarter_edges,
    score_sequence,
    summarize,
    tolerance_radius,
)


def square(height: int, width: int, top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_dilation_is_the_disk() -> None:
    generator = np.random.default_rng(0)
    mask = generator.random((23, 31)) < 0.02
    mask[0, 0] = mask[-1, 5] = True
    radius = 5
    places = np.argwhere(mask)
    grid = np.stack(np.meshgrid(np.arange(23), np.arange(31), indexing="ij"), -1)
    nearest = ((grid[:, :, None] - places) ** 2).sum(-1).min(-1)
    np.testing.assert_array_equal(dilate(mask, radius), nearest <= radius**2)


def test_boundaries_match_within_the_tolerance() -> None:
    assert tolerance_radius(480, 854) == 8
    radius = tolerance_radius(100, 100)
    truth = square(100, 100, 30, 30, 20)
    assert boundary_f(truth, square(100, 100, 30, 30 + radius, 20)) == 1
    assert boundary_f(truth, square(100, 100, 30, 30 + radius + 1, 20)) < 1
    assert boundary_f(truth, square(100, 100, 70, 70, 20)) == 0


def test_empty_masks() -> None:
    truth, empty = square(20, 20, 5, 5, 5), np.zeros((20, 20), dtype=bool)
    assert jaccard(empty, empty) == boundary_f(empty, empty) == 1
    assert jaccard(truth, empty) == boundary_f(truth, empty) == boundary_f(empty, truth) == 0


def test_quarters_of_long_sequences() -> None:
    assert quarter_edges(1) == [0] * 5
    edges = quarter_edges(1000)
    assert edges[0] == 0
    assert edges[-1] == 999
    assert all(first < second for first, second in itertools.pairwise(edges))
    values = np.linspace(1, 0, 1000)
    assert summarize(values).decay == pytest.approx(0.75, abs=0.01)


def test_void_is_background_and_missing_objects_are_empty() -> None:
    truth = np.zeros((5, 16, 16), dtype=np.uint8)
    truth[:, 2:8, 2:8], truth[:, 9:14, 9:14] = 1, 2
    prediction = np.where(truth == 2, 0, truth)
    truth[:, 15] = 255
    first, second = score_sequence("clip", truth, prediction)
    assert first.j.tolist() == first.f.tolist() == [1, 1, 1]
    assert second.j.tolist() == second.f.tolist() == [0, 0, 0]
    # The first and the last frame are not scored.
    prediction[0], prediction[-1] = 0, 0
    assert score_sequence("clip", truth, prediction)[0].row() == first.row()


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.ones((5, 4, 4)), np.full((5, 4, 4), 2), "clip: the prediction holds id 2.*objects 1 to 1"),
        (np.ones((5, 4, 4)), np.ones((4, 4, 4)), r"clip: .*\[4, 4, 4\]"),
        (np.zeros((5, 4, 4)), np.zeros((5, 4, 4)), "clip: .*no object"),
        (np.ones((2, 4, 4)), np.ones((2, 4, 4)), "clip: 2 frames"),
    ],
)
def test_bad_input_is_named(truth: np.ndarray, prediction: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_sequence("clip", truth.astype(np.uint8), prediction.astype(np.uint8))


def test_processes_share_their_objects() -> None:
    generator = torch.Generator().manual_seed(1)
    clips = [torch.randint(0, 3, (4, 12, 12), generator=generator).to(torch.uint8) for _ in range(4)]
    for clip in clips:
        clip[0, 0, 0] = 2
    whole, parts = DavisScore(), [DavisScore(), DavisScore()]
    for number in range(2):
        whole.update(str(number), clips[2 * number], clips[2 * number + 1])
        parts[number].update(str(number), clips[2 * number], clips[2 * number + 1])
    expected = whole.compute()
    joined = DavisScore()
    joined.rows = torch.cat([row for part in parts for row in part.rows])  # type: ignore[assignment]  # as after sync
    joined._update_count = 1
    assert {name: float(value) for name, value in joined.compute().items()} == {
        name: float(value) for name, value in expected.items()
    }
    assert math.isfinite(float(expected["J&F-Mean"]))
    with pytest.raises(InputError, match="no sequence"), pytest.warns(UserWarning, match="before"):
        DavisScore().compute()
