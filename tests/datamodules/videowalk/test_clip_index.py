import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.media.video_probe import VideoFacts
from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.clip_sampler import draw_clips
from datamodules.videowalk.timestamps import TimestampTable

NTSC = 30000 / 1001


def make_index(
    lengths: list[int], fps: list[float], clip_len: int = 4, step: int = 1, rate: float | None = 8
) -> ClipIndex:
    table = TimestampTable.build(np.arange(length, dtype=np.int64) * 1001 for length in lengths)
    return ClipIndex(table, fps, clip_len, step, rate)


def slow_clips(length: int, fps: float, clip_len: int, step: int, rate: float | None) -> list[list[int]]:
    """All clips of a video, one resampled frame after the other."""
    rate = rate or fps
    stride = fps / rate
    frames = []
    if stride == int(stride):
        frame = 0
        while frame < length:
            frames.append(frame)
            frame += int(stride)
    else:
        for number in range(math.floor(length * rate / fps)):
            frames.append(int((torch.tensor(number, dtype=torch.float32) * stride).floor()))
    clips, start = [], 0
    while start + clip_len <= len(frames):
        clips.append(frames[start : start + clip_len])
        start += step
    return clips


def test_the_table_of_the_reading_note() -> None:
    """Six videos of ten seconds: 77 clips each, 462 in all, at most 5 per video are 30 samples, 15 batches of 2."""
    index = make_index([300, 300, 300, 300, 300, 250], [NTSC, NTSC, NTSC, 30, 30, 25])
    assert index.clips_per_video.tolist() == [77] * 6
    assert index.cumulative_sizes.tolist() == [77, 154, 231, 308, 385, 462]
    assert len(index) == 462
    drawn = draw_clips(torch.from_numpy(index.clips_per_video), 5, torch.Generator().manual_seed(0))
    assert len(drawn) == 30
    assert len(drawn.split(2)) == 15
    assert index.clip_frames(0).tolist() == [0, 3, 7, 11]
    assert index.clip_pts(77).tolist() == [0, 3 * 1001, 7 * 1001, 11 * 1001]


rates = st.sampled_from([8.0, 12.0, 15.0, 23.976, 24.0, 25.0, NTSC, 30.0, 50.0, 60.0, 28.05194805194805, 7.5, 1.0])


@given(
    st.lists(st.tuples(st.integers(0, 150), rates), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(1, 5),
    st.sampled_from([None, 8, 8.0, 12, 5, 30, 2.5, 40]),
)
def test_clips_equal_those_of_the_plain_loop(
    videos: list[tuple[int, float]], clip_len: int, step: int, rate: float | None
) -> None:
    index = make_index([length for length, _ in videos], [fps for _, fps in videos], clip_len, step, rate)
    flat = 0
    for video, (length, fps) in enumerate(videos):
        clips = slow_clips(length, fps, clip_len, step, rate)
        assert index.clips_per_video[video] == len(clips)
        for clip, frames in enumerate(clips):
            assert index.locate(flat) == (video, clip)
            assert index.clip_frames(flat).tolist() == frames
            assert index.clip_pts(flat).tolist() == [1001 * frame for frame in frames]
            flat += 1
    assert len(index) == flat


def test_a_whole_stride_goes_to_the_end() -> None:
    """25 frames at 24 for 8 per second are 8 resampled frames by the formula, but every third one is 9."""
    index = make_index([25, 25], [24, 24.5], clip_len=8)
    assert index.clips_per_video.tolist() == [2, 1]
    assert index.frames(0, 1).tolist() == [3, 6, 9, 12, 15, 18, 21, 24]


def test_unknown_rates_count_as_one() -> None:
    none = np.empty(0, dtype=np.int64)
    whole = VideoFacts("a", np.arange(10) * 512, none, None, Fraction(1, 512), 48, 32)
    broken = VideoFacts("b", none, none, None, Fraction(1), 0, 0, "it is empty")
    index = ClipIndex.build([broken, whole], frames_per_clip=4, frame_rate=None)
    assert index.clips_per_video.tolist() == [0, 7]
    assert ClipIndex.build([whole], frame_rate=8).clips_per_video.tolist() == [77]  # every frame eight times
    assert ClipIndex.build([whole], frame_rate=8).clip_frames(6).tolist() == [0, 0, 1, 1]


def test_long_videos_stay_inside() -> None:
    """float32 counts whole numbers up to 2^24 only: here it rounds the last frame up to one that is not there."""
    length = (1 << 24) + 5
    table = TimestampTable(*(np.array([value]) for value in (0, length, 1, 1, length - 1)))
    index = ClipIndex(table, [30], frames_per_clip=2, frame_rate=50)
    assert index.clip_frames(len(index) - 1).max() == length - 1


def test_what_is_out_of_range() -> None:
    index = make_index([20], [24])
    for flat in (-1, len(index)):
        with pytest.raises(IndexError, match="clip"):
            index.locate(flat)
    with pytest.raises(IndexError, match="of the 4 of video 0"):
        index.frames(0, 4)
    assert len(make_index([], [])) == 0
    for key, value in (("clip_len", 0), ("step", 0), ("rate", 0.0), ("rate", -8.0)):
        with pytest.raises(InputError, match=key):
            make_index([20], [24], **{key: value})
