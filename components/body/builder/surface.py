"""The skin of our body: one half of MakeHuman's quads, reduced and mirrored, so that left and right agree exactly."""

from dataclasses import dataclass

import numpy as np

from components.body.builder.decimation import decimate
from components.body.builder.makehuman import BaseMesh

_EYES = ("helper-l-eye", "helper-r-eye")


@dataclass(frozen=True)
class Surface:
    """Triangles over MakeHuman's vertices.

    Attributes:
        faces: `[F, 3]` vertex indices, counter-clockwise from outside.
        uv_faces: `[F, 3]` indices into MakeHuman's texture coordinates.
        eye_faces: `[F]` bool, the eyeballs.
    """

    faces: np.ndarray
    uv_faces: np.ndarray
    eye_faces: np.ndarray


def reduced_surface(mesh: BaseMesh, vertices: np.ndarray, importance: np.ndarray, target: int) -> Surface:
    """Body skin and eyeballs with at most `target` vertices.

    Args:
        mesh: MakeHuman's mesh.
        vertices: `[V, 3]` the pose in which errors are measured, mirror symmetric.
        importance: `[V]` factor on the cost of removing a vertex.
        target: vertices of the whole surface.
    """
    eyes = [_triangles(vertices, mesh.quads[name], mesh.uv_quads[name]) for name in _EYES]
    eye_count = sum(len(np.unique(faces)) for faces, _ in eyes)
    middle = mesh.mirror == np.arange(len(mesh.mirror))
    left = (mesh.vertices[:, 0] > 0) | middle
    half = left[mesh.quads["body"]].all(axis=1)
    faces, uv_faces = _triangles(vertices, mesh.quads["body"][half], mesh.uv_quads["body"][half])
    # Vertices in the mirror plane count once. How many remain is known afterwards: the second run is exact.
    wanted = (target - eye_count) // 2
    for _ in range(2):
        reduced, uv_reduced = decimate(vertices, faces, mesh.uv_coords, uv_faces, importance, wanted)
        wanted = (target - eye_count + int(middle[np.unique(reduced)].sum())) // 2 - 2
    uv_mirror = _texture_mirror(mesh)
    uv_mirrored = np.vectorize(lambda vertex, corner: uv_mirror[vertex, corner])(reduced, uv_reduced)
    all_faces = [reduced, mesh.mirror[reduced][:, ::-1], *(faces for faces, _ in eyes)]
    all_corners = [uv_reduced, uv_mirrored[:, ::-1], *(corners for _, corners in eyes)]
    eye_faces = np.concatenate([np.full(len(part), index >= 2) for index, part in enumerate(all_faces)])
    return Surface(np.concatenate(all_faces), np.concatenate(all_corners), eye_faces)


def cavity_vertices(mesh: BaseMesh, head: np.ndarray) -> np.ndarray:
    """`[V]` bool: the insides of mouth and eye sockets, which have texture islands of their own.

    Args:
        mesh: MakeHuman's mesh.
        head: `[V]` bool, vertices of the head.
    """
    quads, corners = mesh.quads["body"], mesh.uv_quads["body"]
    island = np.arange(len(mesh.uv_coords))
    while True:
        lowest = island[corners].min(axis=1)
        spread = island.copy()
        np.minimum.at(spread, corners.ravel(), np.repeat(lowest, 4))
        if (spread == island).all():
            break
        island = spread
    of_quad = island[corners[:, 0]]
    on_head = head[quads].all(axis=1)
    names, counts = np.unique(of_quad[on_head], return_counts=True)
    inside = np.isin(of_quad, names[counts < counts.max()]) & on_head
    hidden = np.zeros(len(mesh.vertices), dtype=bool)
    hidden[np.unique(quads[inside])] = True
    hidden[np.unique(quads[~inside])] = False
    return hidden


def _triangles(vertices: np.ndarray, quads: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split quads along their shorter diagonal."""
    points = vertices[quads]
    first = np.linalg.norm(points[:, 0] - points[:, 2], axis=1)
    second = np.linalg.norm(points[:, 1] - points[:, 3], axis=1)
    split = np.where((second < first)[:, None], [0, 1, 3, 1, 2, 3], [0, 1, 2, 0, 2, 3])
    return tuple(np.take_along_axis(array, split, axis=1).reshape(-1, 3) for array in (quads, corners))  # type: ignore[return-value]


def _texture_mirror(mesh: BaseMesh) -> dict[tuple[int, int], int]:
    """Texture corner on the other side for each (vertex, texture corner) of the body."""
    quads, corners = mesh.quads["body"], mesh.uv_quads["body"]
    place = {tuple(sorted(quad)): index for index, quad in enumerate(quads.tolist())}
    result: dict[tuple[int, int], int] = {}
    for quad, corner in zip(quads.tolist(), corners.tolist()):
        opposite = mesh.mirror[quad].tolist()
        other = place[tuple(sorted(opposite))]
        row = quads[other].tolist()
        for vertex, own, mirrored in zip(quad, corner, opposite):
            result[vertex, own] = int(corners[other][row.index(mirrored)])
    return result
