"""Shards: videos packed into tar files, read in place.

A shard `shard-000000.tar` holds, per video, `00000000.json` (its name, rate and timestamps) and the file itself,
`00000000.mp4`. Beside it `shard-000000.json` caches where the videos lie; `index.json` lists the shards of a folder.
Shards may come from elsewhere, so nothing in them is believed: members are plain files with such names and nothing
else, numbers are checked against the size of the file, and nothing is ever unpacked.
"""

import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from components.errors import InputError
from components.files.atomic import write_json
from components.files.json_files import read_json_object
from datamodules.videowalk.timestamps import TimestampTable

INDEX = "index.json"
FORMAT = 1
_BLOCK = 512
_MEMBER = re.compile(r"(\d{8})\.([a-z0-9]{1,8})")
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\.tar")
# More than any video has; what claims more is no shard of ours.
_MAX_CARD_BYTES = 16 << 20
_MAX_FRAMES = 10_000_000
_MAX_NAME = 1024


@dataclass(frozen=True)
class PackedVideo:
    """One video in a shard.

    Args:
        name: path below the folder that was packed.
        offset, size: where its bytes lie in the shard.
        fps: average frame rate; None where the file does not tell.
        first, gaps, repeats: its timestamps, see `TimestampTable`.
    """

    name: str
    offset: int
    size: int
    fps: float | None
    first: int
    gaps: tuple[int, ...]
    repeats: tuple[int, ...]

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return sum(self.repeats) + 1


def video_card(name: str, fps: float | None, pts: np.ndarray) -> dict[str, Any]:
    """What the json member before a video says."""
    table = TimestampTable.build([pts])
    runs = {"first": int(table.first[0]), "gaps": table.gaps.tolist(), "repeats": table.repeats.tolist()}
    return {"name": name, "fps": fps, **runs}


def timestamp_table(videos: list[PackedVideo]) -> TimestampTable:
    """Timestamps of many packed videos."""
    return TimestampTable(
        np.array([video.first for video in videos], dtype=np.int64),
        np.array([video.num_frames for video in videos], dtype=np.int64),
        np.array([len(video.gaps) for video in videos], dtype=np.int64),
        np.array([gap for video in videos for gap in video.gaps], dtype=np.int64),
        np.array([number for video in videos for number in video.repeats], dtype=np.int64),
    )


