"""Opens training videos of any kind: video files, folders of frames, shards."""

import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

from components.errors import InputError
from components.files.places import CACHE_FOLDER
from datamodules.videowalk.clip_source import ClipSource, check_source
from datamodules.videowalk.frame_clips import FrameClips, open_frames_of
from datamodules.videowalk.kinetics_clips import VideoClips
from datamodules.videowalk.shard_clips import ShardClips
from datamodules.videowalk.video_index import build_video_index

Kind = Literal["videos", "frames", "shards"]


class ClipSettings(NamedTuple):
    """What a clip is, and what happens to videos that give none.

    `frame_rate` (frames per second; None = each video's own) and `step` (resampled frames between the starts of
    neighbouring clips) are for videos and shards, `frame_gap` (frames) and `allow_repeated_frames` for frames.
    """

    clip_len: int = 4
    frame_rate: float | None = 8.0
    step: int = 1
    frame_gap: int = 8
    allow_repeated_frames: bool = False
    on_error: Literal["skip", "raise"] = "skip"
    max_fail_ratio: float = 0.05
    cache_dir: str | None = None
    index_workers: int | None = None


class Opened(NamedTuple):
    """Videos of one side: the clips, and the folder that reports about them belong to."""

    source: ClipSource
    place: Path


def open_source(kind: Kind, root: Path, settings: ClipSettings, key: str = "data.root") -> Opened:
    """Open the videos at or below a root; video files are indexed where that has not been done.

    Args:
        kind: what they are.
        root: folder of video files, of frame folders (or a list of these), or of shards.
        settings: clips and policy.
        key: config key that named the root, for messages.

    Raises:
        InputError: nothing usable is there, or more is broken than the settings admit.
    """
    length, rate, step = settings.clip_len, settings.frame_rate, settings.step
    at_rate = f"{length} frames at {'the rate of each video' if rate is None else f'{rate:g} frames per second'}"
    source: ClipSource
    if kind == "videos":
        index = build_video_index(root, cache_dir=settings.cache_dir, workers=settings.index_workers, key=key)
        source, place = VideoClips.of_index(index, length, step, rate), index.place
    elif kind == "shards":
        source, place = ShardClips(root, length, step, rate), _place(root, settings.cache_dir)
    else:
        folders, bad = open_frames_of(root, key)
        base = root.parent if root.is_file() else root
        source = FrameClips(
            folders, length, settings.frame_gap, settings.on_error, settings.allow_repeated_frames, bad, base
        )
        place, at_rate = _place(base, settings.cache_dir), f"{length} pictures"
    check_source(source, key, str(root), settings.on_error, settings.max_fail_ratio, at_rate)
    return Opened(source, place)


def check_kind(kind: str) -> None:
    """Refuse a kind that is not known.

    Raises:
        InputError: naming those that are.
    """
    if kind not in ("videos", "frames", "shards"):
        raise InputError(f"data.kind='{kind}' is not one of videos, frames, shards")


def _place(folder: Path, cache_dir: str | None) -> Path:
    if cache_dir is None:
        return folder / CACHE_FOLDER
    name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Path(cache_dir).expanduser() / f"clips-{name}"
