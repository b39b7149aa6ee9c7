"""`prepare dataset=videos`: what a folder of videos holds, and which of them cannot be used."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.errors import InputError
from components.files.atomic import write_json
from entrypoints.preparations import REPORT, Preparation

if TYPE_CHECKING:
    from datamodules.videowalk.clip_index import ClipIndex
    from datamodules.videowalk.video_index import VideoIndex

_SHOWN = 3
_NAMED = 2  # broken videos in a message, which has three lines at most


def videos(
    root: str,
    splits: list[str] | None = None,
    clip_len: int = 4,
    frame_rate: float | None = 8,
    step: int = 1,
    workers: int | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    cache_dir: str | None = None,
    force: bool = False,
) -> Preparation:
    """Index the videos below a folder and count their clips.

    Raises:
        InputError: no such folder, no videos, every one broken or too short for a clip, a value out of range, or a
            broken video and `on_error=raise`.
    """
    from datamodules.videowalk.clip_index import check_clips
    from datamodules.videowalk.sources import ClipSettings
    from datamodules.videowalk.video_folders import find_splits
    from datamodules.videowalk.video_index import BROKEN, build_video_index
    from entrypoints.tasks.progress import progress

    check_clips(clip_len, step, frame_rate)
    folder = Path(root).expanduser()
    chosen: Sequence[str | None] = splits or find_splits(folder) or [None]
    indexes = [
        build_video_index(folder, split, cache_dir, workers, force, progress, key="dataset.root") for split in chosen
    ]
    lines: list[str] = []
    problems: list[str] = []
    unusable = 0.0
    for split, index in zip(chosen, indexes):
        clips = index.clips(clip_len, step, frame_rate)
        own = _problems(index, clips, split)
        broken = [line for line in own if "too short" not in line]
        if broken and on_error == "raise":
            raise InputError(
                f"{index.folder}: {len(broken)} of {len(index)} videos are broken, all in {index.place / BROKEN}\n"
                + "\n".join(broken[:_NAMED])
            )
        _check_usable(index, clips)
        unusable = max(unusable, len(broken) / len(index))
        lines += _describe(index, clips, split)
        problems += own
        write_json(index.place / REPORT, _report(index, clips, own))
    place = indexes[0].place if len(indexes) == 1 else Path(cache_dir).expanduser() if cache_dir else folder
    changed = "" if clip_len == 4 else f" data.clip_len={clip_len}"
    changed += "" if frame_rate == 8 else f" data.frame_rate={'null' if frame_rate is None else f'{frame_rate:g}'}"
    changed += " data.cache_dir=null" if cache_dir is None else ""
    if unusable > ClipSettings._field_defaults["max_fail_ratio"]:  # a training as it ships would refuse them
        changed += f" data.max_fail_ratio={math.ceil(100 * unusable) / 100:g}"
    return Preparation(
        place,
        any(index.probed for index in indexes),
        lines,
        f"python -m entrypoints.train experiment=videowalk data.root={root}{changed}",
        problems,
        indexes[0].place / REPORT,
    )


def _problems(index: "VideoIndex", clips: "ClipIndex", split: str | None) -> list[str]:
    """One line per video that gives no clips."""
    head = f"{split}/" if split not in (None, ".") else ""
    lines = []
    for video, (name, error) in enumerate(zip(index.names, index.errors)):
        if error:
            lines.append(f"{head}{name}: {error}")
        elif not clips.clips_per_video[video]:
            frames = clips.resampled[video]
            lines.append(f"{head}{name}: too short for a clip of {clips.frames_per_clip} frames{_at(clips)}: {frames}")
    return lines


def _check_usable(index: "VideoIndex", clips: "ClipIndex") -> None:
    if len(clips):
        return
    whole = [video for video, error in enumerate(index.errors) if not error]
    if not whole:
        examples = "\n".join(f"{name}: {error}" for name, error in zip(index.names[:_NAMED], index.errors))
        raise InputError(
            f"dataset.root={index.folder}: not one of {len(index)} videos can be read, for example\n{examples}"
        )
    longest = max(whole, key=lambda video: int(clips.resampled[video]))
    most = int(clips.resampled[longest])
    raise InputError(
        f"dataset.clip_len={clips.frames_per_clip}: a clip of so many frames{_at(clips)} is longer than each of the "
        f"{len(whole)} videos in {index.folder}.\n"
        f"The longest, {index.names[longest]}, gives {most}: set dataset.clip_len to at most {most}, or raise "
        "dataset.frame_rate"
    )


def _describe(index: "VideoIndex", clips: "ClipIndex", split: str | None) -> list[str]:
    import numpy as np

    usable = np.array([not error for error in index.errors])
    frames, seconds = int(index.timestamps.lengths.sum()), float(index.seconds().sum())
    counts = clips.clips_per_video[clips.clips_per_video > 0]
    classes = f" of {len(index.class_names)} classes" if index.class_names else ""
    known = len(index) - index.probed
    sizes = sorted({f"{w} x {h}" for w, h in zip(index.width[usable], index.height[usable])})
    shown = ", ".join(sizes[:_SHOWN]) + (f" and {len(sizes) - _SHOWN} more sizes" if len(sizes) > _SHOWN else "")
    return [
        f"{split or index.folder.name}: {len(index)} videos{classes}, {int((~usable).sum())} broken; "
        f"{index.probed} read now, {known} known",
        f"  {frames} frames, {seconds:.0f} s, {shown} pixels",
        f"  {len(clips)} clips of {clips.frames_per_clip} frames{_at(clips)}: {counts.min()} to {counts.max()} per "
        f"video, {np.median(counts):g} at the median",
        f"  index {index.place}",
    ]


def _report(index: "VideoIndex", clips: "ClipIndex", problems: list[str]) -> dict[str, object]:
    return {
        "source": str(index.folder),
        "videos": len(index),
        "clip_len": clips.frames_per_clip,
        "frame_rate": clips.frame_rate,
        "step": clips.step,
        "clips_per_video": dict(zip(index.names, clips.clips_per_video.tolist())),
        "problems": problems,
    }


def _at(clips: "ClipIndex") -> str:
    return "" if clips.frame_rate is None else f" at {clips.frame_rate:g} per second"
