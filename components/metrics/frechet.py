"""Frechet distance of two sets of features, each taken for a Gaussian (FID; Heusel et al. 2017, equation 6)."""

import torch
from torch import Tensor
from torchmetrics import Metric


def gaussian_fit(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean `[D]` and covariance `[D, D]` of features `[N, D]`, float64.

    The covariance divides by N - 1. A single sample has none: its Gaussian is the point itself, covariance 0.

    Raises:
        ValueError: no sample.
    """
    if features.ndim != 2 or len(features) == 0:
        raise ValueError(
            f"features of shape {list(features.shape)}: expected [samples, features] and at least 1 sample"
        )
    features = features.double()
    mean = features.mean(dim=0)
    centred = features - mean
    return mean, centred.T @ centred / max(len(features) - 1, 1)


def gaussian_distance(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> Tensor:
    """Squared Frechet distance of two Gaussians, a scalar in float64.

    |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2). The last trace is the sum of the singular values of
    C1^(1/2) C2^(1/2), with the roots from the eigenvalues of the covariances. Nothing is inverted and no root is taken
    of a rounding error, so singular covariances (fewer samples than features) are as good as others.

    Args:
        mean, other_mean: `[D]`.
        covariance, other_covariance: `[D, D]`, symmetric.

    Returns:
        At least 0; NaN where an input is not finite.
    """
    inputs = [value.double() for value in (mean, covariance, other_mean, other_covariance)]
    if not all(bool(value.isfinite().all()) for value in inputs):
        return inputs[0].new_tensor(torch.nan)
    mean, covariance, other_mean, other_covariance = inputs
    shift = (mean - other_mean).square().sum()
    common = torch.linalg.svdvals(_root(covariance) @ _root(other_covariance)).sum()
    return (shift + covariance.trace() + other_covariance.trace() - 2 * common).clamp(min=0.0)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    return (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T


def frechet_distance(features: Tensor, other: Tensor) -> Tensor:
    """Squared Frechet distance of Gaussian fits of two sets of features `[N, D]` and `[M, D]`; see `gaussian_distance`.

    Raises:
        ValueError: an empty set.
    """
    return gaussian_distance(*gaussian_fit(features), *gaussian_fit(other))


class FrechetDistance(Metric):
    """`frechet_distance` over batches and ranks: only counts, sums and products are kept, in float64.

    The products are not centred; in float64 that costs nothing for features whose mean is not thousands of times their
    spread.

    Args:
        feature_size: D.
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False
    counts: Tensor
    sums: Tensor
    products: Tensor

    def __init__(self, feature_size: int) -> None:
        super().__init__()
        # Row 0: real, row 1: generated.
        size = feature_size
        self.add_state("counts", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("sums", torch.zeros(2, size, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("products", torch.zeros(2, size, size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Add features `[N, D]` of real or of generated samples."""
        features = features.detach().double()
        row = 0 if real else 1
        self.counts[row] += len(features)
        self.sums[row] += features.sum(dim=0)
        self.products[row] += features.T @ features

    def compute(self) -> Tensor:
        """The distance; NaN as long as one of the sets is empty."""
        if int(self.counts.min()) == 0:
            return self.sums.new_tensor(torch.nan)
        fits = []
        for count, total, product in zip(self.counts, self.sums, self.products):
            mean = total / count
            fits += [mean, (product - count * torch.outer(mean, mean)) / (count - 1).clamp(min=1)]
        return gaussian_distance(*fits)
