"""Decimation of a mesh with texture coordinates by half-edge collapse under quadric errors (Garland & Heckbert 1997).

A vertex is always merged into a neighbour, so the result uses a subset of the vertices and everything that belongs to a
vertex (shape components, skinning weights, texture coordinates) is kept as it is. The border stays on its line, texture
seams stay seams, and no triangle flips in space or in the texture.
"""

import heapq
from collections.abc import Iterator

import numpy as np

# Part of the squared edge length that counts as error: keeps flat skin from losing the vertices that bend it.
_LENGTH_SHARE = 0.004
_MIN_QUALITY = 0.12  # 1 is an equilateral triangle
_MIN_COSINE = 0.4  # between a triangle's normals before and after
_MAX_VALENCE = 10
_SEAM_WEIGHT = 4.0


def decimate(
    vertices: np.ndarray,
    faces: np.ndarray,
    uv_coords: np.ndarray,
    uv_faces: np.ndarray,
    importance: np.ndarray,
    target: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a triangle mesh to `target` used vertices.

    Args:
        vertices: `[V, 3]`.
        faces: `[F, 3]`, an oriented manifold, possibly with a border.
        uv_coords: `[U, 2]`.
        uv_faces: `[F, 3]` indices into `uv_coords`.
        importance: `[V]` factor on the cost of removing a vertex.
        target: vertices wanted; more remain where nothing more can be removed.

    Returns:
        The remaining faces and their texture corners, both `[F', 3]`, in the indices given.
    """
    mesh = _Mesh(vertices, faces, uv_coords, uv_faces, importance)
    heap = [entry for vertex in mesh.around for entry in mesh.candidates(vertex)]
    heapq.heapify(heap)
    count = len(mesh.around)
    while count > target and heap:
        _, vertex, goal, stamp = heapq.heappop(heap)
        if vertex not in mesh.around or goal not in mesh.around or stamp != mesh.stamp(vertex, goal):
            continue
        if not mesh.collapse(vertex, goal):
            continue
        count -= 1
        for neighbour in sorted(mesh.neighbours(goal) | {goal}):
            mesh.stamps[neighbour] += 1
        for neighbour in sorted(mesh.neighbours(goal) | {goal}):
            for entry in mesh.candidates(neighbour):
                heapq.heappush(heap, entry)
    kept = sorted(mesh.faces)
    return np.array([mesh.faces[face] for face in kept]), np.array([mesh.corners[face] for face in kept])


class _Mesh:
    """Connectivity as dictionaries, so that single collapses are cheap."""

    def __init__(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        uv_coords: np.ndarray,
        uv_faces: np.ndarray,
        importance: np.ndarray,
    ) -> None:
        self.points = vertices
        self.uv = uv_coords
        self.importance = importance
        self.faces = {face: [int(vertex) for vertex in row] for face, row in enumerate(faces)}
        self.corners = {face: [int(corner) for corner in row] for face, row in enumerate(uv_faces)}
        self.around: dict[int, set[int]] = {}
        for face, row in self.faces.items():
            for vertex in row:
                self.around.setdefault(vertex, set()).add(face)
        self.around = dict(sorted(self.around.items()))
        self.border = {v for v in self.around if any(len(self.shared(v, n)) == 1 for n in self.neighbours(v))}
        self.stamps = dict.fromkeys(self.around, 0)
        self.quadrics = _quadrics(vertices, faces)

    def stamp(self, first: int, second: int) -> int:
        return self.stamps[first] + self.stamps[second]

    def neighbours(self, vertex: int) -> set[int]:
        return {other for face in self.around[vertex] for other in self.faces[face]} - {vertex}

    def shared(self, first: int, second: int) -> set[int]:
        return self.around[first] & self.around[second]

    def corner(self, face: int, vertex: int) -> int:
        return self.corners[face][self.faces[face].index(vertex)]

    def candidates(self, vertex: int) -> Iterator[tuple[float, int, int, int]]:
        """Heap entries (cost, vertex, goal, stamp) for merging a vertex into each neighbour."""
        area = self._area(vertex)
        seams = len({self.corner(face, vertex) for face in self.around[vertex]})
        if seams > 2:
            return
        for goal in sorted(self.neighbours(vertex)):
            if vertex in self.border and (goal not in self.border or len(self.shared(vertex, goal)) != 1):
                continue
            offset = self.points[goal] - self.points[vertex]
            point = np.append(self.points[goal], 1.0)
            error = float(point @ (self.quadrics[vertex] + self.quadrics[goal]) @ point)
            cost = max(error, 0.0) + _LENGTH_SHARE * float(offset @ offset) * area
            cost *= float(self.importance[vertex]) * (_SEAM_WEIGHT if seams == 2 else 1.0)
            yield cost, vertex, goal, self.stamp(vertex, goal)

    def collapse(self, vertex: int, goal: int) -> bool:
        """Merge `vertex` into `goal` if the mesh stays sound; whether it was done."""
        removed = self.shared(vertex, goal)
        common = self.neighbours(vertex) & self.neighbours(goal)
        if len(common) != len(removed) or len(removed) != (1 if vertex in self.border else 2):
            return False
        joins_border = vertex not in self.border and goal in self.border
        # An edge between two border vertices must be a border edge.
        if joins_border and (self.neighbours(vertex) & self.border) - {goal} - common:
            return False
        if len(self.neighbours(vertex) | self.neighbours(goal)) - 2 > _MAX_VALENCE:
            return False
        corner_map = self._corner_map(vertex, goal, removed)
        changed = self.around[vertex] - removed
        if corner_map is None or not all(self._stays_sound(face, vertex, goal, corner_map) for face in changed):
            return False
        for face in removed:
            for other in self.faces[face]:
                self.around[other].discard(face)
            del self.faces[face], self.corners[face]
        for face in changed:
            place = self.faces[face].index(vertex)
            self.faces[face][place] = goal
            self.corners[face][place] = corner_map[self.corners[face][place]]
            self.around[goal].add(face)
        self.quadrics[goal] += self.quadrics[vertex]
        del self.around[vertex]
        return True

    def _corner_map(self, vertex: int, goal: int, removed: set[int]) -> dict[int, int] | None:
        """Texture corner of `goal` for each texture corner of `vertex`; None where a seam would tear."""
        result: dict[int, int] = {}
        for face in sorted(removed):
            if result.setdefault(self.corner(face, vertex), self.corner(face, goal)) != self.corner(face, goal):
                return None
        if {self.corner(face, vertex) for face in self.around[vertex]} - result.keys():
            return None
        return result

    def _stays_sound(self, face: int, vertex: int, goal: int, corner_map: dict[int, int]) -> bool:
        place = self.faces[face].index(vertex)
        before = self.points[self.faces[face]]
        after = before.copy()
        after[place] = self.points[goal]
        if self.border.issuperset([goal, *(other for other in self.faces[face] if other != vertex)]):
            return False
        old, new = _normal(before), _normal(after)
        old_size, new_size = np.sqrt(old @ old), np.sqrt(new @ new)
        if old @ new < _MIN_COSINE * old_size * new_size or new_size == 0.0:
            return False
        if _quality(after, new_size) < min(_MIN_QUALITY, _quality(before, old_size)):
            return False
        flat = self.uv[self.corners[face]]
        moved = flat.copy()
        moved[place] = self.uv[corner_map[self.corners[face][place]]]
        return bool(_signed_area(flat) * _signed_area(moved) > 0.0)

    def _area(self, vertex: int) -> float:
        total = 0.0
        for face in self.around[vertex]:
            normal = _normal(self.points[self.faces[face]])
            total += 0.5 * float(np.sqrt(normal @ normal))
        return total


def _quadrics(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """`[V, 4, 4]` sums of the squared plane distances of the triangles around, weighted by area."""
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    double_area = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    normals = normals / double_area
    planes = np.concatenate([normals, -(normals * vertices[faces[:, 0]]).sum(1, keepdims=True)], axis=1)
    products = (double_area[:, :, None] / 6.0) * planes[:, :, None] * planes[:, None, :]
    quadrics = np.zeros((len(vertices), 4, 4))
    for corner in range(3):
        np.add.at(quadrics, faces[:, corner], products)
    _add_border_planes(quadrics, vertices, faces, normals)
    return quadrics


def _add_border_planes(quadrics: np.ndarray, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> None:
    """Planes through the border edges, upright on their triangles, keep the border on its line."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    _, first, counts = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    border = first[counts == 1]
    start, end = edges[border].T
    along = vertices[end] - vertices[start]
    upright = np.cross(along, normals[border % len(faces)])  # as long as the edge
    planes = np.concatenate([upright, -(upright * vertices[start]).sum(1, keepdims=True)], axis=1)
    products = planes[:, :, None] * planes[:, None, :]
    np.add.at(quadrics, start, products)
    np.add.at(quadrics, end, products)


def _normal(triangle: np.ndarray) -> np.ndarray:
    (ax, ay, az), (bx, by, bz) = triangle[1] - triangle[0], triangle[2] - triangle[0]
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def _quality(triangle: np.ndarray, double_area: float) -> float:
    edges = triangle - triangle[[1, 2, 0]]
    return float(2.0 * np.sqrt(3.0) * double_area / max(float((edges * edges).sum()), 1e-20))


def _signed_area(triangle: np.ndarray) -> float:
    (ax, ay), (bx, by) = triangle[1] - triangle[0], triangle[2] - triangle[0]
    return float(ax * by - ay * bx)
