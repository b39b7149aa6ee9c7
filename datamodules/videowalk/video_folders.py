"""Finds video files: in a Kinetics layout `<root>/<split>/<class>/<video>.mp4`, or in any folder of videos."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

from components.errors import InputError
from components.media.video_probe import VIDEO_SUFFIXES

# Not by their beginning alone: Kinetics has classes such as "training dog" and "testifying".
_SPLIT = re.compile(r"(train(ing)?|val(id|idation)?|test)([_-]?\d+)?", re.IGNORECASE)
_SHOWN = 8


class VideoFile(NamedTuple):
    """A file as it was found: path below the folder with `/`, bytes, time of change in nanoseconds."""

    name: str
    size: int
    mtime_ns: int


def find_videos(folder: Path, suffixes: Sequence[str] = VIDEO_SUFFIXES, key: str = "data.root") -> list[VideoFile]:
    """Every video at or below a folder, sorted by name; links are followed, hidden files and folders left aside.

    Args:
        folder: where to look.
        suffixes: endings of videos, any case.
        key: config key that named the folder, for messages.

    Raises:
        InputError: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        above = folder.parent
        beside = sorted(path.name for path in above.iterdir() if path.is_dir()) if above.is_dir() else []
        there = f"in {above} there are: {', '.join(beside[:_SHOWN])}" if beside else "nothing is there"
        raise InputError(f"{key}={folder}: no such folder; {there}.\nGive the folder that holds the videos")
    endings = tuple(f".{suffix.lstrip('.').lower()}" for suffix in suffixes)
    if not endings:
        raise InputError("suffixes is empty: name the endings of videos, for example [mp4]")
    found = sorted(_walk(folder, "", endings, {os.path.realpath(folder)}))
    if not found:
        listed = ", ".join(ending[1:] for ending in endings)
        raise InputError(
            f"{key}={folder}: no videos at or below it (files ending in {listed}).\n"
            "Expected <class>/<video>.mp4 as Kinetics has it, or a plain folder of videos;\n"
            "for folders of pictures take data=frame_clips"
        )
    return found


def find_splits(root: Path) -> list[str]:
    """Folders of a root that are splits of a data set by their names (`train_256`, `val`, ...), sorted."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(root) if _SPLIT.fullmatch(entry.name) and entry.is_dir())


def class_name(name: str) -> str:
    """Class of a video by the folder that it lies in, empty where it lies in none."""
    head, slash, _ = name.partition("/")
    return head if slash else ""


def _walk(folder: Path, prefix: str, endings: tuple[str, ...], seen: set[str]) -> Iterator[VideoFile]:
    try:
        entries = list(os.scandir(folder))
    except PermissionError as error:
        raise InputError(
            f"{folder}: cannot be listed ({error.strerror}); the videos below it would be missing"
        ) from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            true = os.path.realpath(entry.path)
            if entry.is_symlink() and true in seen:  # a link back up would never end
                continue
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", endings, seen | {true})
        elif entry.name.lower().endswith(endings):
            try:
                stat = entry.stat()
            except OSError:  # a link to nothing: it is listed among the broken videos
                yield VideoFile(prefix + entry.name, 0, 0)
                continue
            if S_ISREG(stat.st_mode):
                yield VideoFile(prefix + entry.name, stat.st_size, stat.st_mtime_ns)
