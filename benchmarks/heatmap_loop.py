"""Heatmaps painted one by one with numpy: frame by frame, joint by joint, person by person.

This is the published way (`GeneratePoseTarget`), written down as plainly as it can be. Tests compare with it, and the
benchmark measures against it.
"""

from collections.abc import Sequence

import numpy as np


def keypoint_loop(
    keypoint: np.ndarray,
    score: np.ndarray,
    size: tuple[int, int],
    sigma: float = 0.6,
    use_score: bool = True,
    eps: float = 1e-3,
) -> np.ndarray:
    """Blobs of joints.

    Args:
        keypoint: `[M, T, V, 2]` float32, pixels (x, y).
        score: `[M, T, V]` float32.
        size: (height, width).

    Returns:
        `[T, V, H, W]` float32.
    """
    persons, frames, joints, _ = keypoint.shape
    heights = score if use_score else np.ones_like(score)
    volume = np.zeros((frames, joints, *size), dtype=np.float32)
    for frame in range(frames):
        for joint in range(joints):
            canvas = volume[frame, joint]
            for person in range(persons):
                paint_blob(canvas, keypoint[person, frame, joint], heights[person, frame, joint], sigma, eps)
    return volume


def limb_loop(
    keypoint: np.ndarray,
    score: np.ndarray,
    size: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    sigma: float = 0.6,
    use_score: bool = True,
    eps: float = 1e-3,
) -> np.ndarray:
    """Ridges of limbs, `[T, L, H, W]` float32; arguments as in `keypoint_loop`."""
    persons, frames = keypoint.shape[:2]
    heights = score if use_score else np.ones_like(score)
    volume = np.zeros((frames, len(limbs), *size), dtype=np.float32)
    for frame in range(frames):
        for number, (start, end) in enumerate(limbs):
            canvas = volume[frame, number]
            for person in range(persons):
                points, sure = keypoint[person, frame], heights[person, frame]
                paint_ridge(canvas, points[start], points[end], sure[start], sure[end], sigma, eps)
    return volume


def paint_blob(canvas: np.ndarray, point: np.ndarray, height: float, sigma: float, eps: float) -> None:
    """Put one joint into a canvas `[H, W]`."""
    if height < eps:
        return
    mu_x, mu_y = float(point[0]), float(point[1])
    columns = _span(mu_x, mu_x, canvas.shape[1], sigma)
    rows = _span(mu_y, mu_y, canvas.shape[0], sigma)
    if not (len(columns) and len(rows)):
        return
    patch = np.exp(-((columns - point[0]) ** 2 + (rows[:, None] - point[1]) ** 2) / 2 / sigma**2) * height
    _merge(canvas, rows, columns, patch)


def paint_ridge(
    canvas: np.ndarray, a: np.ndarray, b: np.ndarray, score_a: float, score_b: float, sigma: float, eps: float
) -> None:
    """Put one limb into a canvas `[H, W]`."""
    height = min(score_a, score_b)
    if height < eps:
        return
    columns = _span(float(min(a[0], b[0])), float(max(a[0], b[0])), canvas.shape[1], sigma)
    rows = _span(float(min(a[1], b[1])), float(max(a[1], b[1])), canvas.shape[0], sigma)
    if not (len(columns) and len(rows)):
        return
    length = ((a - b) ** 2).sum()
    if length < 1:
        paint_blob(canvas, a, score_a, sigma, eps)
        return
    to_a = (columns - a[0]) ** 2 + (rows[:, None] - a[1]) ** 2
    to_b = (columns - b[0]) ** 2 + (rows[:, None] - b[1]) ** 2
    along = (to_a - to_b + length) / 2 / length
    foot_x, foot_y = a[0] + along * (b[0] - a[0]), a[1] + along * (b[1] - a[1])
    to_line = (columns - foot_x) ** 2 + (rows[:, None] - foot_y) ** 2
    distance = np.where(along <= 0, to_a, np.where(along >= 1, to_b, to_line))
    _merge(canvas, rows, columns, np.exp(-distance / 2 / sigma**2) * height)


def _span(low: float, high: float, length: int, sigma: float) -> np.ndarray:
    first = max(int(low - 3 * sigma), 0)
    return np.arange(first, max(min(int(high + 3 * sigma) + 1, length), first), dtype=np.float32)


def _merge(canvas: np.ndarray, rows: np.ndarray, columns: np.ndarray, patch: np.ndarray) -> None:
    top, left = int(rows[0]), int(columns[0])
    part = canvas[top : top + len(rows), left : left + len(columns)]
    np.maximum(part, patch, out=part)
