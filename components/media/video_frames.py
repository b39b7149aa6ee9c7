"""A video file as a sequence of frames: decoded one after the other, or one from anywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from components.errors import InputError
from components.media.clip_reader import BrokenVideoError, ClipReader, broken_video, upright
from components.media.video_probe import NO_PICTURES, leave_out_others, open_video, picture_stream, probe_video


def _decoded(path: str | Path) -> Iterator[Any]:
    """Decoded frames that have a time, not yet pictures, in the order of display; one at a time is in memory.

    Raises:
        BrokenVideoError: the file cannot be opened, or not be decoded further.
    """
    try:
        with open_video(str(path)) as container:
            stream = picture_stream(container)
            if stream is None:
                raise broken_video(str(path), NO_PICTURES)
            leave_out_others(container, stream)
            yield from (frame for frame in container.decode(stream) if frame.pts is not None)
    except av.FFmpegError as error:
        raise broken_video(str(path), f"cannot be decoded ({error.strerror or error})") from error


class VideoFrames:
    """The frames of a video file as a sequence, with the interface of a folder of pictures.

    Reading forward decodes every frame once; reading back seeks to the key frame before.

    Args:
        path: the video file.
        name: how results are called; None = the file's name without its ending.

    Raises:
        InputError: the file is missing, broken or no video.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        path = Path(path)
        facts = probe_video(path)
        if facts.error is not None:
            raise InputError(
                f"video {path}: {facts.error}.\nGive the path of a whole mp4, mov, avi, mkv or webm file, or of a "
                "folder of frames"
            )
        self.path, self.name = path, name or path.stem
        self.fps = float(facts.fps or 25)
        self._pts = facts.pts
        self._reader = ClipReader(max_open=1)
        self._stream: Iterator[Any] | None = None
        self._position = 0  # the frame that the stream gives next
        self._last: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._pts)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every frame, pixels, after turning it upright."""
        height, width = (self._last[1] if self._last else self.read(0)).shape[:2]
        return height, width

    def read(self, index: int) -> np.ndarray:
        """Frame `index`, RGB uint8 `[H, W, 3]`.

        Raises:
            IndexError: there is no such frame.
            InputError: the file cannot be decoded up to there.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"video {self.path}: frame {index} of {len(self)}")
        if self._last is None or self._last[0] != index:
            try:
                self._last = (index, self._read(index))
            except BrokenVideoError as error:
                raise InputError(
                    f"{error} at frame {index} of {len(self)}.\n"
                    "Use a whole copy of the file, or cut it before that frame"
                ) from error
        return self._last[1]

    def close(self) -> None:
        """Close the file; frames can still be read."""
        self._reader.close()
        self._stream, self._position = None, 0

    def _read(self, index: int) -> np.ndarray:
        if index == 0:
            self._stream, self._position = _decoded(self.path), 0
        if self._stream is not None and index >= self._position:
            wanted = int(self._pts[index])
            for frame in self._stream:
                self._position = int(np.searchsorted(self._pts, frame.pts, side="right"))
                if frame.pts == wanted and not frame.is_corrupt:
                    return upright(frame)
                if frame.pts >= wanted:  # it was left out, comes later or is damaged: the reader knows
                    break
        return self._seek(index)

    def _seek(self, index: int) -> np.ndarray:
        (picture,) = self._reader.read(self.path, self._pts[index : index + 1])
        return np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
