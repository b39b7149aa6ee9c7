"""Packs videos into shards, one whole shard at a time: a run that was killed goes on with the shard it was at."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from components.errors import InputError
from components.files.atomic import atomic_path, check_writable, write_json
from components.files.json_files import read_json_object
from components.media.video_probe import VideoFacts, probe_video
from components.progress import Progress, no_progress
from datamodules.videowalk.shard_files import (
    FORMAT,
    INDEX,
    PackedVideo,
    read_sidecar,
    scan_shard,
    sidecar,
    video_card,
    write_sidecar,
)

# The plain tar format holds no larger member.
_MAX_BYTES = 8 << 30


class SourceVideo(NamedTuple):
    """A video to be packed: its file, and how it is called in the shard."""

    name: str
    path: Path


class Packed(NamedTuple):
    """What there is now: shards, those of them that were written by this call, videos, and what was left out."""

    shards: int
    written: int
    videos: int
    bytes: int
    skipped: dict[str, str]


def write_shards(
    videos: Sequence[SourceVideo],
    output: Path,
    shard_bytes: int = 256 << 20,
    facts: Callable[[Path], VideoFacts] = probe_video,
    force: bool = False,
    progress: Progress = no_progress,
) -> Packed:
    """Pack videos, in their order, into `shard-000000.tar`, ... and list these in `index.json`.

    Shards that hold the same files (name, size and time of change) are kept. The index is taken away while the shards
    do not belong together and comes last.

    Args:
        videos: the files; copied as they are.
        output: folder of the shards.
        shard_bytes: a shard is closed when its videos have this many bytes.
        facts: timestamps and rate of a video; those with an error are left out, with the reason.
        force: pack all anew.
        progress: told of every video.

    Raises:
        InputError: no videos, a size below 1, or the folder cannot be written.
    """
    if shard_bytes < 1:
        raise InputError(f"dataset.shard_size={shard_bytes}: expected at least 1 byte")
    check_writable(output, "dataset.output")
    for left in output.glob(".shard-*"):  # of runs that were killed
        left.unlink()
    shards: list[dict[str, Any]] = []
    kept: list[PackedVideo] = []
    skipped: dict[str, str] = {}
    written = 0
    with progress(f"packing into {output.name}", len(videos)) as told:
        for number, group in enumerate(_groups(videos, shard_bytes)):
            shard = output / f"shard-{number:06d}.tar"
            key = _key(group)
            known = read_sidecar(shard) if shard.is_file() and not force else None
            if known is None or known[0] != key:
                (output / INDEX).unlink(missing_ok=True)
                known = (key, *_write_shard(shard, key, group, facts))
                written += 1
            shards.append({"file": shard.name, "bytes": shard.stat().st_size, "videos": len(known[1])})
            kept += known[1]
            skipped |= known[2]
            told(len(group))
    if not kept:
        reason = next(iter(skipped.items()), ("there are none", ""))
        raise InputError(f"no video could be packed into {output} ({': '.join(filter(None, reason))})")
    content = {"format": FORMAT, "shards": shards, "skipped": skipped}
    if read_json_object(output / INDEX) != content:
        write_json(output / INDEX, content)
    for shard in output.glob("shard-*.tar"):  # of an earlier call with more videos
        if shard.name not in {entry["file"] for entry in shards}:
            shard.unlink()
            sidecar(shard).unlink(missing_ok=True)
    return Packed(len(shards), written, len(kept), sum(entry["bytes"] for entry in shards), skipped)


def _groups(videos: Sequence[SourceVideo], shard_bytes: int) -> Iterator[list[tuple[SourceVideo, int, int]]]:
    """(video, bytes, time of change) of the videos of each shard."""
    group: list[tuple[SourceVideo, int, int]] = []
    total = 0
    for video in videos:
        try:
            stat = video.path.stat()
        except OSError as error:
            raise InputError(f"{video.path}: {error.strerror or error}; it was there when packing began") from error
        group.append((video, stat.st_size, stat.st_mtime_ns))
        total += stat.st_size
        if total >= shard_bytes:
            yield group
            group, total = [], 0
    if group:
        yield group


def _key(group: Sequence[tuple[SourceVideo, int, int]]) -> str:
    listed = [[video.name, size, changed] for video, size, changed in group]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def _write_shard(
    shard: Path, key: str, group: Sequence[tuple[SourceVideo, int, int]], facts: Callable[[Path], VideoFacts]
) -> tuple[list[PackedVideo], dict[str, str]]:
    skipped: dict[str, str] = {}
    sidecar(shard).unlink(missing_ok=True)
    with atomic_path(shard) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for number, (video, size, _) in enumerate(group):
            found = facts(video.path)
            if found.error is not None or size >= _MAX_BYTES:
                skipped[video.name] = found.error or "it is larger than the 8 GiB that a shard's member can have"
                continue
            fps = None if found.fps is None else float(found.fps)
            card = json.dumps(video_card(video.name, fps, found.pts)).encode()
            suffix = video.path.suffix.lower()
            _add(archive, f"{number:08d}.json", len(card), io.BytesIO(card))
            with video.path.open("rb") as file:
                _add(archive, f"{number:08d}{suffix}", size, file)
    videos = scan_shard(shard)
    write_sidecar(shard, key, videos, skipped)
    return videos, skipped


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    """A member that depends on nothing but its content: no owner, no time."""
    info = tarfile.TarInfo(name)
    info.size = size
    archive.addfile(info, content)
