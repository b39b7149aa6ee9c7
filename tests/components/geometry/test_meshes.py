import math

import pytest
import torch

from components.geometry.meshes import (
    capsule,
    capsule_figure,
    face_corners,
    face_normals,
    join_meshes,
    vertex_normals,
)

CUBE = torch.tensor([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
CUBE_FACES = torch.tensor(
    [0, 1, 3, 0, 3, 2, 4, 6, 7, 4, 7, 5, 0, 4, 5, 0, 5, 1, 2, 3, 7, 2, 7, 6, 0, 2, 6, 0, 6, 4, 1, 5, 7, 1, 7, 3]
).reshape(12, 3)


def signed_volume(vertices: torch.Tensor, faces: torch.Tensor) -> float:
    a, b, c = face_corners(vertices, faces).unbind(-2)
    return float((torch.linalg.cross(a, b, dim=-1) * c).sum() / 6)


def test_corners_and_normals_of_a_cube() -> None:
    assert signed_volume(CUBE, CUBE_FACES) == pytest.approx(8.0)
    assert torch.equal(face_corners(CUBE, CUBE_FACES), CUBE[CUBE_FACES])
    normals = face_normals(CUBE, CUBE_FACES)
    middle = face_corners(CUBE, CUBE_FACES).mean(1)
    assert torch.equal(normals, normals.round())
    assert ((normals * middle).sum(-1) > 0.9).all()
    areas = face_normals(CUBE, CUBE_FACES, unit=False).norm(dim=-1) / 2
    torch.testing.assert_close(areas, torch.full((12,), 2.0))


def test_vertex_normals_are_area_weighted_means() -> None:
    batch = torch.stack([CUBE, CUBE * torch.tensor([1.0, 2.0, 0.5])])
    actual = vertex_normals(batch, CUBE_FACES)
    expected = torch.zeros_like(batch)
    for image in range(2):
        for face, normal in zip(CUBE_FACES, face_normals(batch[image], CUBE_FACES, unit=False), strict=True):
            expected[image, face] += normal
    torch.testing.assert_close(actual, torch.nn.functional.normalize(expected, dim=-1))


def test_an_unused_vertex_has_no_normal() -> None:
    normals = vertex_normals(torch.cat([CUBE, torch.zeros(1, 3)]), CUBE_FACES)
    assert torch.equal(normals[-1], torch.zeros(3))


def test_a_capsule_is_closed_outward_and_of_the_right_size() -> None:
    start, end, radius = torch.tensor([0.2, 0.1, 0.0]), torch.tensor([0.2, 0.9, 0.6]), 0.25
    vertices, faces = capsule(start, end, radius, radius, around=48, along=60)
    assert vertices.shape == (48 * 60 + 2, 3)
    assert faces.shape == (2 * 48 * 60, 3)
    volume = math.pi * radius**2 * 1.0 + 4 / 3 * math.pi * radius**3
    assert signed_volume(vertices, faces) == pytest.approx(volume, rel=0.02)
    # Every edge occurs once in each direction: the surface is closed and consistently oriented.
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    code, back = edges[:, 0] * len(vertices) + edges[:, 1], edges[:, 1] * len(vertices) + edges[:, 0]
    assert len(code.unique()) == len(code)
    assert torch.equal(code.sort().values, back.sort().values)


def test_capsule_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="along >= 2"):
        capsule(torch.zeros(3), torch.ones(3), 0.1, 0.1, around=8, along=1)


def test_joined_meshes_keep_their_shapes() -> None:
    vertices, faces = join_meshes([(CUBE, CUBE_FACES), (CUBE + 5, CUBE_FACES)])
    assert torch.equal(face_corners(vertices, faces)[12:], face_corners(CUBE + 5, CUBE_FACES))
    assert signed_volume(vertices, faces) == pytest.approx(16.0, rel=1e-4)


def test_the_figure_has_as_many_faces_as_smpl() -> None:
    vertices, faces = capsule_figure()
    assert faces.shape == (13776, 3)
    assert int(faces.max()) == len(vertices) - 1
    assert signed_volume(vertices, faces) == pytest.approx(0.08, abs=0.02)
