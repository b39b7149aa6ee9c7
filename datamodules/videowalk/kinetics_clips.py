"""Clips of video files, as Kinetics has them: one folder per class, the class itself unused."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from components.media.clip_reader import BrokenVideoError, ClipReader, broken_video
from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.video_index import VideoIndex


class VideoClips:
    """Clips of videos by timestamp.

    Args:
        names: path of each video, as reports show it.
        keys: the same below the folder of all, the same on every machine; None = `names`.
        locations: what FFmpeg opens for each video: a file, or a part of one.
        index: clips of the same videos.
        skipped: videos that cannot be used, with the reason.
        reader: reads frames; every process opens files of its own.
    """

    def __init__(
        self,
        names: Sequence[str],
        locations: Sequence[str],
        index: ClipIndex,
        skipped: Mapping[str, str] | None = None,
        reader: ClipReader | None = None,
        keys: Sequence[str] | None = None,
    ) -> None:
        if not len(names) == len(locations) == len(index.clips_per_video):
            raise ValueError(
                f"{len(names)} names, {len(locations)} places and {len(index.clips_per_video)} indexed videos"
            )
        self.names = names
        self.keys = names if keys is None else keys
        self.locations = locations
        self.index = index
        self.skipped = dict(skipped or {})
        self.reader = ClipReader() if reader is None else reader

    @property
    def counts(self) -> np.ndarray:
        """Clips of every video, `[V]` int64."""
        return self.index.clips_per_video

    @classmethod
    def of_index(
        cls, videos: VideoIndex, clip_len: int = 4, step: int = 1, frame_rate: float | None = 8
    ) -> "VideoClips":
        """Clips of the sound videos of an index; broken ones are among `skipped`.

        Raises:
            InputError: a value out of range.
        """
        paths = [videos.path(video) for video in range(len(videos))]
        return cls(paths, paths, videos.clips(clip_len, step, frame_rate), videos.broken, keys=videos.names)

    def name(self, video: int) -> str:
        """Path of a video."""
        return self.names[video]

    def read(self, video: int, clip: int) -> Tensor:
        """Frames of a clip, uint8 `[T, 3, H, W]`.

        Raises:
            BrokenVideoError: they cannot be read.
        """
        try:
            return self.reader.read(self.locations[video], self.index.pts(video, clip))
        except BrokenVideoError as error:
            if self.names[video] == error.path:
                raise
            raise broken_video(self.names[video], error.reason) from error
