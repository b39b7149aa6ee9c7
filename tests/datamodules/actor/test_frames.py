"""Frame sampling beyond the golden case."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.errors import InputError
from datamodules.actor.frames import FrameSampling, central, random_draw


@given(
    st.integers(1, 200), st.integers(1, 100), st.sampled_from(["conseq", "random_conseq", "random"]),
    st.integers(-1, 5), st.integers(0, 1000),
)  # fmt: skip
def test_frames_are_in_range_and_in_order(length, count, sampling, step, seed):
    assume(step != 0)
    frames = FrameSampling(count, sampling, step).choose(length, random_draw(seed))
    assert len(frames) == count
    assert frames.min() >= 0
    assert frames.max() < length
    steps = np.diff(frames)
    if count <= length:
        assert (steps > 0).all()
        if sampling != "random":
            assert len(set(steps.tolist())) <= 1
    else:
        np.testing.assert_array_equal(frames, np.minimum(np.arange(count), length - 1))


@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 60), st.integers(0, 100))
def test_random_lengths_keep_their_bounds(length, shortest, more, seed):
    sampling = FrameSampling(-2, min_len=shortest, max_len=shortest + more)
    count = len(sampling.choose(length, random_draw(seed)))
    assert shortest <= count <= max(shortest, min(length, shortest + more))


def test_whole_clips():
    assert len(FrameSampling(-1).choose(500, central)) == 500
    assert len(FrameSampling(-1, max_len=100).choose(500, central)) == 100


def test_central_frames_come_from_the_middle():
    frames = FrameSampling(60).choose(100, central)
    assert abs((frames[0] + frames[-1]) / 2 - 49.5) <= 1


def test_random_frames_reach_every_frame():
    sampling = FrameSampling(3, "random")
    seen = {frame for seed in range(200) for frame in sampling.choose(6, random_draw(seed)).tolist()}
    assert seen == set(range(6))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"num_frames": 0}, "num_frames"), ({"num_frames": -3}, "num_frames"), ({"num_frames": -2}, "min_len"),
        ({"sampling": "all"}, "sampling"), ({"sampling_step": 0}, "sampling_step"),
        ({"num_frames": -2, "min_len": 9, "max_len": 5}, "max_len"),
    ],
)  # fmt: skip
def test_faults_name_the_key(settings, key):
    with pytest.raises(InputError, match=f"data.{key}"):
        FrameSampling(**settings)
