"""What is known of all videos of a folder, found once by demuxing and kept in a file.

A video is known by its path below the folder, its size and its time of change: whatever differs is read again, the rest
is not. The file depends on nothing else: clips are computed from it (`ClipIndex`), so that no other clip length or rate
can make it stale.
"""

import contextlib
import csv
import hashlib
import json
import logging
import os
import uuid
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from components.cores import usable_cores
from components.errors import InputError
from components.files.atomic import atomic_path, check_writable
from components.files.places import CACHE_FOLDER
from components.media.video_probe import VIDEO_SUFFIXES, probe_video
from components.progress import Progress, no_progress
from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.probe_pool import probe_all
from datamodules.videowalk.timestamps import TimestampTable
from datamodules.videowalk.video_folders import VideoFile, class_name, find_videos

log = logging.getLogger(__name__)

INDEX = "index.npz"
BROKEN = "broken.csv"
_JOURNAL = "journal-*.jsonl"
# Raise it whenever the same video would give another row.
_VERSION = 1
# Size of a file that could not be read for a reason outside of it: no file has it, so the next call tries again.
_NOT_READ = -1
# Whatever may be in a damaged index, also lengths that no memory holds.
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, TypeError, MemoryError, RuntimeError, BadZipFile, zlib.error)
_NUMBERS = ("size", "mtime_ns", "width", "height", "fps_num", "fps_den", "tick_num", "tick_den")


class _Row(NamedTuple):
    """One video, as it stands in the journal."""

    name: str
    size: int
    mtime_ns: int
    width: int
    height: int
    fps_num: int  # 0 / 1: unknown
    fps_den: int
    tick_num: int
    tick_den: int
    error: str  # empty: none
    first: int
    length: int
    gaps: list[int]
    repeats: list[int]


@dataclass(frozen=True)
class VideoIndex:
    """The videos of a folder, sorted by name; broken ones are among them and have no frames.

    `folder` holds the videos, `place` the index. All arrays are `[V]`: `size` in bytes (-1 not read), `mtime_ns` time
    of change, `width`, `height` in pixels, `fps_num / fps_den` the average rate (0 unknown), `tick_num / tick_den` the
    unit of timestamps in seconds. `errors` says why a video cannot be used, empty where it can. `probed` counts the
    videos that were read for this index, the others were known.
    """

    folder: Path
    place: Path
    names: list[str]
    size: np.ndarray
    mtime_ns: np.ndarray
    width: np.ndarray
    height: np.ndarray
    fps_num: np.ndarray
    fps_den: np.ndarray
    tick_num: np.ndarray
    tick_den: np.ndarray
    errors: list[str]
    timestamps: TimestampTable
    probed: int = 0

    def __len__(self) -> int:
        """Number of videos, broken ones included."""
        return len(self.names)

    @property
    def fps(self) -> np.ndarray:
        """Average frames per second, `[V]` float64, NaN where it is unknown."""
        return np.where(self.fps_num > 0, self.fps_num / self.fps_den, np.nan)

    @property
    def broken(self) -> dict[str, str]:
        """Path of every video that cannot be used, with the reason."""
        return {self.path(video): reason for video, reason in enumerate(self.errors) if reason}

    @property
    def class_names(self) -> list[str]:
        """Folders that the videos lie in, sorted; empty for a plain folder."""
        return sorted({class_name(name) for name in self.names} - {""})

    def path(self, video: int) -> str:
        """Path of a video."""
        return os.path.join(self.folder, *self.names[video].split("/"))

    def seconds(self) -> np.ndarray:
        """Time that each video fills, its last frame included, `[V]` float64."""
        last = np.where(self.timestamps.lengths > 0, np.nan_to_num(1 / self.fps), 0.0)
        return self.timestamps.spans() * self.tick_num / self.tick_den + last

    def clips(self, frames_per_clip: int = 4, step: int = 1, frame_rate: float | None = 8) -> ClipIndex:
        """All clips of the videos; broken and short ones have none.

        Raises:
            InputError: a value out of range.
        """
        return ClipIndex(self.timestamps, self.fps, frames_per_clip, step, frame_rate)


