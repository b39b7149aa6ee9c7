"""`prepare dataset=video_shards`: packs videos into few large files that training reads nearly in their order."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from components.errors import InputError
from entrypoints.preparations import Preparation

_MEGABYTE = 1 << 20


def video_shards(
    root: str,
    output: str,
    splits: list[str] | None = None,
    shard_size: int = 256,
    workers: int | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    cache_dir: str | None = None,
    force: bool = False,
) -> Preparation:
    """Pack the videos below a folder, each split into a folder of its own.

    Raises:
        InputError: no such folder, no usable videos, a broken video and `on_error=raise`, a size below 1, or the output
            cannot be written or lies among the videos.
    """
    from datamodules.videowalk.shard_writer import SourceVideo, write_shards
    from datamodules.videowalk.video_folders import find_splits
    from datamodules.videowalk.video_index import build_video_index
    from entrypoints.tasks.progress import progress

    if shard_size < 1:
        raise InputError(f"dataset.shard_size={shard_size}: expected at least 1 (megabytes)")
    folder, target = Path(root).expanduser(), Path(output).expanduser()
    if target.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"dataset.output={output} lies within dataset.root={root}; its shards would stand among the videos.\n"
            "Choose another folder"
        )
    lines, problems, fresh = [], [], False
    chosen: Sequence[str | None] = splits or find_splits(folder) or [None]
    for split in chosen:
        index = build_video_index(folder, split, cache_dir, workers, progress=progress, key="dataset.root")
        if index.broken and (on_error == "raise" or len(index.broken) == len(index)):
            path, reason = next(iter(index.broken.items()))
            raise InputError(
                f"{index.folder}: {len(index.broken)} of {len(index)} videos cannot be used, for example\n"
                f"{path}: {reason}"
            )
        videos = [
            SourceVideo(name, Path(index.path(video)))
            for video, (name, error) in enumerate(zip(index.names, index.errors))
            if not error
        ]
        packed = write_shards(videos, target / (split or ""), shard_size * _MEGABYTE, force=force, progress=progress)
        fresh |= packed.written > 0
        lines.append(
            f"{split or folder.name}: {packed.videos} videos in {packed.shards} shards, {packed.bytes / 1e6:.1f} MB; "
            f"{packed.written} written now"
        )
        problems += [f"{path}: {reason}" for path, reason in (index.broken | packed.skipped).items()]
    next_step = f"python -m entrypoints.train experiment=videowalk data=shard_clips data.root={output}"
    return Preparation(target, fresh, lines, next_step, problems)
