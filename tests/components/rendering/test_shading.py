import math

import pytest
import torch

from components.geometry.meshes import face_corners
from components.rendering.rasterizer import rasterize, visible_fragments
from components.rendering.shading import (
    Lights,
    decode_gamma,
    encode_gamma,
    gather_vertices,
    interpolate,
    lambert,
    perspective_weights,
    silhouette,
)


@pytest.fixture
def mesh() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    vertices = torch.rand(2, 12, 3, generator=generator) * 2 - 1
    vertices[..., 2] += 3
    return vertices, torch.randint(0, 12, (20, 3), generator=generator)


def test_positions_interpolate_to_the_pixel_centres(mesh: tuple[torch.Tensor, torch.Tensor]) -> None:
    corners = face_corners(*mesh)
    rasters = rasterize(corners, (20, 30))
    place = interpolate(rasters, corners[..., :2])
    x = (2 * torch.arange(30) + 1 - 30) / 30
    mask = rasters.mask
    torch.testing.assert_close(place[..., 0][mask], x.expand(2, 20, 30)[mask], atol=1e-5, rtol=0)
    assert (place[~mask] == 0).all()
    assert torch.equal(silhouette(rasters), mask.float())


def test_attributes_shared_by_the_batch_and_background(mesh: tuple[torch.Tensor, torch.Tensor]) -> None:
    rasters = rasterize(face_corners(*mesh), 16)
    shared = torch.randn(20, 3, 4, generator=torch.Generator().manual_seed(0))
    once = interpolate(rasters, shared, background=-7.0)
    torch.testing.assert_close(once, interpolate(rasters, shared.expand(2, 20, 3, 4), background=-7.0))
    assert (once[~rasters.mask] == -7).all()


def test_colours_get_a_gradient(mesh: tuple[torch.Tensor, torch.Tensor]) -> None:
    rasters = rasterize(face_corners(*mesh), 16)
    colors = torch.rand(20, 3, 3, requires_grad=True)
    interpolate(rasters, colors).sum().backward()
    used = torch.zeros(20, dtype=torch.bool)
    used[rasters.face_index[rasters.mask].unique()] = True
    assert torch.equal(colors.grad.abs().sum((1, 2)) > 0, used)
    torch.testing.assert_close(colors.grad.sum(), 3.0 * rasters.mask.sum())


def test_fragments_and_maps_blend_alike(mesh: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = mesh
    corners = face_corners(vertices, faces)
    dense, fragments = interpolate(rasterize(corners, 24), corners), visible_fragments(corners, 24)
    torch.testing.assert_close(gather_vertices(vertices, faces, fragments), dense.reshape(-1, 3)[fragments.pixel])
    shared = gather_vertices(vertices[0], faces, fragments)
    first = fragments.pixel < 24 * 24
    torch.testing.assert_close(shared[first], dense.reshape(-1, 3)[fragments.pixel[first]])


def test_perspective_weights_give_the_point_on_the_face_in_space() -> None:
    corners = torch.tensor([[-1.0, 0.0, 2.0], [2.0, 0.5, 4.0], [0.0, 3.0, 8.0]], dtype=torch.float64)
    inside = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    point = inside @ corners
    # Screen-space weights of the projected point, by solving for them.
    screen = torch.cat([corners[:, :2] / corners[:, 2:], torch.ones(3, 1, dtype=torch.float64)], dim=1)
    flat = torch.linalg.solve(screen.T, torch.cat([point[:2] / point[2], torch.ones(1, dtype=torch.float64)]))
    torch.testing.assert_close(perspective_weights(flat, corners[:, 2]), inside)


def test_lambert_and_wrapped_light() -> None:
    normals = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    up = torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(lambert(normals, up), torch.tensor([1.0, 0.0, 0.0]))
    torch.testing.assert_close(lambert(normals, up, wrap=0.5), torch.tensor([1.0, 1 / 3, 0.0]))


def test_lights_turn_with_the_camera_and_shadow_darkens() -> None:
    lights = Lights(key=(0.0, 0.0, 1.0))
    turned = lights.turned(90.0).key
    assert turned == pytest.approx((1.0, 0.0, 0.0), abs=1e-9)
    normal = torch.tensor([[0.0, math.sqrt(0.5), math.sqrt(0.5)]])
    lit = lights.shade(torch.tensor([0.5, 0.5, 0.5]), normal, normal)
    dark = lights.shade(torch.tensor([0.5, 0.5, 0.5]), normal, normal, torch.zeros(1))
    assert (lit > dark + 0.1).all()
    assert (dark > 0.05).all()


def test_gamma_there_and_back() -> None:
    values = torch.linspace(0, 1, 11)
    torch.testing.assert_close(encode_gamma(decode_gamma(values)), values)
    assert encode_gamma(torch.tensor([-1.0, 4.0])).tolist() == [0.0, 1.0]
