from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.schedules import warmup_cosine, warmup_cosine_steps


def rates(total: int, warmup: int, final: float, ticks: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_cosine(optimizer, total, warmup, final)
    values = []
    for _ in range(ticks):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


@given(st.integers(0, 20), st.integers(0, 50), st.floats(0, 1))
def test_rises_then_falls_to_the_final_factor(warmup: int, extra: int, final: float) -> None:
    rest = warmup + 1 + extra
    values = rates(warmup + rest, warmup, final, warmup + rest + 3)
    assert all(a < b for a, b in pairwise(values[: warmup + 1]))
    assert values[warmup] == pytest.approx(1.0)
    assert all(a >= b - 1e-12 for a, b in pairwise(values[warmup:]))
    assert values[warmup + rest] == pytest.approx(final)


@pytest.mark.parametrize(("total", "warmup", "final"), [(0, 0, 0.0), (-1, 0, 0.0), (5, -1, 0.0), (5, 1, 2.0)])
def test_wrong_settings(total: int, warmup: int, final: float) -> None:
    with pytest.raises(InputError, match="scheduler"):
        rates(total, warmup, final, 1)


def test_a_run_shorter_than_the_warm_up_still_rises_and_falls() -> None:
    assert rates(2, 5, 0.0, 3) == pytest.approx([0.5, 1.0, 0.0])


def step_rates(epochs: int, steps: int, **settings: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_cosine_steps(optimizer, epochs, steps, **settings)
    values = []
    for _ in range(epochs * steps + 1):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return values


def test_cosine_by_steps_falls_to_its_end_and_is_held_down_at_first() -> None:
    values = step_rates(10, 3, warmup_epochs=2, warmup_ratio=0.1, final=0.2)
    plain = step_rates(10, 3, warmup_epochs=0, final=0.2)
    assert values[0] == pytest.approx(0.1)
    assert values[3] == pytest.approx(plain[3] * 0.55)
    assert values[6:] == plain[6:]
    assert values[-1] == pytest.approx(0.2)
    assert max(step_rates(1, 4)) > 0.4, "a run of one epoch does not spend it on a warm-up of two"


@pytest.mark.parametrize(("epochs", "steps", "ratio"), [(-1, 3, 0.1), (3, 0, 0.1), (3, 3, 0.0)])
def test_wrong_settings_of_the_cosine_by_steps(epochs: int, steps: int, ratio: float) -> None:
    with pytest.raises(InputError, match=r"trainer\.max_epochs"):
        step_rates(epochs, steps, warmup_ratio=ratio)
