"""Principal axes: the directions in which points differ most."""

from dataclasses import dataclass

import torch
from torch import Tensor

from components.errors import InputError


@dataclass(frozen=True)
class PrincipalAxes:
    """The plane, or the subspace, in which points differ most."""

    centre: Tensor  # [D]
    axes: Tensor  # [K, D] orthonormal
    share: tuple[float, ...]
    """Share of the total variance along each axis."""

    def project(self, points: Tensor) -> Tensor:
        """`[N, D]` to coordinates `[N, K]`."""
        return (points - self.centre) @ self.axes.T


def principal_axes(points: Tensor, count: int = 2) -> PrincipalAxes:
    """First principal axes of points `[N, D]`; each points to where its largest entry is positive.

    Args:
        points: `[N, D]`.
        count: K, axes; at most D are there.

    Raises:
        InputError: fewer than two dimensions.
    """
    if points.shape[1] < 2:
        raise InputError(f"a latent space of {points.shape[1]} dimension has no plane to look at")
    centre = points.mean(0)
    # Of the D x D scatter: there may be fewer points than dimensions, even a single one.
    values, vectors = torch.linalg.eigh((points - centre).double().T @ (points - centre).double())
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    axes = vectors.T
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    total = float((points - centre).double().square().sum())
    share = [float(value.clamp(min=0)) / total if total > 0 else 0.0 for value in values]
    return PrincipalAxes(centre, (axes * signs).to(points.dtype), tuple(share))
