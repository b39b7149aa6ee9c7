"""Joints as sparse convex combinations of skin vertices."""

import numpy as np

from components.body.skeleton import SMPL_JOINTS

_CANDIDATES = 400  # nearest vertices that may carry a joint
_REST_WEIGHT = 3.0  # how much more an error of the template counts than one of a shape component
_SUM_WEIGHT = 10.0  # metres: how much an error of 1 in the sum counts


def joint_regressor(
    vertices: np.ndarray, joints: np.ndarray, vertex_shapes: np.ndarray, joint_shapes: np.ndarray, mirror: np.ndarray
) -> np.ndarray:
    """Non-negative regressor that gives the joints of the template and of every shape component.

    Args:
        vertices: `[V, 3]` template, mirror symmetric.
        joints: `[24, 3]`.
        vertex_shapes: `[V, 3, K]`, joint_shapes: `[24, 3, K]`: the components at the largest coefficients in use.
        mirror: `[V]` index of the mirrored vertex.

    Returns:
        `[24, V]`, rows sum to 1, right rows mirror the left ones.
    """
    result = np.zeros((len(joints), len(vertices)))
    for index, name in enumerate(SMPL_JOINTS):
        if name.startswith("right_"):
            result[index] = result[SMPL_JOINTS.index("left_" + name.removeprefix("right_"))][mirror]
            continue
        nearest = np.argsort(np.linalg.norm(vertices - joints[index], axis=1), kind="stable")[:_CANDIDATES]
        # Rows: position and its changes in each component (metres), then the sum.
        columns = np.concatenate(
            [vertices[nearest] - joints[index], vertex_shapes[nearest].reshape(len(nearest), -1)], 1
        )
        goal = np.concatenate([np.zeros(3), joint_shapes[index].ravel(), [_SUM_WEIGHT]])
        matrix = np.concatenate([columns, np.full((len(nearest), 1), _SUM_WEIGHT)], axis=1).T
        result[index, nearest] = nonnegative_least_squares(matrix, goal)
        if not name.startswith("left_"):
            result[index] = 0.5 * (result[index] + result[index][mirror])
    return result / result.sum(axis=1, keepdims=True)


def nonnegative_least_squares(matrix: np.ndarray, goal: np.ndarray, tolerance: float = 1e-10) -> np.ndarray:
    """`argmin |matrix x - goal|` over x >= 0 by active sets (Lawson & Hanson 1974); sparse by nature.

    Args:
        matrix: `[M, N]`.
        goal: `[M]`.

    Returns:
        `[N]`.
    """
    solution = np.zeros(matrix.shape[1])
    active = np.zeros(matrix.shape[1], dtype=bool)
    for _ in range(3 * matrix.shape[1]):
        gradient = matrix.T @ (goal - matrix @ solution)
        gradient[active] = -np.inf
        best = int(np.argmax(gradient))
        if gradient[best] <= tolerance:
            break
        active[best] = True
        while True:
            trial = np.zeros_like(solution)
            trial[active] = np.linalg.lstsq(matrix[:, active], goal, rcond=None)[0]
            negative = active & (trial <= 0.0)
            if not negative.any():
                break
            steps = solution[negative] / np.maximum(solution[negative] - trial[negative], 1e-30)
            solution = solution + steps.min() * (trial - solution)
            active &= solution > 1e-14
            solution[~active] = 0.0
        solution = trial
    return solution


def extra_regressor(regressor: np.ndarray, vertices: np.ndarray, nose: int, mirror: np.ndarray) -> np.ndarray:
    """`[9, V]`: joints of LSP, MPII and Human3.6M near the places of the published regressor (`EXTRA_JOINTS`).

    Args:
        regressor: `[24, V]` of the body's joints.
        vertices: `[V, 3]` template.
        nose: vertex at the tip of the nose.
        mirror: `[V]` index of the mirrored vertex.
    """
    row = dict(zip(SMPL_JOINTS, regressor))
    crown = np.zeros(len(vertices))
    crown[np.argsort(-vertices[:, 1], kind="stable")[:12]] = 1.0 / 12.0
    crown = 0.5 * (crown + crown[mirror])
    tip = np.zeros(len(vertices))
    tip[nose] = 1.0
    hips = 0.5 * (row["left_hip"] + row["right_hip"])
    shoulders = 0.5 * (row["left_shoulder"] + row["right_shoulder"])
    return np.stack(
        [
            row["right_hip"],
            row["left_hip"],
            row["neck"],
            crown,
            0.7 * hips + 0.3 * row["pelvis"],
            0.6 * shoulders + 0.4 * row["neck"],
            0.5 * (row["spine1"] + row["spine2"]),
            0.6 * row["head"] + 0.4 * tip,
            0.3 * row["head"] + 0.7 * crown,
        ]
    )