def scan_shard(shard: Path) -> list[PackedVideo]:
    """The videos of a shard, from its headers and cards; the videos themselves are passed over.

    Raises:
        InputError: the file is no tar file, is damaged, or holds anything but videos with their cards.
    """
    videos, seen, pending = [], set(), None
    try:
        end = shard.stat().st_size
        with shard.open("rb") as file:
            place = 0
            while place < end:
                file.seek(place)
                block = file.read(_BLOCK)
                if not block.strip(b"\0"):
                    break
                number, kind, size = _header(shard, block, place, end)
                place += _BLOCK
                if kind == "json":
                    if number in seen or pending is not None or size > _MAX_CARD_BYTES:
                        raise _refused(shard, f"the card {number} comes twice, has no video or is too large")
                    seen.add(number)
                    pending = number, file.read(size)
                elif pending is None or pending[0] != number:
                    raise _refused(shard, f"the video {number} has no card before it")
                else:
                    videos.append(_packed(shard, pending[1], place, size, end))
                    pending = None
                place += -(-size // _BLOCK) * _BLOCK
    except OSError as error:
        raise InputError(f"shard {shard}: cannot be read ({error.strerror or error})") from error
    if pending is not None:
        raise _refused(shard, f"the card {pending[0]} has no video after it")
    return videos


def read_shards(folder: Path) -> tuple[list[PackedVideo], np.ndarray, list[Path], dict[str, str]]:
    """All videos of a folder of shards, the number of the shard of each, the shards, and what could not be packed.

    Raises:
        InputError: the folder has no (sound) index, or shards are missing, changed, damaged or hostile.
    """
    content = read_json_object(folder / INDEX)
    entries = None if content is None or content.get("format") != FORMAT else content.get("shards")
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f"data.root={folder}: no {INDEX} of shards (missing, of another format, or packing was cut off).\n"
            "Pack videos, or go on packing, with: python -m entrypoints.prepare dataset=video_shards root=<videos> "
            "output=<folder>"
        )
    videos: list[PackedVideo] = []
    shards: list[Path] = []
    numbers: list[int] = []
    left_out = content.get("skipped") if content is not None else None
    skipped = {str(name): str(why) for name, why in left_out.items()} if isinstance(left_out, dict) else {}
    for entry in entries:
        name, size = (entry.get("file"), entry.get("bytes")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not _SHARD.fullmatch(name):
            raise InputError(f"{folder / INDEX}: {str(name)[:80]!r} is not the name of a shard beside it")
        shard = folder / name
        if not shard.is_file() or shard.stat().st_size != size:
            raise InputError(
                f"shard {shard}: missing, or not of {size} bytes as {INDEX} says.\n"
                "Copy it again, or mend it by packing again (prepare dataset=video_shards; whole shards are kept)"
            )
        cached = read_sidecar(shard)
        packed = scan_shard(shard) if cached is None else cached[1]
        numbers += [len(shards)] * len(packed)
        shards.append(shard)
        videos += packed
    return videos, np.array(numbers, dtype=np.int64), shards, skipped


def sidecar(shard: Path) -> Path:
    """The file that caches where the videos of a shard lie."""
    return shard.with_suffix(".json")


def write_sidecar(shard: Path, key: str, videos: list[PackedVideo], skipped: Mapping[str, str]) -> None:
    """Cache a scan; `key` tells what the shard was made of, `skipped` what was left out of it."""
    rows = [asdict(video) for video in videos]
    card = {"format": FORMAT, "bytes": shard.stat().st_size, "key": key, "skipped": dict(skipped), "videos": rows}
    write_json(sidecar(shard), card)


def read_sidecar(shard: Path) -> tuple[str, list[PackedVideo], dict[str, str]] | None:
    """(key, videos, what was left out) of a shard; None where its cache is missing, damaged or of another file."""
    card = read_json_object(sidecar(shard))
    if card is None or card.get("format") != FORMAT or card.get("bytes") != shard.stat().st_size:
        return None
    rows, skipped = card.get("videos"), card.get("skipped")
    if not isinstance(rows, list) or not isinstance(skipped, dict):
        return None
    try:
        videos = [_checked(row, row["offset"], row["size"], card["bytes"]) for row in rows]
    except (KeyError, TypeError, ValueError):
        return None
    return str(card.get("key")), videos, {str(name): str(reason) for name, reason in skipped.items()}


def _header(shard: Path, block: bytes, place: int, end: int) -> tuple[str, str, int]:
    """(number, kind, size) of a member."""
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise InputError(
            f"shard {shard}: not a tar file, or damaged at byte {place} ({error}).\nPack or copy it again"
        ) from error
    match = _MEMBER.fullmatch(info.name)
    if match is None or info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        kind = "a member" if info.isreg() else "a link, folder or special member"
        raise _refused(shard, f"{kind} called {info.name[:80]!r}")
    if info.size < 0 or place + _BLOCK + info.size > end:
        raise _refused(shard, f"the member {info.name} claims {info.size} bytes, {end - place - _BLOCK} are left")
    return match[1], match[2], info.size


def _packed(shard: Path, card: bytes, offset: int, size: int, end: int) -> PackedVideo:
    try:
        return _checked(json.loads(card), offset, size, end)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _refused(shard, f"a card that is no description of a video ({error})") from error


def _checked(card: Mapping[str, Any], offset: Any, size: Any, end: int) -> PackedVideo:
    """A description of a video whose numbers are possible; KeyError, TypeError or ValueError where they are not."""
    name, fps, first = card["name"], card["fps"], card["first"]
    path = PurePosixPath(name)
    if len(name) > _MAX_NAME or path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise ValueError("name")
    numbers = (offset, size, first, *card["gaps"], *card["repeats"])
    if not all(type(number) is int and abs(number) < 1 << 62 for number in numbers):
        raise ValueError("whole numbers")
    if offset < 0 or size < 0 or offset + size > end:
        raise ValueError("place")
    if fps is not None and not (isinstance(fps, int | float) and 0 < fps < 1e6):
        raise ValueError("fps")
    gaps, repeats = tuple(card["gaps"]), tuple(card["repeats"])
    if len(gaps) != len(repeats) or any(number < 1 for number in (*gaps, *repeats)) or sum(repeats) > _MAX_FRAMES:
        raise ValueError("timestamps")
    if sum(gap * number for gap, number in zip(gaps, repeats)) >= 1 << 62:
        raise ValueError("timestamps")
    return PackedVideo(name, offset, size, fps, first, gaps, repeats)


def _refused(shard: Path, what: str) -> InputError:
    return InputError(
        f"shard {shard} is refused: {what}.\n"
        "Expected videos with their cards as `prepare dataset=video_shards` packs them, and nothing else"
    )
