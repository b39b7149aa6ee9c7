"""Parity of the Impersonator system with its recorded numbers: every case of the folder, all settings from its json."""

import re
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from components.rendering.rasterizer import rasterize
from tests.golden.harness import Case, case_names, load_case

SYSTEM = "impersonator"


def check_rasterize(case: Case) -> None:
    config, compare = case.meta["config"], case.meta["compare"]
    near, far = config["near"], config["far"]
    rasters = rasterize(case.tensor("in/faces"), config["image_size"], near, far)
    face_index, weights, depth = (np.asarray(each) for each in rasters)
    expected = case.arrays["out/fim"]
    face_index = face_index.reshape(expected.shape)
    certain = _where(case, compare["fim"], expected.shape)
    np.testing.assert_array_equal(face_index[certain], expected[certain], err_msg=f"{case.name}: fim")
    same = certain & (face_index == expected)
    np.testing.assert_allclose(
        weights.reshape(*expected.shape, 3)[same], case.arrays["out/wim"][same], rtol=0, atol=compare["wim_atol"]
    )
    if "out/depth" in case.arrays:
        actual = depth.reshape(expected.shape)
        np.testing.assert_allclose(
            actual[same], case.arrays["out/depth"][same], rtol=0, atol=compare["depth_atol"], err_msg="depth"
        )
        assert (actual[face_index < 0] == np.float32(far)).all()
    if "out/coverage" in case.arrays:
        coverage = case.arrays["out/coverage"]
        np.testing.assert_array_equal((face_index >= 0).reshape(coverage.shape), coverage.astype(bool))


def _where(case: Case, rule: str, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels that a rule such as `equal where ambiguous==0` compares."""
    match = re.fullmatch(r"equal(?: where (\w+)==0)?", rule)
    assert match, f"{case.name}: cannot read the rule '{rule}'"
    return np.ones(shape, dtype=bool) if match[1] is None else case.arrays[f"out/{match[1]}"].reshape(shape) == 0


HANDLERS: dict[str, Callable[[Case], None]] = {
    "rasterize_": check_rasterize,
}


def handler_of(name: str) -> Callable[[Case], None] | None:
    return next((handler for prefix, handler in HANDLERS.items() if name.startswith(prefix)), None)


@pytest.mark.parametrize("name", case_names(SYSTEM) or [pytest.param("", marks=pytest.mark.skip("no golden folder"))])
def test_case(name: str) -> None:
    handler = handler_of(name)
    if handler is None:
        pytest.skip(f"not covered yet: {SYSTEM}/{name} has no handler in this module")
    handler(load_case(SYSTEM, name))


def test_cases_without_handler_are_listed() -> None:
    missing = [name for name in case_names(SYSTEM) if handler_of(name) is None]
    if missing:
        warnings.warn(f"{SYSTEM}: {len(missing)} golden cases not covered yet: {', '.join(missing)}", stacklevel=1)
    covered = [name for name in case_names(SYSTEM) if handler_of(name)]
    assert covered or not case_names(SYSTEM), "the golden folder holds no case that this module knows"
