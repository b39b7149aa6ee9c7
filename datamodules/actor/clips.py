"""Motions of a data set in memory: arrays that are mapped from disk, converted once from whatever the set comes in."""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from components.body.pose_format import encode_rotations
from components.errors import InputError
from components.files.atomic import staging_folder, write_json
from components.files.places import CACHE_FOLDER

log = logging.getLogger(__name__)

# Raise it whenever the arrays or their meaning change: caches of other versions are then left alone.
CACHE_VERSION = 1
# Sizes of a chunk that is turned into 6D features at once, frames.
_CHUNK = 1 << 15


class PublishedSplit(NamedTuple):
    """The split that belongs to a data set: indices of clips, ascending; `kind` says what it keeps apart."""

    train: np.ndarray
    test: np.ndarray
    kind: str


@dataclass(frozen=True)
class MotionClips:
    """All usable clips of a data set, one after the other in memory-mapped arrays.

    `starts`, `lengths`, `labels`, `sources` are `[N]` int64: first row, frames, class and place in the source.
    `poses` is `[frames, 72]` axis-angle, `joints` `[frames, J, 3]` metres with the root first (24 joints of SMPL, or
    the 18 of Action2Motion), `rot6d` `[frames, 24, 6]`, all float32.
    `skipped` tells of the clips that were left out: `{"sample": place, "reason": text}`.
    `action_names` are the names by label, `fps` the frames per second.
    `names` says where each clip comes from and `groups` which clips must stay on one side of a split (windows of one
    recording, motions of one person: `group_kind`); both are empty where nothing is known.
    """

    folder: Path
    starts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    skipped: list[dict[str, Any]]
    poses: np.ndarray
    joints: np.ndarray
    rot6d: np.ndarray
    action_names: tuple[str, ...] = ()
    fps: float = 20
    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    group_kind: str = "recording"
    published_split: PublishedSplit | None = None

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def num_joints(self) -> int:
        """Joints with positions."""
        return int(self.joints.shape[1])


# What reads a data set: called with root, num_classes, on_error and cache_dir.
ClipReader = Callable[..., MotionClips]


class ClipPlan(NamedTuple):
    """One clip to convert: its place in the source, label and number of frames."""

    sample: int
    label: int
    frames: int


def cache_folder(
    source: Path, settings: Sequence[object], cache_dir: str | None, prefix: str, others: Sequence[Path] = ()
) -> Path:
    """Where the arrays of these very files belong: beside them if that can be written, else in `cache_dir`.

    Args:
        source: the main file; the cache lies beside it.
        settings: whatever the arrays depend on.
        cache_dir: where the arrays go if the data folder is read-only.
        prefix: head of the folder's name in `cache_dir`.
        others: more files that the arrays depend on.
    """
    parts = [str(source.resolve())]
    for file in (source, *others):
        stat = file.stat()
        parts += [str(stat.st_size), str(stat.st_mtime_ns)]
    identity = "|".join([*parts, *map(str, settings), str(CACHE_VERSION)])
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    beside = source.parent / CACHE_FOLDER / name
    if (beside / "index.json").is_file() or cache_dir is None or _writable(source.parent):
        return beside
    return Path(cache_dir).expanduser() / f"{prefix}-{name}"


