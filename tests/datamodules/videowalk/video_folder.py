"""Tiny real video files: grey frames whose brightness tells the video, with a square that moves."""

from pathlib import Path

import numpy as np

from components.media.video import write_mp4


def write_video(path: Path, frames: int = 20, fps: float = 24, level: int = 60, size: int = 32) -> Path:
    """One mp4; the square is at frame * 1 pixel."""
    film = np.full((frames, size, size, 3), level, dtype=np.uint8)
    for number in range(frames):
        film[number, 8:16, number % (size - 8) : number % (size - 8) + 8] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, list(film), fps)
    return path


def write_folder(root: Path, videos: int = 4, splits: tuple[str, ...] = ("train_256", "val_256"), **options) -> Path:
    """`<split>/<class>/<n>.mp4`, two classes."""
    for split in splits:
        for number in range(videos):
            write_video(root / split / f"class{number % 2}" / f"{number}.mp4", level=20 + 40 * number, **options)
    return root
