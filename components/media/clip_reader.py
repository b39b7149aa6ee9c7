"""Reads single frames out of video files by their timestamps, decoding no more than it takes."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from torch import Tensor

from components.media.video_probe import NO_PICTURES, leave_out_others, open_video, picture_stream

# Frames decoded beyond the last wanted one before a wanted frame counts as missing: some old containers hand frames out
# of order, by at most the reordering of a codec.
_DISORDER = 16
# Before every timestamp.
_ANYWHERE = -(1 << 63)
# Containers that a forked child inherited. Their decoding threads live in the parent only: closing them would wait for
# ever, so they are kept as they are.
_INHERITED: list[Any] = []


class BrokenVideoError(ValueError):
    """Frames of a video cannot be read. `path` is the file, `reason` says why."""

    path: str = ""
    reason: str = ""


def broken_video(path: str, reason: str) -> BrokenVideoError:
    """The error for one file; it keeps `path` and `reason` when it is sent from a worker process."""
    error = BrokenVideoError(f"video {path}: {reason}")
    error.path, error.reason = path, reason
    return error


class _Opened(NamedTuple):
    path: str
    container: Any
    stream: Any


class ClipReader:
    """Reads clips: seeks to the key frame before the first frame and decodes up to the last, pictures only.

    Open files are kept for the next clip of the same video, at most `max_open` of them. A reader may be pickled (files
    are then opened again) and used after a fork; it is not for several threads at once.

    Args:
        max_open: files kept open, >= 0; 0 opens anew for every clip.
        threads: decoding threads per file, >= 1; with one process per core more do not help.

    Raises:
        ValueError: an argument out of range.
    """

    def __init__(self, max_open: int = 8, threads: int = 1) -> None:
        if max_open < 0 or threads < 1:
            raise ValueError(f"max_open={max_open} must be at least 0, threads={threads} at least 1")
        self.max_open = max_open
        self.threads = threads
        self._open: OrderedDict[str, _Opened] = OrderedDict()
        self._process = os.getpid()
        # Frames decoded so far, wanted or passed over.
        self.decoded = 0

    def read(self, path: str | Path, pts: Sequence[int] | np.ndarray | Tensor) -> Tensor:
        """The frames with exactly these timestamps, in their order; a timestamp may come several times.

        Args:
            path: the video file.
            pts: `[T]` timestamps in ticks of the video's time base, as `probe_video` gives them.

        Returns:
            uint8 `[T, 3, H, W]`, RGB, turned upright where the file carries a rotation.

        Raises:
            BrokenVideoError: the file cannot be opened or decoded up to there, or has no such frame.
            ValueError: no timestamps were given.
        """
        path, wanted = str(path), [int(time) for time in pts]
        if not wanted:
            raise ValueError("pts is empty: give at least one timestamp")
        try:
            pictures = self._decode(path, sorted(set(wanted)))
        except av.FFmpegError as error:
            self._forget(path)
            raise broken_video(path, f"cannot be decoded ({error.strerror or error})") from error
        except BaseException:
            # Whatever state the decoder is in, the next clip does not depend on it.
            self._forget(path)
            raise
        while len(self._open) > self.max_open:
            self._forget(next(iter(self._open)))
        clip = [pictures[time] for time in wanted]
        if any(picture.shape != clip[0].shape for picture in clip):
            raise broken_video(path, "its frames have different sizes")
        return torch.stack(clip)

    def close(self) -> None:
        """Close all files; the reader can be used again."""
        for path in list(self._open):
            self._forget(path)

    def __len__(self) -> int:
        """Files that are open now."""
        return len(self._open)

    def __getstate__(self) -> dict[str, Any]:
        return {"max_open": self.max_open, "threads": self.threads}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _opened(self, path: str) -> _Opened:
        if self._process != os.getpid():
            _INHERITED.append(self._open)
            self._open, self._process = OrderedDict(), os.getpid()
        if path in self._open:
            self._open.move_to_end(path)
            return self._open[path]
        container = open_video(path)
        stream = picture_stream(container)
        if stream is None:
            container.close()
            raise broken_video(path, NO_PICTURES)
        leave_out_others(container, stream)
        stream.codec_context.thread_count = self.threads
        stream.codec_context.thread_type = "AUTO" if self.threads > 1 else "SLICE"
        self._open[path] = _Opened(path, container, stream)
        return self._open[path]

    def _forget(self, path: str) -> None:
        opened = self._open.pop(path, None)
        if opened is not None:
            opened.container.close()

    def _decode(self, path: str, wanted: list[int]) -> dict[int, Tensor]:
        """Pictures by timestamp; `wanted` ascends."""
        opened, target, earliest = self._opened(path), wanted[0], None
        found: dict[int, Tensor] = {}
        while True:
            try:
                opened.container.seek(target, stream=opened.stream, backward=True, any_frame=False)
            except av.FFmpegError:  # the file cannot be searched
                break
            found, start = self._decode_here(opened, wanted, earliest)
            if start is None:
                break
            # Key frames are found by the time of their decoding, which is before that of their display: one can lie
            # behind the first wanted frame. Then the one before it is taken, if there is any.
            target, earliest = start - 1, start
        if len(found) < len(wanted):
            # Files without an index of their key frames (transport streams) lead astray: only the beginning is sure.
            self._forget(path)
            found, _ = self._decode_here(self._opened(path), wanted, _ANYWHERE)
        missing = [time for time in wanted if time not in found]
        if missing:
            raise broken_video(
                path,
                f"{len(missing)} of {len(wanted)} frames are missing, the first at timestamp {missing[0]}; "
                "the file is damaged or has changed since it was indexed",
            )
        return found

    def _decode_here(
        self, opened: _Opened, wanted: list[int], earliest: int | None
    ) -> tuple[dict[int, Tensor], int | None]:
        """Pictures from where the file stands now.

        Where the first of them comes after the first wanted one, and decoding did start before `earliest`, there are no
        pictures but the time of the packet that it started with.
        """
        found: dict[int, Tensor] = {}
        start, first, beyond = None, True, 0
        for packet in opened.container.demux(opened.stream):
            if start is None:
                start = packet.pts if packet.dts is None else packet.dts
            for frame in packet.decode():
                self.decoded += 1
                if frame.pts is None:
                    continue
                late = first and frame.pts > wanted[0]
                if late and start is not None and (earliest is None or start < earliest):
                    return {}, start
                first = False
                if frame.pts > wanted[-1]:
                    beyond += 1
                elif frame.pts in wanted and frame.pts not in found:
                    if frame.is_corrupt:
                        raise broken_video(opened.path, f"the frame at timestamp {frame.pts} is damaged")
                    found[frame.pts] = _picture(frame)
                if len(found) == len(wanted) or beyond > _DISORDER:
                    return found, None
        return found, None


def upright(frame: Any) -> np.ndarray:
    """A decoded frame as RGB uint8 `[H, W, 3]`, turned as the file says that it is to be shown."""
    picture = frame.to_ndarray(format="rgb24")
    return np.rot90(picture, k=round(frame.rotation / 90) % 4) if frame.rotation else picture


def _picture(frame: Any) -> Tensor:
    """`[3, H, W]`."""
    return torch.from_numpy(np.ascontiguousarray(upright(frame).transpose(2, 0, 1)))
