import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.videowalk.timestamps import TimestampTable


@given(st.lists(st.lists(st.integers(-(10**12), 10**12), max_size=20), max_size=6))
def test_what_goes_in_comes_out(videos: list[list[int]]) -> None:
    table = TimestampTable.build(np.array(video, dtype=np.int64) for video in videos)
    assert len(table) == len(videos)
    assert [table[video].tolist() for video in range(len(table))] == videos
    assert table.spans().tolist() == [video[-1] - video[0] if video else 0 for video in videos]
    again = TimestampTable(**table.arrays())
    assert [again[video].tolist() for video in range(len(table))] == videos


def test_a_constant_rate_is_one_run() -> None:
    table = TimestampTable.build([np.arange(0, 512 * 5000, 512), np.array([7]), np.array([0, 5, 10, 40, 45])])
    assert table.run_counts.tolist() == [1, 0, 3]
    assert len(table.gaps) == 4


def test_arrays_that_contradict_each_other_are_refused() -> None:
    good = TimestampTable.build([np.arange(5), np.array([0, 2, 3])]).arrays()
    for name, value in (
        ("lengths", np.array([5, 4])),
        ("run_counts", np.array([1, 1])),
        ("repeats", np.array([4, -1, 3])),
        ("gaps", np.array([1])),
        ("first", np.array([0])),
    ):
        with pytest.raises(ValueError, match="contradicts"):
            TimestampTable(**{**good, name: value})
