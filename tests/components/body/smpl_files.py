"""Small random bodies in SMPL format for the tests."""

from typing import Any

import numpy as np

from components.body.skeleton import SMPL_PARENTS


def random_smpl(vertices: int = 50, faces: int = 80, shapes: int = 10, seed: int = 0) -> dict[str, Any]:
    """Arrays of a made-up SMPL model (values as plain as possible, proportions of no person)."""
    rng = np.random.default_rng(seed)
    weights = rng.random((vertices, 24)) ** 6
    regressor = rng.random((24, vertices)) ** 8
    parents = np.array(SMPL_PARENTS, dtype=np.int64)
    table = np.stack([np.where(parents < 0, 2**32 - 1, parents), np.arange(24)]).astype(np.uint32)
    return {
        "v_template": rng.normal(size=(vertices, 3)),
        "shapedirs": 0.1 * rng.normal(size=(vertices, 3, shapes)),
        "posedirs": 0.05 * rng.normal(size=(vertices, 3, 207)),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "kintree_table": table,
        "f": rng.integers(0, vertices, (faces, 3)).astype(np.uint32),
    }
