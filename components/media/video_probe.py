"""What a video file holds, found by demuxing alone: no frame is decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

# Endings count in any case. Published code takes mp4 only; original Kinetics downloads hold webm and mkv as well.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv")
NO_PICTURES = "there is no picture stream in the file that can be decoded"
# Rates are stored as two whole numbers of 64 bits.
_LARGEST = 1 << 30
_PART_OF_FILE = "subfile,"


@dataclass(frozen=True)
class VideoFacts:
    """Facts of one video file.

    `pts` `[n]` int64 are the presentation timestamps of the frames in the order of display, in units of `time_base`
    seconds, each once; a file with a variable frame rate has uneven gaps. `key_frames` are those of the frames that
    decoding can start at. `fps` is the average rate, None where the file does not tell.
    With `error` the file cannot be used as a whole: the text says why, and `pts` holds no frames; `passing` tells that
    the reason lies outside of the file (no permission, no connection), so that it may be gone another time.
    """

    path: str
    pts: np.ndarray
    key_frames: np.ndarray
    fps: Fraction | None
    time_base: Fraction
    width: int
    height: int
    error: str | None = None
    passing: bool = False

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return len(self.pts)

    @property
    def seconds(self) -> float:
        """Time from the first to the last frame."""
        return float((int(self.pts[-1]) - int(self.pts[0])) * self.time_base) if len(self.pts) else 0.0


def probe_video(path: str | Path) -> VideoFacts:
    """Read the timestamps, rate and size of a video. Never raises for a bad file: `error` tells.

    A file that ends before the frames that its own index lists is an error too. Damage inside a frame is only seen by
    who decodes it (`ClipReader` raises `BrokenVideoError`).
    """
    path = str(path)
    try:
        size = Path(path).stat().st_size
        if size == 0:
            return _unusable(path, "the file is empty (0 bytes)")
        with open_video(path) as container:
            stream = picture_stream(container)
            if stream is None:
                return _unusable(path, NO_PICTURES)
            return _facts(path, container, stream, size)
    except OSError as error:  # some of FFmpeg's are of both kinds
        return _unusable(path, f"it cannot be read ({error.strerror or error})", passing=True)
    except av.FFmpegError as error:
        return _unusable(path, f"it cannot be opened ({error.strerror or error}); it may be truncated or no video")


def open_video(path: str) -> Any:
    """A file, or a part of one (`subfile,...`), opened to be read. Raises what `av.open` raises."""
    # Titles are in whatever encoding; names with a colon are no protocols.
    location = path if path.startswith(_PART_OF_FILE) else f"file:{path}"
    return av.open(location, metadata_errors="replace")


def picture_stream(container: Any) -> Any | None:
    """The stream that players show: the first one that can be decoded and is not a cover picture; None without one."""
    streams = [stream for stream in container.streams.video if stream.codec_context is not None]
    moving = [stream for stream in streams if not stream.disposition & stream.disposition.attached_pic]
    return next(iter(moving or streams), None)


def leave_out_others(container: Any, chosen: Any) -> None:
    """Let the demuxer skip sound and other streams without reading them."""
    for stream in container.streams:
        if stream.index != chosen.index and hasattr(stream, "discard"):
            stream.discard = type(stream.discard).all


def _facts(path: str, container: Any, stream: Any, size: int) -> VideoFacts:
    leave_out_others(container, stream)
    listed = [entry.pos + entry.size for entry in stream.index_entries]
    if listed and max(listed) > size:
        whole = sum(end <= size for end in listed)
        return _unusable(path, f"it is truncated: its index lists {len(listed)} frames, {whole} are in the file")
    # The packet that ends the stream has no time, edit lists mark what is before the start as not shown.
    packets = [
        (packet.pts, packet.is_keyframe)
        for packet in _demux(container, stream)
        if packet.pts is not None and not packet.is_discard and not packet.is_corrupt
    ]
    if not packets:
        return _unusable(path, "no frame in it has a timestamp")
    pts = np.unique(np.array([time for time, _ in packets], dtype=np.int64))
    keys = np.unique(np.array([time for time, key in packets if key], dtype=np.int64))
    context = stream.codec_context
    time_base = Fraction(stream.time_base)
    return VideoFacts(path, pts, keys, _rate(stream, pts, time_base), time_base, context.width, context.height)


def _demux(container: Any, stream: Any) -> Iterator[Any]:
    """Packets up to the first that cannot be read; what comes after it is lost to a decoder as well."""
    try:
        yield from container.demux(stream)
    except av.FFmpegError:
        return


def _rate(stream: Any, pts: np.ndarray, time_base: Fraction) -> Fraction | None:
    if stream.average_rate:
        return Fraction(stream.average_rate)
    if len(pts) < 2:
        return None
    rate = (len(pts) - 1) / ((int(pts[-1]) - int(pts[0])) * time_base)
    return rate.limit_denominator(_LARGEST) or None


def _unusable(path: str, error: str, passing: bool = False) -> VideoFacts:
    none = np.empty(0, dtype=np.int64)
    return VideoFacts(path, none, none, None, Fraction(1), 0, 0, error, passing)
