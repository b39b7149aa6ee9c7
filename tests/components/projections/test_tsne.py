import pytest
import torch
from torch import Tensor

from components.errors import InputError
from components.projections.tsne import tsne


def clusters() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 4
    return torch.randn(4, 70, generator=generator)[labels] * 2 + torch.randn(60, 70, generator=generator), labels


def test_clusters_come_apart() -> None:
    points, labels = clusters()
    spots = tsne(points, perplexity=8, iterations=400)
    assert spots.shape == (60, 2)
    nearest = torch.cdist(spots, spots).fill_diagonal_(torch.inf).argmin(1)
    assert float((labels[nearest] == labels).float().mean()) > 0.95
    within = torch.stack([spots[labels == label].std(0).norm() for label in range(4)]).mean()
    assert float(spots.std(0).norm() / within) > 3
    assert torch.equal(spots, tsne(points, perplexity=8, iterations=400))


def test_equal_points_and_few_points() -> None:
    assert tsne(torch.ones(9, 5), iterations=20).isfinite().all()
    line = tsne(torch.arange(9.0)[:, None] * torch.ones(1, 2), iterations=50)
    assert line.isfinite().all()
    with pytest.raises(InputError, match="at least 8 points, got 7"):
        tsne(torch.zeros(7, 3))
    with pytest.raises(InputError, match="not finite"):
        tsne(torch.full((9, 3), torch.nan))
    with pytest.raises(InputError, match="perplexity=0"):
        tsne(torch.zeros(9, 3), perplexity=0)
