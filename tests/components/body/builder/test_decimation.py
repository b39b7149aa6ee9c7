"""Decimation keeps what it promises on meshes whose answer is known."""

import numpy as np
import pytest

from components.body.builder.decimation import decimate


def grid(size: int, seam: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A square sheet with texture; with `seam` its texture is cut along the middle column."""
    x, y = np.meshgrid(np.arange(size + 1.0), np.arange(size + 1.0), indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) / size
    index = np.arange(x.size).reshape(size + 1, size + 1)
    a, b, c, d = index[:-1, :-1].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel(), index[:-1, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    uv, corners = vertices[:, :2].copy(), faces.copy()
    if seam:
        right = vertices[faces].mean(1)[:, 0] > 0.5
        corners[right] += len(uv)
        uv = np.concatenate([0.5 * uv, 0.5 * uv + 0.5])
    return vertices, faces, uv, corners


def boundary_length(vertices: np.ndarray, faces: np.ndarray) -> float:
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(pairs, axis=0, return_counts=True)
    assert counts.max() <= 2
    border = unique[counts == 1]
    return float(np.linalg.norm(vertices[border[:, 0]] - vertices[border[:, 1]], axis=1).sum())


def area(points: np.ndarray, faces: np.ndarray) -> float:
    edges = points[faces[:, 1:]] - points[faces[:, :1]]
    return float((edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum() / 2)


@pytest.mark.parametrize("seam", [False, True])
def test_flat_sheet_keeps_border_and_texture(seam: bool) -> None:
    vertices, faces, uv, corners = grid(8, seam)
    reduced, textured = decimate(vertices, faces, uv, corners, np.ones(len(vertices)), 30)
    assert len(np.unique(reduced)) <= 45
    assert area(vertices[:, :2], reduced) == pytest.approx(1.0)
    assert boundary_length(vertices, reduced) == pytest.approx(4.0)
    # Where the texture is an affine image of the sheet it stays exactly that.
    scale = np.where(textured >= len(vertices), 0.5, 0.0)[..., None] if seam else 0.0
    expected = vertices[reduced][..., :2] * (0.5 if seam else 1.0) + scale
    np.testing.assert_allclose(uv[textured], expected, atol=1e-12)
    assert area(uv, textured) == pytest.approx(0.25 if seam else 1.0)


def test_important_vertices_stay() -> None:
    vertices, faces, uv, corners = grid(8)
    important = (vertices[:, 0] > 0.5) & (vertices[:, 0] < 1.0) & (vertices[:, 1] > 0.0) & (vertices[:, 1] < 1.0)
    reduced, _ = decimate(vertices, faces, uv, corners, np.where(important, 1e6, 1.0), 55)
    assert np.isin(np.nonzero(important)[0], reduced).all()


def test_sphere_keeps_its_form() -> None:
    steps = 24
    u, v = np.meshgrid(np.arange(2 * steps), np.arange(1, steps), indexing="ij")
    theta, phi = np.pi * v / steps, np.pi * u / steps
    ring = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1).reshape(-1, 3)
    vertices = np.concatenate([ring, [[0, 1, 0], [0, -1, 0]]])
    index = np.arange(len(ring)).reshape(2 * steps, steps - 1)
    a, b = index, np.roll(index, -1, axis=0)
    top, bottom = len(ring), len(ring) + 1
    faces = np.concatenate(
        [
            np.stack([a[:, :-1], b[:, 1:], a[:, 1:]], -1).reshape(-1, 3),
            np.stack([a[:, :-1], b[:, :-1], b[:, 1:]], -1).reshape(-1, 3),
            np.stack([np.full(2 * steps, top), b[:, 0], a[:, 0]], -1),
            np.stack([np.full(2 * steps, bottom), a[:, -1], b[:, -1]], -1),
        ]
    )
    # The upper cap only: seen from above it is its own texture without flips.
    upper = faces[(vertices[faces][:, :, 1] > 0.2).all(axis=1)]
    uv = vertices[:, [0, 2]] / 2 + 0.5
    reduced, _ = decimate(vertices, upper, uv, upper, np.ones(len(vertices)), 150)
    assert len(np.unique(reduced)) <= 170
    assert boundary_length(vertices, reduced) > 0.97 * boundary_length(vertices, upper)
    centres = vertices[reduced].mean(axis=1)
    assert np.linalg.norm(centres, axis=1).min() > 0.93
    assert np.linalg.norm(vertices[np.unique(reduced)], axis=1) == pytest.approx(1.0)


def test_same_input_same_output() -> None:
    vertices, faces, uv, corners = grid(6)
    first = decimate(vertices, faces, uv, corners, np.ones(len(vertices)), 20)
    second = decimate(vertices, faces, uv, corners, np.ones(len(vertices)), 20)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
