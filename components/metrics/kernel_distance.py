"""Kernel distance of two sets of features (KID; Binkowski et al. 2018): unbiased for few samples too, unlike FID.

The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3. It may come out slightly below 0.
"""

import warnings
from typing import NamedTuple, cast

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat


class KernelDistance(NamedTuple):
    """An estimate with its uncertainty, float64 scalars."""

    value: Tensor
    interval: Tensor
    """Half of the 95 % interval of `value`; NaN without subsets, or where a set has fewer than four samples."""


def polynomial_kernel(one: Tensor, two: Tensor) -> Tensor:
    """(x.y / D + 1)^3 of features `[N, D]` and `[M, D]`: `[N, M]`, float64."""
    return (one.double() @ two.double().T / one.shape[1] + 1.0) ** 3


def kernel_distance(
    features: Tensor,
    other: Tensor,
    num_subsets: int = 100,
    generator: torch.Generator | None = None,
) -> KernelDistance:
    """Unbiased estimate from all samples, and its interval from random halves of both sets.

    A statistic over random halves, drawn without replacement, varies as much as the statistic over the whole varies
    between samples of the same size (delete-half jackknife), so 1.96 of its standard deviations are the interval.

    Args:
        features: `[N, D]`.
        other: `[M, D]`.
        num_subsets: how many random halves; 0 = no interval.
        generator: of the halves, on the CPU; None = seed 0.

    Raises:
        ValueError: an empty set.
    """
    if len(features) == 0 or len(other) == 0:
        raise ValueError(f"{len(features)} and {len(other)} samples: the kernel distance needs some of both")
    if min(len(features), len(other)) == 1:
        warnings.warn(
            "kernel distance of a set with a single sample is biased: its own term has no unbiased estimate",
            stacklevel=2,
        )
    kernels = polynomial_kernel(features, features), polynomial_kernel(other, other), polynomial_kernel(features, other)
    everything = [torch.ones(1, len(each), dtype=torch.float64, device=features.device) for each in (features, other)]
    value = _discrepancies(*kernels, *everything)[0]
    if num_subsets == 0 or min(len(features), len(other)) < 4:
        return KernelDistance(value, value.new_tensor(torch.nan))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    halves = [_random_halves(len(each), num_subsets, generator).to(features.device) for each in (features, other)]
    return KernelDistance(value, 1.96 * _discrepancies(*kernels, *halves).std(correction=0))


def _random_halves(count: int, num_subsets: int, generator: torch.Generator) -> Tensor:
    """Indicators `[num_subsets, count]` of random halves."""
    order = torch.rand(num_subsets, count, generator=generator).argsort(dim=1)
    return (order < count // 2).double()


def _discrepancies(first: Tensor, second: Tensor, cross: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Squared discrepancy of each pair of subsets, given by indicators `[S, N]` and `[S, M]`: `[S]`."""
    mixed = ((rows @ cross) * columns).sum(1) / (rows.sum(1) * columns.sum(1))
    return _within(first, rows) + _within(second, columns) - 2 * mixed


def _within(kernel: Tensor, subsets: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different samples; of a single sample with itself."""
    count = subsets.sum(1)
    total = ((subsets @ kernel) * subsets).sum(1)
    own = subsets @ kernel.diagonal()
    return torch.where(count > 1, (total - own) / (count * (count - 1)).clamp(min=1), own / count)


def stratified_kernel_distance(
    features: Tensor, other: Tensor, labels: Tensor, other_labels: Tensor, related: Tensor | None = None
) -> Tensor:
    """Kernel distance of two sets whose classes were chosen, not drawn: generated motions have the labels of real ones.

    `kernel_distance` takes samples for independent draws. Where both sets hold the same labels it comes out below 0: of
    pairs within a set too few are of one class, n (n - 1) where n^2 would be their share. Here each pair of classes
    weighs by its share, whatever number of its pairs is compared. Without classes in common with a pair to compare in
    every term the result is NaN; a class with a single sample counts only against others.

    Args:
        features: `[N, D]`.
        other: `[M, D]`.
        labels, other_labels: `[N]` and `[M]` int64.
        related: bool `[N, M]`, pairs that are not independent (two cuts of one recording), left out as a sample's pair
            with itself is within a set (Gretton et al. 2012, equation 4); None = no such pair.

    Returns:
        Float64 scalar.
    """
    count = 1 + int(torch.cat([labels, other_labels]).max())
    members = [torch.nn.functional.one_hot(each, count).double() for each in (labels, other_labels)]
    sets = ((features, features), (other, other), (features, other))
    sides = ((0, 0), (1, 1), (0, 1))
    compared = [
        1 - torch.eye(len(features), dtype=torch.float64, device=features.device),
        1 - torch.eye(len(other), dtype=torch.float64, device=other.device),
        torch.ones(len(features), len(other), dtype=torch.float64, device=features.device),
    ]
    if related is not None:
        compared[2] = (~related).to(compared[2])
    sums, pairs = [], []
    for (one, two), (first, second), chosen in zip(sets, sides, compared, strict=True):
        sums.append(members[first].T @ (polynomial_kernel(one, two) * chosen) @ members[second])
        pairs.append(members[first].T @ chosen @ members[second])
    shares = [each.sum(0) / each.sum() for each in members]
    usable = ((pairs[0] > 0) & (pairs[1] > 0) & (pairs[2] > 0)).double()
    terms = []
    for (first, second), total, number in zip(sides, sums, pairs, strict=True):
        weights = usable * shares[first][:, None] * shares[second]
        terms.append((weights * total / number.clamp(min=1)).sum() / weights.sum())
    return terms[0] + terms[1] - 2 * terms[2]


class KernelInceptionDistance(Metric):
    """`kernel_distance` over batches and ranks; keeps all features.

    Args:
        num_subsets: how many random halves give the interval.
        seed: of the halves.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    real: list[Tensor]
    generated: list[Tensor]

    def __init__(self, num_subsets: int = 100, seed: int = 0) -> None:
        super().__init__()
        self.num_subsets, self.seed = num_subsets, seed
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("generated", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features `[N, D]` of real or of generated samples."""
        (self.real if real else self.generated).append(features.detach())

    def compute(self) -> KernelDistance:
        """The distance; NaN as long as one of the sets is empty."""
        sets = [cast(list[Tensor] | Tensor, each) for each in (self.real, self.generated)]
        if any(len(each) == 0 for each in sets):
            nothing = torch.tensor(torch.nan, dtype=torch.float64)
            return KernelDistance(nothing, nothing)
        real, generated = (dim_zero_cat(each) for each in sets)
        return kernel_distance(real, generated, self.num_subsets, torch.Generator().manual_seed(self.seed))
