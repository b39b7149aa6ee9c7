import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from datamodules.skeletonclip.sampling import evaluation_frames, generator_of, sample_frames


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 200), length=st.integers(1, 60), clips=st.integers(1, 4), seed=st.integers(0, 2**62),
    test=st.booleans(), low=st.sampled_from([0.3, 1.0]),
)  # fmt: skip
def test_frames_lie_in_the_video_and_go_forward(
    frames: int, length: int, clips: int, seed: int, test: bool, low: float
) -> None:
    drawn = sample_frames(frames, length, clips, generator_of(seed), test, (low, 1.0))
    assert drawn.shape == (clips * length,)
    assert drawn.min() >= 0
    assert drawn.max() < frames
    if frames >= length and low == 1.0:  # one frame of every part, nothing twice
        assert (np.diff(drawn.reshape(clips, length)) > 0).all()


def test_neither_numpys_generator_nor_the_next_draw_is_touched() -> None:
    np.random.seed(3)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr] # noqa: NPY002
    first = evaluation_frames(100, 48, 10, 255)
    assert (np.random.get_state()[1] == state).all()  # type: ignore[index] # noqa: NPY002
    assert evaluation_frames(100, 48, 10, 255) is first
    assert not first.flags.writeable
    assert (evaluation_frames(100, 48, 10, 254) != first).any()
    assert (sample_frames(100, 48, 1, generator_of(1)) != sample_frames(100, 48, 1, generator_of(2**40 + 1))).any()


def test_no_frames() -> None:
    with pytest.raises(InputError, match=r"data\.clip_len=0"):
        sample_frames(10, 0, 1, generator_of(0))
