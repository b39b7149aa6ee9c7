"""Plain data from numbers, arrays, paths and containers."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.files.plain_data import plain


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_plain_keeps_plain_data(value: object) -> None:
    assert plain(value) == value
    assert json.loads(json.dumps(plain(value))) == value


def test_plain_converts_scalars_arrays_and_paths() -> None:
    value = {"a": np.float32(0.5), "b": torch.arange(2), "c": Path("x/y"), "d": (1, {2}), "e": np.bool_(True)}
    assert plain(value) == {"a": 0.5, "b": [0, 1], "c": "x/y", "d": [1, [2]], "e": True}
    with pytest.raises(TypeError, match="Linear"):
        plain({"net": torch.nn.Linear(1, 1)})
