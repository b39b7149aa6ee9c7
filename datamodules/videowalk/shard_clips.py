"""Clips of videos in shards, read in place: no file is unpacked, and what is read lies close together."""

from pathlib import Path

import numpy as np

from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.kinetics_clips import VideoClips
from datamodules.videowalk.shard_files import read_shards, timestamp_table


class ShardClips(VideoClips):
    """As `VideoClips`; `shards` `[V]` tells the shard of every video, for `ShardSampler`.

    Args:
        folder: shards and their index.
        clip_len: frames of a clip.
        step: distance of the starts of neighbouring clips, in resampled frames.
        frame_rate: frames per second of a clip; None keeps that of each video.

    Raises:
        InputError: see `read_shards`; or a value out of range.
    """

    def __init__(self, folder: str | Path, clip_len: int = 4, step: int = 1, frame_rate: float | None = 8) -> None:
        folder = Path(folder).expanduser().resolve()
        videos, self.shards, shards, skipped = read_shards(folder)
        fps = np.array([np.nan if video.fps is None else video.fps for video in videos])
        index = ClipIndex(timestamp_table(videos), fps, clip_len, step, frame_rate)
        names = [f"{shards[shard].name}:{video.name}" for video, shard in zip(videos, self.shards, strict=True)]
        places = [
            _part(shards[shard], video.offset, video.size) for video, shard in zip(videos, self.shards, strict=True)
        ]
        super().__init__(names, places, index, skipped, keys=[video.name for video in videos])


def _part(file: Path, offset: int, size: int) -> str:
    """Some bytes of a file as FFmpeg opens them: it sees nothing but these."""
    return f"subfile,,start,{offset},end,{offset + size},,:{file}"
