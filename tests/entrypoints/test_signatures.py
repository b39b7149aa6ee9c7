import ast
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrypoints.annotations import mismatch
from entrypoints.signatures import TargetError, read_signature


def annotation(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def test_signatures_are_read_without_importing() -> None:
    code = (
        "import sys; from entrypoints.signatures import read_signature as r;"
        "a = r('torch.optim.AdamW').parameters; t = r('lightning.pytorch.Trainer').parameters;"
        "assert 'weight_decay' in a and 'max_epochs' in t;"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("components.body.pose_format.PoseFormat", {"pose_rep", "translation", "glob", "glob_rot"}),
        ("torch.nn.GELU", {"approximate"}),
        ("components.geometry.rotations.slerp", {"start", "end", "weight"}),
        ("torch.optim.lr_scheduler.CosineAnnealingLR", {"optimizer", "T_max", "eta_min", "last_epoch"}),
    ],
)
def test_dataclasses_reexports_functions(target: str, names: set[str]) -> None:
    assert set(read_signature(target).parameters) == names


def test_required_and_open_ended() -> None:
    adamw = read_signature("torch.optim.AdamW").parameters
    assert adamw["params"].required
    assert not adamw["lr"].required
    assert read_signature("lightning.pytorch.loggers.WandbLogger").open_ended


@pytest.mark.parametrize("target", ["torch.optim.AdamX", "no_such_package.Thing", "components.errors.InputErrr"])
def test_dead_targets(target: str) -> None:
    with pytest.raises(TargetError):
        read_signature(target)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "int"), (3, "float"), (0.5, "float"),
        (True, "bool"), (None, "int | None"), ("a", "str"), ("a", "Path | None"),
        ("slerp", "Literal['linear6d', 'slerp']"), ([1, 2], "Sequence[float]"), ([1.0, 2], "tuple[float, float]"),
        ({"a": 1}, "dict[str, int]"), (3, "Optional[int]"), ("2", "Union[int, str]"), (object(), "SomethingUnknown"),
        ([0.1, 0.2, 0.3], "tuple[float, ...]"), (None, "'int | None'"),
    ],
)  # fmt: skip
def test_values_that_fit(value: object, text: str) -> None:
    assert mismatch(value, annotation(text)) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "int"), (1, "bool"), (0.5, "int"), ("3", "int"), (None, "int"), (3, "str"), ([1, "x"], "list[int]"),
        ([1, 2, 3], "tuple[float, float]"), ("slrp", "Literal['linear6d', 'slerp']"),
        (3, "list[int]"), ("x", "float | None"),
    ],
)  # fmt: skip
def test_values_that_do_not_fit(value: object, text: str) -> None:
    assert mismatch(value, annotation(text)) is not None


def test_literal_mismatch_suggests() -> None:
    assert "did you mean 'slerp'" in str(mismatch("slrp", annotation("Literal['linear6d', 'slerp']")))


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(), st.none()))
def test_a_value_fits_the_union_of_all_plain_types(value: object) -> None:
    assert mismatch(value, annotation("int | float | bool | str | None")) is None
