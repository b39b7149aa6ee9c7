"""The rasteriser against a slow reference in float64, and its corner cases."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.geometry.meshes import capsule_figure, face_corners
from components.rendering.rasterizer import barycentric_weights, rasterize, visible_fragments


def reference(faces: np.ndarray, height: int, width: int, near: float, far: float) -> tuple[np.ndarray, ...]:
    """The rule, pixel by pixel and face by face, in float64: face index, weights, depth and the next depth."""
    faces = faces.astype(np.float64)
    index = np.full((height, width), -1)
    weights = np.zeros((height, width, 3))
    depth = np.full((height, width), far)
    second = np.full((height, width), np.inf)
    for row in range(height):
        for column in range(width):
            x, y = (2 * column + 1 - width) / width, (height - 1 - 2 * row) / height
            for number, ((x0, y0, z0), (x1, y1, z1), (x2, y2, z2)) in enumerate(faces):
                area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
                if not area > 0:
                    continue
                edges = np.array(
                    [
                        (x1 - x) * (y2 - y) - (x2 - x) * (y1 - y),
                        (x2 - x) * (y0 - y) - (x0 - x) * (y2 - y),
                        (x0 - x) * (y1 - y) - (x1 - x) * (y0 - y),
                    ]
                )
                if (edges < 0).any():
                    continue
                share = np.clip(edges / area, 0, 1)
                share /= share.sum()
                here = 1 / (share / (z0, z1, z2)).sum()
                if not near < here < far:
                    continue
                if here < depth[row, column]:
                    second[row, column] = depth[row, column]
                    index[row, column], weights[row, column], depth[row, column] = number, share, here
                else:
                    second[row, column] = min(second[row, column], here)
    return index, weights, depth, second


# Multiples of 1/16 on a picture whose sides are powers of two: edges run through pixel centres and all sums are exact.
grid_points = st.tuples(st.integers(-24, 24), st.integers(-24, 24), st.integers(1, 320)).map(
    lambda p: (p[0] / 16, p[1] / 16, p[2] / 32)
)
triangles = st.lists(st.tuples(grid_points, grid_points, grid_points), min_size=1, max_size=7)


@settings(max_examples=80, deadline=None)
@given(triangles)
def test_agrees_with_the_reference_on_random_triangles(corners: list) -> None:
    faces = np.array(corners, dtype=np.float32)
    height, width, near, far = 8, 16, 0.5, 8.0
    expected, weights, depth, second = reference(faces, height, width, near, far)
    rasters = rasterize(torch.from_numpy(faces)[None], (height, width), near, far)
    # Depths closer than float32 tells apart may be ordered either way, as may a depth at near or far.
    clear = (second - depth > 1e-4) & (abs(depth - near) > 1e-4) & ((abs(depth - far) > 1e-4) | (expected < 0))
    actual = rasters.face_index[0].numpy()
    np.testing.assert_array_equal(actual[clear], expected[clear])
    same = (actual == expected) & (expected >= 0)
    np.testing.assert_allclose(rasters.weights[0].numpy()[same], weights[same], atol=2e-5)
    np.testing.assert_allclose(rasters.depth[0].numpy()[same], depth[same], rtol=2e-5)
    assert (rasters.depth[0].numpy()[actual < 0] == far).all()
    assert (rasters.weights[0].numpy()[actual < 0] == 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.tuples(st.integers(1, 40), st.integers(1, 40)), chunk=st.integers(1, 500))
def test_chunks_of_any_size_give_the_same(seed: int, size: tuple[int, int], chunk: int) -> None:
    faces = random_faces(seed, 2, 12)
    for whole, parts in zip(rasterize(faces, size), rasterize(faces, size, chunk=chunk), strict=True):
        assert torch.equal(whole, parts)


def random_faces(seed: int, batch: int, count: int, spread: float = 1.5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    faces = torch.rand(batch, count, 3, 3, generator=generator) * 2 * spread - spread
    faces[..., 2] = torch.rand(batch, count, 3, generator=generator) * 5 + 0.2
    return faces


def test_a_batch_equals_a_loop() -> None:
    faces = random_faces(3, 5, 40)
    together = rasterize(faces, (33, 21))
    for index in range(len(faces)):
        alone = rasterize(faces[index : index + 1], (33, 21))
        for many, one in zip(together, alone, strict=True):
            assert torch.equal(many[index], one[0])


def square(z: float, low: float = -1.0, high: float = 1.0) -> list[list[list[float]]]:
    a, b, c, d = [low, low, z], [high, low, z], [high, high, z], [low, high, z]
    return [[a, b, c], [a, c, d]]


def test_of_equal_depths_the_lower_face_wins() -> None:
    twice = torch.tensor([square(2.0) + square(2.0)])
    rasters = rasterize(twice, 16)
    assert set(rasters.face_index.unique().tolist()) == {0, 1}
    front = torch.tensor([square(2.0) + square(1.5)])
    assert set(rasterize(front, 16).face_index.unique().tolist()) == {2, 3}


def test_no_gap_and_no_seam_in_a_closed_fan() -> None:
    """Triangles round a point cover their outline without holes, whatever the rounding of the shared edges."""
    generator = torch.Generator().manual_seed(0)
    angle = torch.sort(torch.rand(60, generator=generator) * 2 * math.pi).values
    angle = torch.cat([torch.linspace(0, 2 * math.pi, 9)[:-1], angle]).sort().values
    rim = 1.7 * torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)
    middle = torch.tensor([0.0123, -0.0456]).expand_as(rim)
    faces = torch.stack([middle, rim, rim.roll(-1, 0)], dim=1)
    faces = torch.cat([faces, torch.full_like(faces[..., :1], 3.0)], dim=-1)
    assert rasterize(faces[None], 301).mask.all()


def test_clockwise_degenerate_and_broken_faces_draw_nothing() -> None:
    good = torch.tensor(square(2.0)[0])
    clockwise = good[[0, 2, 1]]
    point = good[[0, 0, 0]]
    line = torch.tensor([[-1.0, -1.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    broken = []
    for value in (math.nan, math.inf, -math.inf):
        for corner in range(3):
            for axis in range(3):
                face = good.clone()
                face[corner, axis] = value
                broken.append(face)
    faces = torch.stack([clockwise, point, line, *broken])
    assert not rasterize(faces[None], 32).mask.any()
    assert rasterize(torch.cat([faces, good[None]])[None], 32).face_index.max() == len(faces)


def test_depth_limits_are_open() -> None:
    faces = torch.tensor([square(2.0)])
    assert rasterize(faces, 8, near=1.9, far=2.1).mask.all()
    assert not rasterize(faces, 8, near=2.0, far=5.0).mask.any()
    assert not rasterize(faces, 8, near=0.1, far=2.0).mask.any()
    assert not rasterize(torch.tensor([square(-2.0)]), 8).mask.any()


def test_a_face_far_larger_than_the_picture_costs_only_the_picture() -> None:
    rasters = rasterize(torch.tensor([[[[-1e6, -1e6, 2.0], [1e6, -1e6, 2.0], [0.0, 1e6, 2.0]]]]), (40, 24))
    assert rasters.mask.all()
    torch.testing.assert_close(rasters.depth, torch.full((1, 40, 24), 2.0))


def test_empty_meshes_and_faces_outside() -> None:
    empty = rasterize(torch.zeros(2, 0, 3, 3), (5, 7), far=9.0)
    assert empty.face_index.shape == (2, 5, 7)
    assert (empty.face_index == -1).all()
    assert (empty.depth == 9.0).all()
    assert not rasterize(torch.tensor([square(2.0, 1.5, 3.0)]), 16).mask.any()
    assert rasterize(torch.zeros(0, 3, 3, 3), 4).weights.shape == (0, 4, 4, 3)


def test_faces_between_pixel_centres_are_skipped() -> None:
    tiny = torch.tensor([[[[0.01, 0.01, 1.0], [0.02, 0.01, 1.0], [0.01, 0.02, 1.0]]]])
    assert not rasterize(tiny, 16).mask.any()
    assert rasterize(tiny - torch.tensor([0.01, 0.01, 0.0]), 15).mask.sum() == 1  # odd size: a centre at the origin


def test_weights_rebuild_the_pixel_centre() -> None:
    faces = random_faces(11, 2, 30)
    rasters = rasterize(faces, (24, 36))
    image, row, column = rasters.mask.nonzero().unbind(1)
    corners = faces[image, rasters.face_index[image, row, column]]
    place = (corners[..., :2] * rasters.weights[image, row, column].unsqueeze(-1)).sum(1)
    centre = torch.stack([(2 * column + 1 - 36) / 36, (24 - 1 - 2 * row) / 24], dim=1)
    torch.testing.assert_close(place, centre, atol=2e-5, rtol=0)


def test_fragments_are_the_covered_pixels_of_the_maps() -> None:
    faces = random_faces(5, 3, 20)
    rasters, fragments = rasterize(faces, 32), visible_fragments(faces, 32)
    assert torch.equal(rasters.mask.reshape(-1).nonzero().squeeze(1), fragments.pixel)
    expected = rasters.face_index.reshape(-1)[fragments.pixel] + fragments.pixel // (32 * 32) * 20
    assert torch.equal(expected, fragments.face)
    assert torch.equal(rasters.weights.reshape(-1, 3)[fragments.pixel], fragments.weights)


def test_dtype_follows_the_input_and_half_precision_is_widened() -> None:
    faces = random_faces(7, 1, 10)
    double = rasterize(faces.double(), 16)
    assert double.weights.dtype == double.depth.dtype == torch.float64
    assert torch.equal(double.face_index, rasterize(faces, 16).face_index)
    assert rasterize(faces.bfloat16(), 16).weights.dtype == torch.float32


def test_weights_have_a_gradient_where_asked() -> None:
    faces = random_faces(2, 2, 6).double()
    rasters = rasterize(faces.requires_grad_(), 6)
    assert not rasters.weights.requires_grad
    again = barycentric_weights(faces, rasters.face_index)
    torch.testing.assert_close(again, rasters.weights)

    # Away from the border of a face (where the clamp has a kink) the analytic gradient equals the numeric one.
    inner = rasters.face_index.clone()
    inner[(rasters.weights < 1e-3).any(-1)] = -1
    assert (inner >= 0).any()
    assert torch.autograd.gradcheck(
        lambda corners: barycentric_weights(corners, inner), faces.detach().requires_grad_()
    )


def test_a_body_of_13776_faces_is_closed_in_the_picture() -> None:
    vertices, faces = capsule_figure()
    assert faces.shape == (13776, 3)
    seen = (vertices - vertices.mean(0)) * torch.tensor([1.0, 1.0, -1.0]) + torch.tensor([0.0, 0.0, 3.0])
    rasters = rasterize(face_corners(seen, faces)[None], 256)
    assert 0.05 < rasters.mask.float().mean() < 0.5
    # A pixel whose four neighbours are covered is covered: there are no pinholes.
    mask = rasters.mask[0]
    closed = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    assert not (closed & ~mask[1:-1, 1:-1]).any()


@pytest.mark.parametrize(("near", "far"), [(-0.1, 1.0), (1.0, 1.0), (2.0, 1.0)])
def test_wrong_ranges_are_refused(near: float, far: float) -> None:
    with pytest.raises(ValueError, match="near"):
        rasterize(torch.zeros(1, 1, 3, 3), 4, near, far)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\[B, F, 3, 3\]"):
        rasterize(torch.zeros(1, 3, 3), 4)
    with pytest.raises(ValueError, match="image_size"):
        rasterize(torch.zeros(1, 1, 3, 3), (0, 4))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_the_gpu_agrees_with_the_cpu() -> None:
    faces = random_faces(9, 4, 200)
    here, there = rasterize(faces, (64, 48)), rasterize(faces.cuda(), (64, 48))
    assert torch.equal(here.face_index, there.face_index.cpu())
    torch.testing.assert_close(here.weights, there.weights.cpu(), atol=1e-5, rtol=0)
