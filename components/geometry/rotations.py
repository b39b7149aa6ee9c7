"""Conversions between rotation representations.

Quaternions are `[..., 4]`, real part first. Matrices act on column vectors. `rot6d` is the first two ROWS of the
matrix, flattened (Zhou et al. 2019, rows as ACTOR uses them). Everything is differentiable, keeps the dtype and works
on any leading shape. Angles are radians.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_AXES = {"X": 0, "Y": 1, "Z": 2}


def axis_angle_to_quaternion(axis_angle: Tensor) -> Tensor:
    """`[..., 3]` rotation vectors to `[..., 4]` unit quaternions."""
    # The square root of a clamped sum keeps the gradient finite at the zero rotation.
    squared = (axis_angle * axis_angle).sum(dim=-1, keepdim=True)
    small = squared < 1e-12
    angle = torch.sqrt(torch.where(small, torch.ones_like(squared), squared))
    scale = torch.where(small, 0.5 - squared / 48.0, torch.sin(0.5 * angle) / angle)
    real = torch.where(small, 1.0 - squared / 8.0, torch.cos(0.5 * angle))
    return torch.cat([real, axis_angle * scale], dim=-1)


def quaternion_to_matrix(quaternion: Tensor) -> Tensor:
    """`[..., 4]` quaternions, of any length but zero, to `[..., 3, 3]` matrices."""
    r, i, j, k = quaternion.unbind(-1)
    two = 2.0 / (quaternion * quaternion).sum(-1)
    entries = (
        1 - two * (j * j + k * k), two * (i * j - k * r), two * (i * k + j * r),
        two * (i * j + k * r), 1 - two * (i * i + k * k), two * (j * k - i * r),
        two * (i * k - j * r), two * (j * k + i * r), 1 - two * (i * i + j * j),
    )  # fmt: skip
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """`[..., 3]` rotation vectors to `[..., 3, 3]` matrices (Rodrigues)."""
    return quaternion_to_matrix(axis_angle_to_quaternion(axis_angle))


def matrix_to_quaternion(matrix: Tensor) -> Tensor:
    """`[..., 3, 3]` matrices to `[..., 4]` unit quaternions with real part >= 0.

    Of the four algebraic forms the one with the largest divisor is taken: no precision is lost near 180 degrees.
    """
    m = matrix
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    squares = torch.stack([1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22], dim=-1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    w, x, y, z = squares.unbind(-1)
    candidates = torch.stack(
        [
            torch.stack([w, a, b, c], dim=-1),
            torch.stack([a, x, d, e], dim=-1),
            torch.stack([b, d, y, f], dim=-1),
            torch.stack([c, e, f, z], dim=-1),
        ],
        dim=-2,
    )
    best = squares.argmax(dim=-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return standardize_quaternion(F.normalize(candidates.gather(-2, best).squeeze(-2), dim=-1))


def standardize_quaternion(quaternion: Tensor) -> Tensor:
    """Of q and -q (the same rotation) the one with real part >= 0, `[..., 4]`."""
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def quaternion_to_axis_angle(quaternion: Tensor) -> Tensor:
    """`[..., 4]` unit quaternions to `[..., 3]` rotation vectors of angle 2*atan2(|imaginary|, real)."""
    imaginary = quaternion[..., 1:]
    squared = (imaginary * imaginary).sum(dim=-1, keepdim=True)
    small = squared < 1e-12
    norm = torch.sqrt(torch.where(small, torch.ones_like(squared), squared))
    half = torch.atan2(norm, quaternion[..., :1])
    return imaginary * torch.where(small, torch.full_like(squared, 2.0), 2.0 * half / norm)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """`[..., 3, 3]` matrices to `[..., 3]` rotation vectors of angle at most pi."""
    return quaternion_to_axis_angle(matrix_to_quaternion(matrix))


def matrix_to_rot6d(matrix: Tensor) -> Tensor:
    """`[..., 3, 3]` matrices to `[..., 6]`: the first two rows, flattened."""
    return matrix[..., :2, :].flatten(-2)


def rot6d_to_matrix(rot6d: Tensor) -> Tensor:
    """`[..., 6]` to `[..., 3, 3]` by Gram-Schmidt; the third row is the cross product. Computed in at least float32."""
    if rot6d.dtype in (torch.float16, torch.bfloat16):
        rot6d = rot6d.float()
    first = F.normalize(rot6d[..., :3], dim=-1)
    second = rot6d[..., 3:]
    second = F.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second, dim=-1)], dim=-2)


def quaternion_raw_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product of `[..., 4]` quaternions; b is applied first."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def quaternion_multiply(a: Tensor, b: Tensor) -> Tensor:
    """Hamilton product with real part >= 0, `[..., 4]`."""
    return standardize_quaternion(quaternion_raw_multiply(a, b))


def quaternion_invert(quaternion: Tensor) -> Tensor:
    """Inverse of unit quaternions `[..., 4]` (the conjugate)."""
    return quaternion * quaternion.new_tensor([1.0, -1.0, -1.0, -1.0])


def quaternion_apply(quaternion: Tensor, points: Tensor) -> Tensor:
    """Rotate `[..., 3]` points by `[..., 4]` unit quaternions."""
    pure = torch.cat([torch.zeros_like(points[..., :1]), points], dim=-1)
    return quaternion_raw_multiply(quaternion_raw_multiply(quaternion, pure), quaternion_invert(quaternion))[..., 1:]


def slerp(start: Tensor, end: Tensor, weight: Tensor) -> Tensor:
    """Spherical interpolation of unit quaternions along the shorter arc.

    Args:
        start, end: `[..., 4]`.
        weight: broadcastable to `[..., 1]`; 0 gives start, 1 gives end.

    Returns:
        Unit quaternions `[..., 4]` (Shoemake 1985).
    """
    cosine = (start * end).sum(-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)
    cosine = cosine.abs().clamp(max=1.0)
    nearly_equal = cosine > 0.9995
    angle = torch.acos(torch.where(nearly_equal, torch.zeros_like(cosine), cosine))
    sine = torch.sin(angle)
    a = torch.where(nearly_equal, 1 - weight, torch.sin((1 - weight) * angle) / sine)
    b = torch.where(nearly_equal, weight + torch.zeros_like(cosine), torch.sin(weight * angle) / sine)
    return F.normalize(a * start + b * end, dim=-1)


def axis_rotation(axis: str, angle: Tensor) -> Tensor:
    """Rotations about one coordinate axis: `[...]` angles to `[..., 3, 3]` matrices."""
    vector = torch.zeros(3, dtype=angle.dtype, device=angle.device)
    vector[_axis_index(axis)] = 1.0
    return axis_angle_to_matrix(angle.unsqueeze(-1) * vector)


def euler_to_matrix(angles: Tensor, convention: str) -> Tensor:
    """`[..., 3]` Euler angles to `[..., 3, 3]`; convention "XYZ" means `R_x(a0) @ R_y(a1) @ R_z(a2)`.

    Raises:
        ValueError: convention is not three of X, Y, Z with neighbours different.
    """
    _check_convention(convention)
    first, second, third = (axis_rotation(axis, angles[..., i]) for i, axis in enumerate(convention))
    return first @ second @ third


def matrix_to_euler(matrix: Tensor, convention: str) -> Tensor:
    """Inverse of `euler_to_matrix`; the middle angle lies in [-pi/2, pi/2] (Tait-Bryan) or [0, pi] (proper).

    Raises:
        ValueError: convention is not three of X, Y, Z with neighbours different.
    """
    _check_convention(convention)
    i, j, k = (_axis_index(axis) for axis in convention)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    if i != k:
        middle = torch.asin((sign * matrix[..., i, k]).clamp(-1.0, 1.0))
        first = torch.atan2(-sign * matrix[..., j, k], matrix[..., k, k])
        last = torch.atan2(-sign * matrix[..., i, j], matrix[..., i, i])
    else:
        other = 3 - i - j
        middle = torch.acos(matrix[..., i, i].clamp(-1.0, 1.0))
        first = torch.atan2(matrix[..., j, i], -sign * matrix[..., other, i])
        last = torch.atan2(matrix[..., i, j], sign * matrix[..., i, other])
    return torch.stack([first, middle, last], dim=-1)


def _axis_index(axis: str) -> int:
    if axis not in _AXES:
        raise ValueError(f"axis must be one of X, Y, Z, got '{axis}'")
    return _AXES[axis]


def _check_convention(convention: str) -> None:
    valid = len(convention) == 3 and set(convention) <= set(_AXES)
    if not valid or convention[1] in (convention[0], convention[2]):
        raise ValueError(f"convention must be three of X, Y, Z with neighbours different, got '{convention}'")
