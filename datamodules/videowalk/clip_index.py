"""Which frames are a clip: the arithmetic of torchvision's `VideoClips`, which the published training uses.

A video of n frames at rate fps is resampled to M = floor(n * rate / fps) frames; resampled frame i is source frame
floor(i * fps / rate), computed in float32. Where fps / rate is a whole number every (fps / rate)-th frame up to the end
is taken instead, which can be one more. A clip is `frames_per_clip` resampled frames, the next clip begins `step`
resampled frames later.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from components.errors import InputError
from components.media.video_probe import VideoFacts
from datamodules.videowalk.timestamps import TimestampTable


class ClipPlace(NamedTuple):
    """Where a clip lies: number of its video, number of the clip within it."""

    video: int
    clip: int


def resampled_length(num_frames: int, fps: float, frame_rate: float | None) -> int:
    """Frames of a video after resampling."""
    rate = fps if frame_rate is None else frame_rate
    stride = fps / rate
    if stride.is_integer():
        return -(-num_frames // int(stride))
    return math.floor(num_frames * rate / fps)


def source_frames(numbers: np.ndarray, num_frames: int, fps: float, frame_rate: float | None) -> np.ndarray:
    """Source frames of resampled frames, int64 of the shape of `numbers`."""
    stride = fps / (fps if frame_rate is None else frame_rate)
    if stride.is_integer():
        return numbers.astype(np.int64) * int(stride)
    frames = np.floor(numbers.astype(np.float32) * np.float32(stride)).astype(np.int64)
    # In videos of millions of frames float32 may round up past the last one.
    return np.minimum(frames, num_frames - 1)


class ClipIndex:
    """All clips of a list of videos, counted video after video.

    Args:
        timestamps: timestamps of the frames of each video.
        fps: average frame rate of each video, `[V]`; NaN where it is unknown counts as 1, as published.
        frames_per_clip: frames of a clip.
        step: distance of the starts of neighbouring clips, in resampled frames.
        frame_rate: frames per second of a clip; None keeps the rate of each video.

    Raises:
        InputError: a value out of range.
    """

    def __init__(
        self,
        timestamps: TimestampTable,
        fps: Sequence[float] | np.ndarray,
        frames_per_clip: int = 4,
        step: int = 1,
        frame_rate: float | None = 8,
    ) -> None:
        check_clips(frames_per_clip, step, frame_rate)
        rates = np.asarray(fps, dtype=np.float64)
        if rates.shape != (len(timestamps),):
            raise ValueError(f"fps has shape {list(rates.shape)} for {len(timestamps)} videos")
        self.timestamps = timestamps
        self.fps = np.where(np.isfinite(rates) & (rates > 0), rates, 1.0)
        self.frames_per_clip, self.step, self.frame_rate = frames_per_clip, step, frame_rate
        # Resampled frames and clips of each video, clips up to and with each video: `[V]` int64.
        self.resampled = np.array(
            [resampled_length(int(n), float(rate), frame_rate) for n, rate in zip(timestamps.lengths, self.fps)],
            dtype=np.int64,
        )
        room = self.resampled - frames_per_clip
        self.clips_per_video: np.ndarray = np.where(room >= 0, room // step + 1, 0)
        self.cumulative_sizes = np.cumsum(self.clips_per_video)

    @classmethod
    def build(
        cls, videos: Sequence[VideoFacts], frames_per_clip: int = 4, step: int = 1, frame_rate: float | None = 8
    ) -> "ClipIndex":
        """From what `probe_video` found; videos with an error have no clips."""
        table = TimestampTable.build(facts.pts for facts in videos)
        fps = np.array([float(facts.fps) if facts.fps else np.nan for facts in videos])
        return cls(table, fps, frames_per_clip, step, frame_rate)

    def __len__(self) -> int:
        """Number of clips."""
        return int(self.cumulative_sizes[-1]) if len(self.cumulative_sizes) else 0

    def locate(self, flat: int) -> ClipPlace:
        """Video and clip of a flat number.

        Raises:
            IndexError: there is no such clip.
        """
        if not 0 <= flat < len(self):
            raise IndexError(f"clip {flat} of {len(self)}")
        video = int(np.searchsorted(self.cumulative_sizes, flat, side="right"))
        return ClipPlace(video, flat - int(self.cumulative_sizes[video] - self.clips_per_video[video]))

    def frames(self, video: int, clip: int) -> np.ndarray:
        """Numbers of the frames of a clip in its video, `[T]` int64.

        Raises:
            IndexError: there is no such clip.
        """
        if not 0 <= clip < self.clips_per_video[video]:
            raise IndexError(f"clip {clip} of the {self.clips_per_video[video]} of video {video}")
        numbers = clip * self.step + np.arange(self.frames_per_clip)
        return source_frames(numbers, int(self.timestamps.lengths[video]), float(self.fps[video]), self.frame_rate)

    def pts(self, video: int, clip: int) -> np.ndarray:
        """Timestamps of the frames of a clip, `[T]` int64; errors as of `frames`."""
        return self.timestamps[video][self.frames(video, clip)]

    def clip_frames(self, flat: int) -> np.ndarray:
        """Numbers of the frames of a clip by its flat number, `[T]` int64."""
        return self.frames(*self.locate(flat))

    def clip_pts(self, flat: int) -> np.ndarray:
        """Timestamps of a clip by its flat number, `[T]` int64."""
        return self.pts(*self.locate(flat))


def check_clips(frames_per_clip: int, step: int, frame_rate: float | None) -> None:
    """Check the keys that make clips out of videos.

    Raises:
        InputError: a value out of range.
    """
    if frames_per_clip < 1:
        raise InputError(f"clip_len={frames_per_clip} must be at least 1 frame")
    if step < 1:
        raise InputError(f"step={step} must be at least 1 resampled frame")
    if frame_rate is not None and not 0 < frame_rate <= 1000:
        raise InputError(
            f"frame_rate={frame_rate}: expected frames per second up to 1000, or null for each video's own"
        )