def _writable(folder: Path) -> bool:
    # The mode is asked too: for an administrator `access` says yes to folders that are meant to stay as they are.
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def store_clips(
    folder: Path,
    source: Path,
    plan: Sequence[ClipPlan],
    content: Iterable[tuple[np.ndarray, np.ndarray]],
    num_joints: int,
    skipped: list[dict[str, Any]],
) -> None:
    """Write the arrays beside their place and rename; whoever comes second leaves the first one's.

    Args:
        folder: from `cache_folder`.
        source: file the clips come from, for people.
        plan: what `content` will give, in order.
        content: poses `[T, 72]` and joints `[T, num_joints, 3]` of each clip; consumed one at a time.
        num_joints: joints with positions.
        skipped: samples left out.

    Raises:
        InputError: the folder cannot be written.
    """
    starts = np.cumsum([0, *(clip.frames for clip in plan)]).tolist()
    index = {
        "source": str(source),
        "clips": [
            {"sample": clip.sample, "label": clip.label, "start": start, "frames": clip.frames}
            for clip, start in zip(plan, starts)
        ],
        "skipped": skipped,
    }
    shapes = {"poses": (starts[-1], 72), "joints": (starts[-1], num_joints, 3), "rot6d": (starts[-1], 24, 6)}
    try:
        with staging_folder(folder) as staging:
            # Filled in place: the largest sets do not fit into memory three times.
            arrays = {name: _new_array(staging / f"{name}.npy", shape) for name, shape in shapes.items()}
            for start, (poses, joints) in zip(starts, content, strict=False):
                arrays["poses"][start : start + len(poses)] = poses
                arrays["joints"][start : start + len(joints)] = joints
            for row in range(0, starts[-1], _CHUNK):
                chunk = torch.from_numpy(np.array(arrays["poses"][row : row + _CHUNK])).view(-1, 24, 3)
                arrays["rot6d"][row : row + _CHUNK] = encode_rotations(chunk, "rot6d").numpy()
            for array in arrays.values():
                if isinstance(array, np.memmap):
                    array.flush()
            write_json(staging / "index.json", index)
            try:
                os.rename(staging, folder)
            except OSError:
                if not (folder / "index.json").is_file():
                    raise
    except OSError as error:
        raise InputError(
            f"cannot write the converted data to {folder}: {error.strerror or error}.\n"
            "Choose another place with data.cache_dir=<folder> or free some space"
        ) from error
    log.info("converted %s: %d clips, %d frames -> %s", source, len(plan), starts[-1], folder)


def _new_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    if shape[0] == 0:  # nothing can be mapped
        np.save(path, np.empty(shape, np.float32), allow_pickle=False)
        return np.empty(shape, np.float32)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)


def open_clips(folder: Path, **more: Any) -> MotionClips:
    """The clips that `store_clips` wrote.

    Args:
        folder: where they are.
        more: further fields of `MotionClips`.

    Raises:
        InputError: the arrays are damaged.
    """
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        arrays: dict[str, Any] = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r" if index["clips"] else None))
            for name in ("poses", "joints", "rot6d")
        }
        columns = {
            key: np.array([clip[key] for clip in index["clips"]], dtype=np.int64)
            for key in ("start", "frames", "label", "sample")
        }
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the converted data in {folder} are damaged ({error}); delete that folder") from error
    return MotionClips(
        folder, columns["start"], columns["frames"], columns["label"], columns["sample"], index["skipped"],
        **arrays, **more,
    )  # fmt: skip


def check_skipped(
    clips: MotionClips, source: Path, on_error: Literal["skip", "raise"], nothing: str = "its lists are empty"
) -> None:
    """Say what was left out, or refuse.

    Raises:
        InputError: samples are broken and `on_error=raise`, or none is left.
    """
    if clips.skipped and on_error == "raise":
        raise InputError(
            f"{source}: {_listing(clips.skipped)}.\nMend the file, or leave such samples out with data.on_error=skip"
        )
    if not len(clips):
        raise InputError(f"{source} has no usable sample: {_listing(clips.skipped) or nothing}")
    if clips.skipped:
        log.warning("%s: %s; skipped (data.on_error=skip)", source, _listing(clips.skipped))


def pose_fault(
    poses: Any, joints: Any, num_joints: int = 24, names: tuple[str, str] = ("poses", "joints3D")
) -> str | None:
    """What is wrong with the arrays of one sample, None if nothing; `names` are those of the two in the file."""
    for name, array, shape, text in (
        (names[0], poses, (72,), "[frames, 72] (24 joints x 3)"),
        (names[1], joints, (num_joints, 3), f"[frames, {num_joints}, 3]"),
    ):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            return f"{name} is no array of numbers"
        if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            return f"{name} has shape {list(array.shape)}, expected {text}"
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1) if len(array) else np.ones(0, bool)
        if not finite.all():
            return f"{name} has NaN or infinity in {int((~finite).sum())} frame(s), first in frame {finite.argmin()}"
    if len(poses) != len(joints):
        return f"{names[0]} has {len(poses)} frames, {names[1]} {len(joints)}"
    if len(poses) == 0:
        return "it has no frames"
    return None


def _listing(skipped: list[dict[str, Any]]) -> str:
    shown = "; ".join(f"sample {entry['sample']}: {entry['reason']}" for entry in skipped[:3])
    return shown + (f" (and {len(skipped) - 3} more)" if len(skipped) > 3 else "")
