import pytest
import torch

from components.errors import InputError
from components.projections.principal_axes import principal_axes


def test_axes_of_points_on_a_tilted_line() -> None:
    direction = torch.tensor([3.0, 0.0, 4.0]) / 5
    points = torch.linspace(-2, 2, 9)[:, None] * direction + torch.tensor([1.0, 2.0, 3.0])
    axes = principal_axes(points)
    torch.testing.assert_close(axes.axes[0], direction)
    torch.testing.assert_close(axes.project(points)[:, 0], torch.linspace(-2, 2, 9))
    assert axes.share[0] == pytest.approx(1.0)
    assert axes.share[1] == pytest.approx(0.0, abs=1e-6)
    torch.testing.assert_close(axes.axes @ axes.axes.T, torch.eye(2), atol=1e-6, rtol=0)


def test_axes_of_a_single_point_and_of_a_line() -> None:
    axes = principal_axes(torch.ones(1, 4))
    assert axes.share == (0.0, 0.0)
    assert torch.equal(axes.project(torch.ones(1, 4)), torch.zeros(1, 2))
    with pytest.raises(InputError, match="no plane"):
        principal_axes(torch.ones(5, 1))


def test_more_axes_come_in_order_of_variance() -> None:
    spread = torch.tensor([1.0, 4.0, 2.0, 3.0])
    points = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0)) * spread
    axes = principal_axes(points, 3)
    assert axes.axes.abs().argmax(1).tolist() == [1, 3, 2]
    assert list(axes.share) == pytest.approx([16 / 30, 9 / 30, 4 / 30], abs=0.02)
    assert principal_axes(points, 50).project(points).shape == (4000, 4)
