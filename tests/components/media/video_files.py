"""Small videos for tests, with timestamps, group lengths and codecs as wanted."""

import struct
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE = (32, 48)


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A frame that tells its number in blocks of 8 x 8: black and white bits, so that no codec can blur it away."""
    height, width = size
    blocks = np.full((height // 8, width // 8), 40, dtype=np.uint8)
    bits = [(number >> bit) & 1 for bit in range(10)]
    blocks.flat[: len(bits)] = np.where(bits, 235, 20)
    return np.repeat(np.repeat(np.repeat(blocks, 8, 0), 8, 1)[:, :, None], 3, 2)


def number_of(frame: np.ndarray) -> int:
    """The number of a frame `[H, W, 3]` that `picture` made."""
    blocks = frame[4::8, 4::8].mean(-1).reshape(-1)[:10]
    return int(sum(int(value > 128) << bit for bit, value in enumerate(blocks)))


def write_video(
    path: Path,
    frames: int | Sequence[int] = 40,
    fps: int | Fraction = 24,
    codec: str = "libx264",
    group: int = 12,
    b_frames: int = 2,
    options: dict[str, str] | None = None,
    sound: bool = False,
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write a video of numbered frames; `frames` counts them or gives their times in units of 1 / fps."""
    times = list(range(frames)) if isinstance(frames, int) else list(frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        settings = {"bf": str(b_frames), "g": str(group)} | ({"preset": "ultrafast"} if codec == "libx264" else {})
        stream: Any = container.add_stream(codec, rate=fps, options=settings | (options or {}))
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = size[1], size[0], "yuv420p", 1
        # Encoders need the unit of timestamps when they are not the number of the frame.
        stream.codec_context.time_base = 1 / Fraction(fps)
        voice: Any = container.add_stream("aac", rate=16000) if sound else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = time, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if voice is not None:
            for piece in range(16):
                sample = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
                sample.sample_rate, sample.pts, sample.time_base = 16000, piece * 1024, Fraction(1, 16000)
                container.mux(voice.encode(sample))
            container.mux(voice.encode(None))
    return path


def corrupt(path: Path, share: float = 0.5, count: int = 400) -> Path:
    """Overwrite bytes of the picture data, from a share of them on; the index stays whole."""
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 8
    end = data.index(b"moov") if data.index(b"moov") > start else len(data)
    place = start + int(share * (end - start))
    data[place : min(place + count, end)] = b"\xff" * (min(place + count, end) - place)
    path.write_bytes(data)
    return path


def picture_that_claims(side: int) -> bytes:
    """A grey PNG of a few bytes whose header promises side x side pixels."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
