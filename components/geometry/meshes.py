"""Triangle meshes: corners, normals, joining, and a few closed shapes for tests, benchmarks and toy bodies.

A mesh is `vertices [..., V, 3]` and `faces [F, 3]` int64, counter-clockwise seen from outside.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def face_corners(vertices: Tensor, faces: Tensor) -> Tensor:
    """Corner values of each face: `[..., V, C]` and `[F, 3]` to `[..., F, 3, C]`."""
    flat = faces.reshape(-1)
    return vertices.index_select(-2, flat).unflatten(-2, (faces.shape[0], 3))


def face_normals(vertices: Tensor, faces: Tensor, unit: bool = True) -> Tensor:
    """Outward normals `[..., F, 3]`; with `unit=False` their length is twice the area of the face."""
    first, second, third = (vertices.index_select(-2, faces[:, corner]) for corner in range(3))
    normals = torch.linalg.cross(second - first, third - first, dim=-1)
    return F.normalize(normals, dim=-1) if unit else normals


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals `[..., V, 3]`: area-weighted means over the faces around a vertex; zero for an unused vertex."""
    normals = face_normals(vertices, faces, unit=False)
    total = torch.zeros_like(vertices)
    for corner in range(3):
        total.index_add_(-2, faces[:, corner], normals)
    return F.normalize(total, dim=-1)


def join_meshes(meshes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """One mesh out of several `(vertices [..., V, 3], faces [F, 3])`."""
    offset, faces = 0, []
    for vertices, triangles in meshes:
        faces.append(triangles + offset)
        offset += vertices.shape[-2]
    return torch.cat([vertices for vertices, _ in meshes], dim=-2), torch.cat(faces)


def capsule(
    start: Tensor, end: Tensor, start_radius: float, end_radius: float, around: int = 16, along: int = 12
) -> tuple[Tensor, Tensor]:
    """Closed tube with round ends: `around * along` vertices plus two poles, `2 * around * along` faces.

    Args:
        start, end: `[3]` centres of the two end spheres, not equal.
        start_radius, end_radius: radii there, same unit.
        around: corners of a ring, at least 3.
        along: rings, at least 2.

    Raises:
        ValueError: fewer corners or rings than that.
    """
    if around < 3 or along < 2:
        raise ValueError(f"a capsule needs around >= 3 and along >= 2, got {around} and {along}")
    length = float((end - start).norm())
    # The outline: quarter circle, straight side, quarter circle; rings spread evenly over its length.
    caps = (0.5 * math.pi * start_radius, 0.5 * math.pi * end_radius)
    position = torch.arange(1, along + 1, dtype=torch.float32) / (along + 1) * (caps[0] + length + caps[1])
    first = (position / max(start_radius, 1e-9)).clamp(max=0.5 * math.pi)
    side = ((position - caps[0]) / length).clamp(0, 1)
    last = ((position - caps[0] - length) / max(end_radius, 1e-9)).clamp(min=0)
    radius = (start_radius + (end_radius - start_radius) * side) * torch.sin(first) * torch.cos(last)
    height = side * length - start_radius * torch.cos(first) + end_radius * torch.sin(last)

    axis = F.normalize(end - start, dim=0)
    helper = F.one_hot(axis.abs().argmin(), 3).to(axis)
    across = F.normalize(torch.linalg.cross(helper, axis), dim=0)
    frame = torch.stack([across, torch.linalg.cross(axis, across), axis])
    angle = torch.arange(around, dtype=torch.float32) * (2 * math.pi / around)
    rings = torch.stack(
        [
            radius[:, None] * torch.cos(angle),
            radius[:, None] * torch.sin(angle),
            height[:, None].expand(along, around),
        ],
        dim=-1,
    ).reshape(-1, 3)
    poles = torch.tensor([[0.0, 0.0, -start_radius], [0.0, 0.0, length + end_radius]])
    vertices = torch.cat([rings, poles]) @ frame + start
    return vertices, _tube_faces(around, along)


def _tube_faces(around: int, along: int) -> Tensor:
    here = torch.arange(around)
    there = (here + 1) % around
    lower = torch.arange(along - 1)[:, None] * around
    a, b, c, d = lower + here, lower + there, lower + around + here, lower + around + there
    sides = torch.stack([torch.stack([a, b, c], -1), torch.stack([b, d, c], -1)], dim=2).reshape(-1, 3)
    bottom = torch.stack([torch.full_like(here, around * along), there, here], dim=-1)
    last = around * (along - 1)
    top = torch.stack([torch.full_like(here, around * along + 1), here + last, there + last], dim=-1)
    return torch.cat([sides, bottom, top])


# Capsules of a standing figure, metres, y up, facing +z: start, end, radii, corners around, rings;
# twice the sum of around * rings is 13,776 faces.
_FIGURE = (
    ((0.0, 1.00, 0.0), (0.0, 1.38, 0.0), 0.145, 0.150, 44, 26),
    ((0.0, 1.46, 0.01), (0.0, 1.56, 0.02), 0.055, 0.050, 20, 12),
    ((0.0, 1.62, 0.03), (0.0, 1.70, 0.03), 0.085, 0.095, 48, 32),
    ((-0.09, 0.96, 0.0), (-0.11, 0.52, 0.01), 0.095, 0.065, 24, 26),
    ((0.09, 0.96, 0.0), (0.11, 0.52, 0.01), 0.095, 0.065, 24, 26),
    ((-0.11, 0.50, 0.01), (-0.12, 0.10, -0.02), 0.060, 0.040, 22, 22),
    ((0.11, 0.50, 0.01), (0.12, 0.10, -0.02), 0.060, 0.040, 22, 22),
    ((-0.12, 0.05, -0.05), (-0.13, 0.04, 0.14), 0.042, 0.035, 16, 10),
    ((0.12, 0.05, -0.05), (0.13, 0.04, 0.14), 0.042, 0.035, 16, 10),
    ((-0.17, 1.40, 0.0), (-0.42, 1.37, -0.01), 0.055, 0.042, 18, 18),
    ((0.17, 1.40, 0.0), (0.42, 1.37, -0.01), 0.055, 0.042, 18, 18),
    ((-0.44, 1.37, 0.0), (-0.67, 1.37, 0.03), 0.040, 0.028, 14, 16),
    ((0.44, 1.37, 0.0), (0.67, 1.37, 0.03), 0.040, 0.028, 14, 16),
    ((-0.70, 1.37, 0.03), (-0.80, 1.37, 0.03), 0.032, 0.022, 12, 14),
    ((0.70, 1.37, 0.03), (0.80, 1.37, 0.03), 0.032, 0.022, 12, 14),
)


def capsule_figure() -> tuple[Tensor, Tensor]:
    """A standing figure of 15 capsules, 1.8 m tall, with 13,776 faces (as many as SMPL's mesh has)."""
    parts = [
        capsule(torch.tensor(start), torch.tensor(end), first, last, around, along)
        for start, end, first, last, around, along in _FIGURE
    ]
    return join_meshes(parts)
