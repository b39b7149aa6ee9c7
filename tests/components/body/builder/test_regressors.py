"""Non-negative least squares against its optimality conditions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.body.builder.regressors import nonnegative_least_squares


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 20))
def test_solution_is_optimal(seed: int, rows: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    matrix, goal = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    solution = nonnegative_least_squares(matrix, goal)
    gradient = matrix.T @ (goal - matrix @ solution)
    # Karush-Kuhn-Tucker: no entry can improve, and those in use are at their optimum.
    assert solution.min() >= 0
    assert gradient.max() < 1e-7
    assert np.abs(gradient[solution > 0]).max(initial=0) < 1e-7


def test_exact_convex_combination_is_found() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(30, 12))
    truth = np.zeros(12)
    truth[[2, 5, 9]] = [0.2, 0.5, 0.3]
    np.testing.assert_allclose(nonnegative_least_squares(matrix, matrix @ truth), truth, atol=1e-10)
