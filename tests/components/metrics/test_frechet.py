import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.metrics.frechet import FrechetDistance, frechet_distance, gaussian_distance, gaussian_fit


def features(count: int, size: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(size, size, generator=generator)
    return torch.randn(count, size, generator=generator) @ mixing + torch.randn(size, generator=generator)


def by_general_root(one: Tensor, two: Tensor) -> float:
    """The published way, with the root of the product of the covariances from its general eigenvalues."""
    a, b = one.double().numpy(), two.double().numpy()
    product = np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(product).astype(complex)).real.sum()
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.cov(a, rowvar=False).trace() + np.cov(b, rowvar=False).trace() - 2 * root)


sets = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(0, 1000))


@settings(max_examples=40)
@given(sets)
def test_properties(draw: tuple[int, int, int, int]) -> None:
    first, second, size, seed = draw
    one, two = features(first, size, seed), features(second, size, seed + 5000)
    distance = frechet_distance(one, two)
    scale = float(one.double().square().sum() + two.double().square().sum())
    assert distance.dtype == torch.float64
    assert 0 <= float(distance) < math.inf
    torch.testing.assert_close(frechet_distance(two, one), distance, rtol=1e-7, atol=1e-9 * scale)
    torch.testing.assert_close(frechet_distance(one.flip(0), two), distance, rtol=1e-7, atol=1e-9 * scale)
    assert float(frechet_distance(one, one)) <= 1e-9 * scale


def test_against_the_general_root() -> None:
    one, two = features(400, 30, 0), features(300, 30, 1)
    assert float(frechet_distance(one, two)) == pytest.approx(by_general_root(one, two), rel=1e-9)


def test_one_sample_is_a_point() -> None:
    point = torch.tensor([[1.0, 2.0]])
    mean, covariance = gaussian_fit(point)
    assert mean.tolist() == [1.0, 2.0]
    assert covariance.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    others = torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    # 1^2 + 1^2 between the means, and the variance 2 of the pair.
    assert float(frechet_distance(point, others)) == pytest.approx(4.0)


def test_what_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="at least 1 sample"):
        gaussian_fit(torch.zeros(0, 3))
    broken = torch.full((3, 3), math.nan)
    assert math.isnan(frechet_distance(broken, torch.zeros(3, 3)))
    assert math.isnan(gaussian_distance(broken[0], torch.eye(3), torch.zeros(3), torch.eye(3)))


@pytest.mark.filterwarnings("ignore:.*before the ``update``")
def test_metric_over_batches_and_merged_ranks() -> None:
    one, two = features(50, 6, 0), features(31, 6, 1)
    ranks = [FrechetDistance(6), FrechetDistance(6)]
    assert math.isnan(ranks[0].compute())
    for start in range(0, 50, 7):
        ranks[start % 2].update(one[start : start + 7], real=True)
    ranks[1].update(two, real=False)
    ranks[0].merge_state(ranks[1])
    torch.testing.assert_close(ranks[0].compute(), frechet_distance(two, one), rtol=1e-6, atol=1e-9)
