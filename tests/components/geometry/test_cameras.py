import math

import pytest
import torch

from components.geometry.cameras import (
    LookAtCamera,
    field_of_view,
    look_at_rotation,
    weak_perspective,
    weak_perspective_raster,
)


def test_weak_perspective_by_hand() -> None:
    points = torch.tensor([[[1.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]])
    camera = torch.tensor([[2.0, 0.5, -1.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(weak_perspective(points, camera), torch.tensor([[[3.0, 2.0, 3.0]], [[1.0, 2.0, 3.0]]]))
    expected = torch.tensor([[[3.0, -2.0, 5.7320508]], [[1.0, -2.0, 5.7320508]]])
    torch.testing.assert_close(weak_perspective_raster(points, camera), expected)


def test_weak_perspective_equals_an_orthographic_look_at_camera() -> None:
    points = torch.randn(1, 20, 3, generator=torch.Generator().manual_seed(0))
    distance = 1 / math.tan(math.radians(30)) + 1
    # After y is negated, that renderer looks from -z along +z, with +x to the right: a mirrored picture of our world.
    ours = LookAtCamera(torch.tensor([0.0, 0.0, distance]), torch.zeros(3), 1.0, kind="orthographic")
    mirrored = points * torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(
        ours.to_raster(mirrored), weak_perspective_raster(points, torch.tensor([[1.0, 0.0, 0.0]])), atol=1e-6, rtol=0
    )


def test_a_camera_in_front_sees_world_axes_upright() -> None:
    camera = LookAtCamera(torch.tensor([0.0, 0.0, 4.0]), torch.zeros(3), field_of_view(90.0), aspect=2.0)
    x, y, depth = camera.to_raster(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])).unbind(-1)
    torch.testing.assert_close(x, torch.tensor([0.125, 0.0, 0.0]))
    torch.testing.assert_close(y, torch.tensor([0.0, 0.25, 0.0]))
    torch.testing.assert_close(depth, torch.tensor([4.0, 4.0, 3.0]))


@pytest.mark.parametrize("kind", ["perspective", "orthographic"])
def test_rays_hit_the_points_they_are_drawn_at(kind: str) -> None:
    eye = torch.tensor([[1.0, 2.0, 3.0], [-2.0, 0.5, 1.0]])
    camera = LookAtCamera(eye, torch.tensor([[0.1, 0.0, 0.2], [0.0, 0.0, 0.0]]), 0.7, aspect=1.5, kind=kind)  # type: ignore[arg-type]
    origin, direction = camera.rays(6, 9)
    depth = torch.rand(2, 6, 9, 1, generator=torch.Generator().manual_seed(1)) + 0.5
    seen = camera.to_raster((origin + depth * direction).flatten(1, 2)).unflatten(1, (6, 9))
    torch.testing.assert_close(seen[..., 2:], depth, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[0, 0, :, 0], (2 * torch.arange(9.0) + 1 - 9) / 9, atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[1, :, 0, 1], (5 - 2 * torch.arange(6.0)) / 6, atol=1e-5, rtol=0)


def test_look_at_is_a_rotation() -> None:
    eye = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    rotation = look_at_rotation(eye, torch.zeros(3), torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), torch.eye(3).expand(50, 3, 3), atol=1e-5, rtol=0)
    # Rows right, up, forward: forward points away from the viewer, so this frame is left-handed.
    torch.testing.assert_close(torch.linalg.det(rotation), -torch.ones(50))


def test_field_of_view_is_checked() -> None:
    assert field_of_view(90.0) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="field of view"):
        field_of_view(180.0)
