import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.metrics.kernel_distance import (
    KernelInceptionDistance,
    kernel_distance,
    polynomial_kernel,
    stratified_kernel_distance,
)


def by_loops(one: torch.Tensor, two: torch.Tensor) -> float:
    """The unbiased estimate, pair by pair."""
    inside, outside, cross = [], [], []
    for rows, into in ((one, inside), (two, outside)):
        for i in range(len(rows)):
            into += [float(polynomial_kernel(rows[i : i + 1], rows[j : j + 1])) for j in range(len(rows)) if i != j]
    for a in one:
        cross += [float(polynomial_kernel(a[None], b[None])) for b in two]
    return sum(inside) / len(inside) + sum(outside) / len(outside) - 2 * sum(cross) / len(cross)


def test_against_loops() -> None:
    one, two = torch.randn(9, 4), torch.randn(7, 4) + 0.5
    assert float(kernel_distance(one, two).value) == pytest.approx(by_loops(one, two), rel=1e-9)


@settings(max_examples=30)
@given(st.integers(2, 10), st.integers(2, 10), st.integers(1, 6), st.integers(0, 1000))
def test_symmetry_and_order(first: int, second: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    one, two = torch.randn(first, size, generator=generator), torch.randn(second, size, generator=generator)
    value, interval = kernel_distance(one, two)
    assert torch.isfinite(value)
    assert bool(torch.isnan(interval)) == (min(first, second) < 4)
    torch.testing.assert_close(kernel_distance(two, one).value, value, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(kernel_distance(one.flip(0), two).value, value, rtol=1e-9, atol=1e-9)


def test_unbiased_on_equal_distributions_and_an_interval_that_covers() -> None:
    generator = torch.Generator().manual_seed(0)
    values, covered = [], 0
    for _ in range(60):
        one, two = (torch.randn(40, 5, generator=generator) for _ in range(2))
        value, interval = kernel_distance(one, two)
        values.append(float(value))
        covered += abs(float(value)) <= float(interval)
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    assert abs(mean) < 3 * spread / math.sqrt(len(values))
    assert min(values) < 0
    assert covered >= 51  # 85 % of 60 at least
    # The same sizes, and apart.
    value, interval = kernel_distance(torch.randn(40, 5, generator=generator), torch.randn(40, 5) + 1)
    assert float(value) > float(interval)


def test_related_samples_are_not_compared_between_the_sets() -> None:
    one, same = torch.randn(30, 5), torch.zeros(30, dtype=torch.int64)
    related = torch.eye(30, dtype=torch.bool)
    assert float(kernel_distance(one, one).value) < -0.1
    assert float(stratified_kernel_distance(one, one, same, same, related)) == pytest.approx(0, abs=1e-9)
    again = one + 0.01 * torch.randn(30, 5)
    assert abs(float(stratified_kernel_distance(one, again, same, same, related))) < 0.02
    # One class, nothing related: the plain estimate.
    plain = kernel_distance(one[:12], again).value
    torch.testing.assert_close(stratified_kernel_distance(one[:12], again, same[:12], same), plain)
    assert torch.isnan(stratified_kernel_distance(one, one, same, same, ~torch.zeros(30, 30, dtype=torch.bool)))


def test_sets_with_the_same_labels_are_not_closer_than_equal_ones() -> None:
    """Classes moved by different ways that cancel: the plain estimate is well below 0, as if better than equal."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(6).repeat(8)
    centres = 3 * torch.randn(6, 5, generator=generator)
    moves = torch.randn(6, 5, generator=generator)
    plain, stratified, moved = [], [], []
    for _ in range(40):
        one, two = (centres[labels] + 0.3 * torch.randn(48, 5, generator=generator) for _ in range(2))
        plain.append(float(kernel_distance(one, two).value))
        stratified.append(float(stratified_kernel_distance(one, two, labels, labels)))
        moved.append(float(stratified_kernel_distance(one, two + 0.3 * moves[labels], labels, labels)))
    mean, spread = sum(stratified) / 40, torch.tensor(stratified).std().item()
    assert abs(mean) < 3 * spread / math.sqrt(40)
    assert sum(plain) / 40 < -10 * abs(mean)
    assert sum(moved) / 40 > 5 * spread / math.sqrt(40)


def test_tiny_sets_are_finite_and_say_so() -> None:
    with pytest.warns(UserWarning, match="single sample"):
        value, interval = kernel_distance(torch.randn(1, 3), torch.randn(2, 3))
    assert torch.isfinite(value)
    assert torch.isnan(interval)
    with pytest.raises(ValueError, match="0 and 2 samples"):
        kernel_distance(torch.zeros(0, 3), torch.zeros(2, 3))


def test_the_interval_depends_on_the_generator_alone() -> None:
    one, two = torch.randn(12, 3), torch.randn(12, 3)
    assert kernel_distance(one, two) == kernel_distance(one, two)
    other = kernel_distance(one, two, generator=torch.Generator().manual_seed(1))
    assert other.value == kernel_distance(one, two).value
    assert other.interval != kernel_distance(one, two).interval


@pytest.mark.filterwarnings("ignore:.*before the ``update``")
def test_metric_over_batches_and_merged_ranks() -> None:
    one, two = torch.randn(20, 3), torch.randn(15, 3)
    ranks = [KernelInceptionDistance(seed=3), KernelInceptionDistance(seed=3)]
    assert torch.isnan(ranks[0].compute().value)
    ranks[0].update(one[:8], real=True)
    ranks[1].update(one[8:], real=True)
    ranks[1].update(two, real=False)
    ranks[0].merge_state(ranks[1])
    torch.testing.assert_close(ranks[0].compute().value, kernel_distance(one, two).value)
