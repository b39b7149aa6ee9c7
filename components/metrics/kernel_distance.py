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
    related: Tensor | None = None,
) -> KernelDistance:
    """Unbiased estimate from all samples, and its interval from random halves of both sets.

    A statistic over random halves, drawn without replacement, varies as much as the statistic over the whole varies
    between samples of the same size (delete-half jackknife), so 1.96 of its standard deviations are the interval.

    Args:
        features: `[N, D]`.
        other: `[M, D]`.
        num_subsets: how many random halves; 0 = no interval.
        generator: of the halves, on the CPU; None = seed 0.
        related: bool `[N, M]`, pairs of samples that are not independent (two cuts of one recording). They are left
            out of the term between the sets, as a sample's pair with itself is left out within a set (Gretton et al.
            2012, equation 4); otherwise two draws from one collection come out well below 0. None = no such pair.

    Raises:
        ValueError: an empty set, or all pairs are related.
    """
    if related is not None and bool(related.all()):
        raise ValueError("all samples of the two sets are related; nothing is left to compare")
    if len(features) == 0 or len(other) == 0:
        raise ValueError(f"{len(features)} and {len(other)} samples: the kernel distance needs some of both")
    if min(len(features), len(other)) == 1:
        warnings.warn(
            "kernel distance of a set with a single sample is biased: its own term has no unbiased estimate",
            stacklevel=2,
        )
    kernels = polynomial_kernel(features, features), polynomial_kernel(other, other), polynomial_kernel(features, other)
    apart = torch.ones_like(kernels[2]) if related is None else (~related).to(kernels[2])
    everything = [torch.ones(1, len(each), dtype=torch.float64, device=features.device) for each in (features, other)]
    value = _discrepancies(*kernels, apart, *everything)[0]
    if num_subsets == 0 or min(len(features), len(other)) < 4:
        return KernelDistance(value, value.new_tensor(torch.nan))
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    halves = [_random_halves(len(each), num_subsets, generator).to(features.device) for each in (features, other)]
    return KernelDistance(value, 1.96 * _discrepancies(*kernels, apart, *halves).std(correction=0))


def _random_halves(count: int, num_subsets: int, generator: torch.Generator) -> Tensor:
    """Indicators `[num_subsets, count]` of random halves."""
    order = torch.rand(num_subsets, count, generator=generator).argsort(dim=1)
    return (order < count // 2).double()


def _discrepancies(
    first: Tensor, second: Tensor, cross: Tensor, apart: Tensor, rows: Tensor, columns: Tensor
) -> Tensor:
    """Squared discrepancy of each pair of subsets, given by indicators `[S, N]` and `[S, M]`: `[S]`."""
    mixed = ((rows @ (cross * apart)) * columns).sum(1) / ((rows @ apart) * columns).sum(1)
    return _within(first, rows) + _within(second, columns) - 2 * mixed


def _within(kernel: Tensor, subsets: Tensor) -> Tensor:
    """Mean of the kernel over all pairs of different samples; of a single sample with itself."""
    count = subsets.sum(1)
    total = ((subsets @ kernel) * subsets).sum(1)
    own = subsets @ kernel.diagonal()
    return torch.where(count > 1, (total - own) / (count * (count - 1)).clamp(min=1), own / count)


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