def build_video_index(
    root: str | Path,
    split: str | None = None,
    cache_dir: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    suffixes: Sequence[str] = VIDEO_SUFFIXES,
    key: str = "data.root",
) -> VideoIndex:
    """Index the videos at or below a folder; only new and changed ones are read.

    It can be killed at any moment: what was read before is in a journal beside the index, which appears whole or not
    at all.

    Args:
        root: the folder, or with `split` the folder above it.
        split: folder of a split, e.g. `train_256`; None indexes `root` itself.
        cache_dir: where indexes go; None puts them beside the videos.
        workers: processes; None is one per core.
        force: read every video again.
        progress: draws a bar.
        suffixes: endings of videos, any case.
        key: config key that named the folder, for messages.

    Raises:
        InputError: no such folder, no videos, or the index cannot be written.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers={workers} must be at least 1, or null for one per core")
    folder = Path(root).expanduser() / (split or "")
    files = find_videos(folder, suffixes, key)
    place = index_place(folder, cache_dir, suffixes)
    known = None if force else _load(folder, place)
    if known is not None and _same(known, files):
        with contextlib.suppress(OSError):  # of a call that was killed after it had written the index
            _remove(place.glob(_JOURNAL))
        return known
    check_writable(place, "cache_dir" if cache_dir is not None else key)
    rows = {} if known is None else {row.name: row for row in _rows(known)}
    journals = sorted(place.glob(_JOURNAL))
    if not force:
        for journal in journals:
            rows |= {row.name: row for row in _read_journal(journal)}
    rows = {
        file.name: rows[file.name]
        for file in files
        if file.name in rows and rows[file.name][1:3] == (file.size, file.mtime_ns)
    }
    missing = [file for file in files if file.name not in rows]
    log.info("reading %d new or changed videos of %d in %s", len(missing), len(files), folder)
    journal = place / _JOURNAL.replace("*", uuid.uuid4().hex[:8])
    try:
        with (progress or no_progress)("reading videos", len(missing)) as advance, journal.open("ab") as stream:
            answers = probe_all(
                partial(_probe, str(folder)), _crashed, [_encode(file) for file in missing], workers or usable_cores()
            )
            for row in answers:
                rows[row.name] = row
                stream.write(_line(row))
                stream.flush()
                advance(1)
        index = _assemble(folder, place, [rows[file.name] for file in files], len(missing))
        _write_broken(index)
        _save(index)
    except OSError as error:
        raise InputError(
            f"cannot write the index of {folder} into {place}: {error.strerror or error}.\n"
            "Free some space or choose another folder with cache_dir=<folder>"
        ) from error
    _remove((*journals, journal))
    return index


def index_place(folder: Path, cache_dir: str | Path | None, suffixes: Sequence[str] = VIDEO_SUFFIXES) -> Path:
    """The folder of an index: one per folder of videos and set of endings."""
    identity = json.dumps([str(folder.resolve()), sorted(suffixes), _VERSION])
    name = f"videos-{hashlib.sha256(identity.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    return folder / CACHE_FOLDER / name if cache_dir is None else Path(cache_dir).expanduser() / name


def _same(index: VideoIndex, files: Sequence[VideoFile]) -> bool:
    return (
        index.names == [file.name for file in files]
        and index.size.tolist() == [file.size for file in files]
        and index.mtime_ns.tolist() == [file.mtime_ns for file in files]
    )


def _encode(file: VideoFile) -> str:
    return json.dumps(file)


def _probe(folder: str, encoded: str) -> _Row:
    """Read one video, in a worker."""
    file = VideoFile(*json.loads(encoded))
    facts = probe_video(os.path.join(folder, *file.name.split("/")))
    table = TimestampTable.build([facts.pts])
    rate = facts.fps or Fraction(0)
    return _Row(
        file.name,
        _NOT_READ if facts.passing else file.size,
        file.mtime_ns,
        facts.width,
        facts.height,
        rate.numerator,
        rate.denominator,
        facts.time_base.numerator,
        facts.time_base.denominator,
        facts.error or "",
        int(table.first[0]),
        int(table.lengths[0]),
        table.gaps.tolist(),
        table.repeats.tolist(),
    )


def _crashed(encoded: str) -> _Row:
    error = "reading it ended the process that did so; the file may be damaged or made to do harm"
    file = VideoFile(*json.loads(encoded))
    return _Row(file.name, file.size, file.mtime_ns, 0, 0, 0, 1, 1, 1, error, 0, 0, [], [])


def _line(row: _Row) -> bytes:
    text = json.dumps(row).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read_journal(path: Path) -> list[_Row]:
    """Rows of an earlier call that did not come to its end; lines that are not whole are left aside."""
    rows = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return []
    for line in lines:
        check, _, text = line.partition(b" ")
        if check == b"%08x" % zlib.crc32(text):
            rows.append(_Row(*json.loads(text)))
    return rows


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def _assemble(folder: Path, place: Path, rows: Sequence[_Row], probed: int = 0) -> VideoIndex:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], dtype=np.int64)

    table = TimestampTable(
        column("first"),
        column("length"),
        np.array([len(row.gaps) for row in rows], dtype=np.int64),
        np.array([gap for row in rows for gap in row.gaps], dtype=np.int64),
        np.array([count for row in rows for count in row.repeats], dtype=np.int64),
    )
    numbers: dict[str, Any] = {name: column(name) for name in _NUMBERS}
    return VideoIndex(
        folder, place, [row.name for row in rows], errors=[row.error for row in rows], timestamps=table, probed=probed,
        **numbers,
    )  # fmt: skip


def _rows(index: VideoIndex) -> list[_Row]:
    """What `_assemble` made an index from."""
    table = index.timestamps
    ends = np.cumsum(table.run_counts).tolist()
    gaps, repeats = table.gaps.tolist(), table.repeats.tolist()
    numbers = zip(*(getattr(index, name).tolist() for name in _NUMBERS))
    rows = []
    for video, (values, start, end) in enumerate(zip(numbers, [0, *ends], ends)):
        fields: list[Any] = [index.names[video], *values, index.errors[video]]
        fields += [int(table.first[video]), int(table.lengths[video]), gaps[start:end], repeats[start:end]]
        rows.append(_Row(*fields))
    return rows


def _save(index: VideoIndex) -> None:
    arrays = {name: getattr(index, name) for name in _NUMBERS}
    arrays |= {f"timestamps_{name}": array for name, array in index.timestamps.arrays().items()}
    with atomic_path(index.place / INDEX) as temporary:
        np.savez_compressed(
            temporary, version=np.array(_VERSION), names=_pack(index.names), errors=_pack(index.errors), **arrays
        )


def _load(folder: Path, place: Path) -> VideoIndex | None:
    """The index that is there; None without one, or with a warning where it cannot be read."""
    path = place / INDEX
    try:
        with np.load(path, allow_pickle=False) as file:
            if int(file["version"]) != _VERSION:
                raise ValueError(f"it has version {int(file['version'])}, expected {_VERSION}")
            numbers: dict[str, Any] = {name: np.asarray(file[name], dtype=np.int64) for name in _NUMBERS}
            table = TimestampTable(*(file[f"timestamps_{name}"] for name in TimestampTable.NAMES))
            names, errors = _unpack(file["names"]), _unpack(file["errors"])
        if {len(names), len(errors), *map(len, numbers.values())} != {len(table)}:
            raise ValueError("its columns differ in length")
        return VideoIndex(folder, place, names, errors=errors, timestamps=table, **numbers)
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        # numpy's own words for a damaged file end with the advice to load it unsafely
        reason = "it is damaged" if "allow_pickle" in str(error) else error
        log.warning("the video index %s cannot be read (%s): it is built anew", path, reason)
        return None


def _pack(texts: Sequence[str]) -> np.ndarray:
    """Texts without a zero character as bytes, each ended by one."""
    return np.frombuffer(b"".join(text.encode("utf-8", "surrogateescape") + b"\0" for text in texts), dtype=np.uint8)


def _unpack(data: np.ndarray) -> list[str]:
    return [text.decode("utf-8", "surrogateescape") for text in data.astype(np.uint8).tobytes().split(b"\0")[:-1]]


def _write_broken(index: VideoIndex) -> None:
    with (
        atomic_path(index.place / BROKEN) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["video", "reason"])
        writer.writerows((name, reason) for name, reason in zip(index.names, index.errors) if reason)
