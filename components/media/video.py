"""Video files through PyAV."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.files.atomic import atomic_path
from components.media.clip_reader import upright
from components.media.frames import Frames, as_film
from components.media.video_probe import NO_PICTURES, open_video, picture_stream

# The best encoder that the installed FFmpeg has; mpeg4 is in every build. Without x264's macroblock tree the same
# frames give the same bytes: with it, widths that are no multiple of 256 depend on memory that nobody has set.
_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"preset": "veryfast", "x264-params": "mbtree=0"}),
    ("mpeg4", {"qscale:v": "3"}),
)


class Video(NamedTuple):
    """A decoded clip."""

    frames: Tensor  # frames height width 3, uint8
    fps: float


def write_mp4(path: str | Path, frames: Frames | Iterable[Frames], fps: float, crf: int = 18) -> Path:
    """Write a film that every player takes: H.264 (else MPEG-4), yuv420p, index at the front of the file.

    Args:
        path: target, ends in `.mp4`; appears whole or not at all.
        frames: uint8 `[T, H, W, 3]`, or pictures / pieces of film one after the other (then nothing is held in memory).
            Odd sides are extended by one row or column of their border, since yuv420p needs even ones.
        fps: frames per second, > 0.
        crf: quality of H.264; 18 is close to lossless, 28 is small.

    Returns:
        The path.

    Raises:
        ValueError: no frames, frames of different sizes, wrong type, or fps <= 0.
        InputError: the file cannot be written.
    """
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    pictures = _pictures(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError("there are no frames to write")
    codec, options = _encoder(crf)
    height, width = first.shape[0] + first.shape[0] % 2, first.shape[1] + first.shape[1] % 2
    with (
        atomic_path(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream: Any = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.thread_count = 1
        for picture in _chain(first, pictures):
            if picture.shape != first.shape:
                raise ValueError(f"frames differ in size: {list(first.shape)} and {list(picture.shape)}")
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_even(picture), format="rgb24")))
        container.mux(stream.encode(None))
    return Path(path)


def read_video(path: str | Path, start: int = 0, stop: int | None = None, step: int = 1) -> Video:
    """Decode frames `start:stop:step` of a video file, turned upright where the file carries a rotation.

    Raises:
        InputError: the file is missing, is no video, or holds no frame in that range.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"video {path}: no such file.\nGive the path of an mp4, mov, avi, mkv or gif file.")
    frames: list[np.ndarray] = []
    try:
        with open_video(str(path)) as container:
            stream = picture_stream(container)
            if stream is None:
                raise InputError(f"video {path}: {NO_PICTURES}.\nGive the path of a video file.")
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            for index, frame in enumerate(container.decode(stream)):
                if stop is not None and index >= stop:
                    break
                if index >= start and (index - start) % step == 0:
                    frames.append(upright(frame))
    except av.FFmpegError as error:
        raise InputError(
            f"video {path}: cannot be decoded ({error.strerror or error}).\n"
            f"It may be truncated or no video at all; check it with: ffprobe {path.name}"
        ) from error
    if not frames:
        raise InputError(f"video {path}: no frame in the range {start}:{stop}:{step}.\nGive a range inside the clip.")
    return Video(torch.from_numpy(np.stack(frames)), float(rate))


def _encoder(crf: int) -> tuple[str, dict[str, str]]:
    for name, options in _ENCODERS:
        if name in av.codecs_available:
            return name, {**options, "crf": str(crf)} if name == "libx264" else dict(options)
    raise InputError("this build of PyAV has no encoder for mp4.\nInstall the wheel: pip install --force-reinstall av")


def _pictures(frames: Frames | Iterable[Frames]) -> Iterator[np.ndarray]:
    if isinstance(frames, np.ndarray | torch.Tensor):
        yield from as_film(frames)
    else:
        for part in frames:
            yield from as_film(part)


def _chain(first: np.ndarray, rest: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from rest


def _even(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    if height % 2 or width % 2:
        picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(picture)
