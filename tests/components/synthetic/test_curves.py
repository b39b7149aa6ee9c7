"""Curves through key values, and seeded draws."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from components.synthetic.curves import Draw, cyclic, keyframes, rise_and_fall, wander


@given(st.lists(st.floats(-2, 2), min_size=3, max_size=7))
def test_keyframes_meet_the_keys_and_never_overshoot(values: list[float]) -> None:
    times = [5.0 * index for index in range(len(values))]
    curve = keyframes(int(times[-1]) + 4, times, values)
    keys = torch.tensor(values, dtype=torch.float64)
    torch.testing.assert_close(curve[: int(times[-1]) + 1 : 5], keys)
    torch.testing.assert_close(curve[-3:], keys[-1].expand(3))
    for index in range(len(values) - 1):
        part = curve[5 * index : 5 * index + 6]
        low, high = min(values[index : index + 2]), max(values[index : index + 2])
        assert part.min() >= low - 1e-9
        assert part.max() <= high + 1e-9


def test_keyframes_of_vectors_are_those_of_their_numbers() -> None:
    rows = [(0.0, 1.0), (1.0, -1.0), (0.5, 2.0)]
    curve = keyframes(20, (2, 9, 15), rows)
    for column in range(2):
        torch.testing.assert_close(curve[:, column], keyframes(20, (2, 9, 15), [row[column] for row in rows]))


def test_cyclic_has_period_one() -> None:
    phase = torch.linspace(0, 1, 50, dtype=torch.float64)
    curve = cyclic(phase, (0.0, 0.3, 0.7), (0.0, 1.0, -1.0))
    torch.testing.assert_close(cyclic(phase + 3, (0.0, 0.3, 0.7), (0.0, 1.0, -1.0)), curve)
    torch.testing.assert_close(curve[0], curve[-1])


def test_rise_and_fall_repeats() -> None:
    curve = rise_and_fall(60, 0.0, 20.0, (0.1, 0.4, 0.6, 0.9))
    torch.testing.assert_close(curve[:20], curve[20:40])
    assert curve.max() == 1
    assert curve.min() == 0


def test_draws_depend_on_every_seed_and_on_nothing_else() -> None:
    assert Draw(1, 2, 3).uniform(0, 1) == Draw(1, 2, 3).uniform(0, 1)
    firsts = {Draw(*seeds).uniform(0, 1) for seeds in ((1, 2, 3), (3, 2, 1), (1, 2, 4), (2, 2, 3), (1, 2))}
    assert len(firsts) == 5
    assert wander(Draw(0), 60, 0.1).abs().max() <= 0.1
