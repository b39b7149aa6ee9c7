"""t-SNE: points in a plane, so that near neighbours stay near (van der Maaten and Hinton 2008).

Exact, all pairs at once: for up to a few thousand points. There is no chance in it: it begins with the principal axes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from components.errors import InputError
from components.projections.principal_axes import principal_axes

# Before the first steps attract with more than their share, so that clusters form (the paper's early exaggeration).
_EXAGGERATION, _EXAGGERATED_STEPS = 12.0, 250
_FEWEST = 8


def tsne(
    points: Tensor,
    perplexity: float = 30.0,
    iterations: int = 1000,
    dimensions: int = 50,
    told: Callable[[int], None] | None = None,
) -> Tensor:
    """Coordinates `[N, 2]` of points `[N, D]`, float32 on their device.

    Args:
        points: at least 8, finite.
        perplexity: neighbours that count; at most a third of the points.
        iterations: steps of gradient descent.
        dimensions: principal axes that distances are taken in; points of fewer dimensions stay as they are.
        told: called with 1 after every step.

    Raises:
        InputError: too few points, points that are not finite, or a setting out of range.
    """
    if len(points) < _FEWEST:
        raise InputError(f"t-SNE needs at least {_FEWEST} points, got {len(points)}")
    if perplexity <= 1 or iterations < 1:
        raise InputError(f"t-SNE: perplexity={perplexity} must be above 1, iterations={iterations} at least 1")
    if not bool(points.isfinite().all()):
        raise InputError("t-SNE: some points are not finite")
    axes = principal_axes(points.double(), dimensions)
    places = axes.project(points.double())
    wanted = _neighbourhoods(places, min(perplexity, (len(points) - 1) / 3)).float()
    spots = places[:, :2] / places[:, 0].std().clamp(min=1e-12) * 1e-4
    spots = spots.float()
    rate = max(len(points) / _EXAGGERATION / 4, 50.0)
    speed, gains = torch.zeros_like(spots), torch.ones_like(spots)
    for step in range(iterations):
        early = step < min(_EXAGGERATED_STEPS, iterations // 2)
        # Distances by differences: those by scalar products lose all digits of near points.
        across, along = (spots[:, axis, None] - spots[None, :, axis] for axis in (0, 1))
        near = 1 / (1 + across * across + along * along)
        near.fill_diagonal_(0)
        pull = (wanted * (_EXAGGERATION if early else 1.0) - near / near.sum()) * near
        slope = 4 * (pull.sum(1, keepdim=True) * spots - pull @ spots)
        turned = slope.sign() != speed.sign()
        gains = torch.where(turned, gains + 0.2, gains * 0.8).clamp(min=0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gains * slope
        spots = spots + speed
        spots = spots - spots.mean(0)
        if told is not None:
            told(1)
    return spots


def _neighbourhoods(points: Tensor, perplexity: float) -> Tensor:
    """Joint probabilities `[N, N]`: Gaussians whose widths give every point the same number of neighbours."""
    count = len(points)
    squared = torch.cdist(points, points).square()
    squared = squared / squared.mean().clamp(min=1e-30)
    squared.fill_diagonal_(torch.inf)
    low, high = squared.new_zeros(count, 1), squared.new_full((count, 1), torch.inf)
    beta = torch.ones_like(low)
    target = torch.tensor(perplexity, dtype=points.dtype, device=points.device).log()
    for _ in range(60):
        weights = (-beta * (squared - squared.amin(1, keepdim=True))).exp()
        shares = weights / weights.sum(1, keepdim=True)
        entropy = -(shares * shares.clamp(min=1e-300).log()).sum(1, keepdim=True)
        wide = entropy > target
        low, high = torch.where(wide, beta, low), torch.where(wide, high, beta)
        beta = torch.where(high.isinf(), beta * 2, (low + high) / 2)
    joint = shares + shares.T
    return joint / joint.sum()
