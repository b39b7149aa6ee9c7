"""HumanAct12Poses: checks the pickle once and turns it into memory-mapped arrays.

The folder holds `humanact12poses.pkl` (a dict of the lists `poses` [T,72] axis-angle, `joints3D` [T,24,3] metres, `y`
labels) and, for other classes than the published ones, `actions.json` (`{"0": "walk", ...}`). Camera convention:
x right, y down, z away, 20 frames per second.
"""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from components.body.pose_format import encode_rotations
from components.errors import InputError
from components.files.atomic import staging_folder, write_json
from components.files.safe_pickle import load_pickle

log = logging.getLogger(__name__)

PICKLE = "humanact12poses.pkl"
FPS = 20
# Beside the pickle.
CACHE_FOLDER = ".troupe_cache"
# Raise it whenever the arrays or their meaning change: caches of other versions are then left alone.
CACHE_VERSION = 1
HUMANACT12_ACTIONS: tuple[str, ...] = (
    "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell", "sit", "eat", "turn_steering_wheel", "phone", "boxing",
    "throw",
)  # fmt: skip


@dataclass(frozen=True)
class MotionClips:
    """All usable clips of a data set, one after the other in memory-mapped arrays.

    `starts`, `lengths`, `labels`, `sources` are `[N]` int64: first row, frames, class and place in the pickle.
    `poses` is `[frames, 72]` axis-angle, `joints` `[frames, 24, 3]` metres, `rot6d` `[frames, 24, 6]`, all float32.
    `skipped` tells of the clips that were left out: `{"sample": place, "reason": text}`.
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

    def __len__(self) -> int:
        return len(self.starts)


def action_names(root: str | Path, num_classes: int) -> tuple[str, ...]:
    """Names by label: from `actions.json` beside the pickle, else the published twelve.

    Raises:
        InputError: the file is malformed, or its size differs from `num_classes`.
    """
    path = Path(root) / "actions.json"
    if not path.is_file():
        if num_classes == len(HUMANACT12_ACTIONS):
            return HUMANACT12_ACTIONS
        raise InputError(
            f"data.num_classes={num_classes} needs {path} with the names of the classes, "
            'like {"0": "walk", "1": "run", ...}'
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict) or sorted(content) != sorted(str(label) for label in range(len(content))):
        raise InputError(f'{path}: expected {{"0": "name", "1": "name", ...}} with every label from 0 on')
    names = tuple(content[str(label)] for label in range(len(content)))
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise InputError(f"{path}: every label needs a name of its own")
    if len(names) != num_classes:
        raise InputError(
            f"{path} names {len(names)} actions, but data.num_classes={num_classes}.\n"
            f"Set data.num_classes={len(names)} or mend the file"
        )
    return names


def open_humanact12(
    root: str | Path, num_classes: int = 12, on_error: Literal["skip", "raise"] = "raise", cache_dir: str | None = None
) -> MotionClips:
    """The clips of a folder; converted on first use, into the data folder if it can be written, else into `cache_dir`.

    Several processes may do this at once: each converts on its own, the first to finish wins.

    Args:
        root: folder with `humanact12poses.pkl`.
        num_classes: labels must lie in 0..num_classes-1.
        on_error: what a broken sample does: `raise` stops, `skip` leaves it out and says so.
        cache_dir: where the arrays go if the data folder is read-only.

    Raises:
        InputError: the pickle is missing, truncated, hostile or malformed, or has broken samples and `on_error=raise`.
    """
    pickle_path = Path(root).expanduser() / PICKLE
    if not pickle_path.is_file():
        raise InputError(
            f"data.root={root} has no '{PICKLE}' (a dict of the lists poses, joints3D and y).\n"
            "Give the folder that holds it with data.root=<folder>; experiment=actor_mix runs on synthetic data"
        )
    folder = _cache_folder(pickle_path, num_classes, cache_dir)
    if not (folder / "index.json").is_file():
        _convert(pickle_path, num_classes, folder)
    clips = _open(folder)
    if clips.skipped and on_error == "raise":
        raise InputError(
            f"{pickle_path}: {_listing(clips.skipped)}.\n"
            "Mend the file, or leave such samples out with data.on_error=skip"
        )
    if not len(clips):
        raise InputError(f"{pickle_path} has no usable sample: {_listing(clips.skipped) or 'its lists are empty'}")
    if clips.skipped:
        log.warning("%s: %s; skipped (data.on_error=skip)", pickle_path, _listing(clips.skipped))
    return clips


def sample_fault(poses: Any, joints: Any, label: Any, num_classes: int) -> str | None:
    """What is wrong with one sample, None if nothing."""
    for name, array, shape, text in (
        ("poses", poses, (72,), "[frames, 72] (24 joints x 3)"),
        ("joints3D", joints, (24, 3), "[frames, 24, 3]"),
    ):
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
            return f"{name} is no array of numbers"
        if array.ndim != len(shape) + 1 or array.shape[1:] != shape:
            return f"{name} has shape {list(array.shape)}, expected {text}"
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1) if len(array) else np.ones(0, bool)
        if not finite.all():
            return f"{name} has NaN or infinity in {int((~finite).sum())} frame(s), first in frame {finite.argmin()}"
    if len(poses) != len(joints):
        return f"poses has {len(poses)} frames, joints3D {len(joints)}"
    if len(poses) == 0:
        return "it has no frames"
    if isinstance(label, np.ndarray) and label.size == 1:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        return f"its label {label!r} is no whole number"
    if not 0 <= label < num_classes:
        return f"its label {label} lies outside 0..{num_classes - 1}"
    return None


def _cache_folder(pickle_path: Path, num_classes: int, cache_dir: str | None) -> Path:
    """Where the arrays of this very file belong."""
    stat = pickle_path.stat()
    identity = f"{pickle_path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{num_classes}|{CACHE_VERSION}"
    name = hashlib.sha256(identity.encode()).hexdigest()[:16]
    beside = pickle_path.parent / CACHE_FOLDER / name
    if (beside / "index.json").is_file() or cache_dir is None or _writable(pickle_path.parent):
        return beside
    return Path(cache_dir).expanduser() / f"humanact12-{name}"


def _writable(folder: Path) -> bool:
    # The mode is asked too: for an administrator `access` says yes to folders that are meant to stay as they are.
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def _read_lists(path: Path) -> tuple[list[Any], list[Any], list[Any]]:
    content = load_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a dict of the lists poses, joints3D and y")
    missing = [key for key in ("poses", "joints3D", "y") if key not in content]
    if missing:
        found = ", ".join(map(str, content)) or "nothing"
        raise InputError(f"{path} lacks {', '.join(missing)} (found {found}); expected the lists poses, joints3D and y")
    lists = [list(content[key]) if isinstance(content[key], list | tuple | np.ndarray) else None
             for key in ("poses", "joints3D", "y")]  # fmt: skip
    poses, joints, labels = lists
    if poses is None or joints is None or labels is None or not len(poses) == len(joints) == len(labels):
        sizes = ", ".join("no list" if entry is None else str(len(entry)) for entry in lists)
        raise InputError(f"{path}: poses, joints3D and y must be lists of equal length (found {sizes})")
    return poses, joints, labels


def _convert(pickle_path: Path, num_classes: int, folder: Path) -> None:
    """Write the arrays beside their place and rename; whoever comes second leaves the first one's."""
    poses, joints, labels = _read_lists(pickle_path)
    faults = [sample_fault(*sample, num_classes) for sample in zip(poses, joints, labels)]
    kept = [place for place, fault in enumerate(faults) if fault is None]
    lengths = [len(poses[place]) for place in kept]
    index = {
        "source": str(pickle_path),
        "clips": [
            {"sample": place, "label": int(labels[place]), "start": start, "frames": length}
            for place, length, start in zip(kept, lengths, np.cumsum([0, *lengths]).tolist())
        ],
        "skipped": [{"sample": place, "reason": fault} for place, fault in enumerate(faults) if fault is not None],
    }
    all_poses = np.concatenate([np.empty((0, 72)), *(poses[place] for place in kept)]).astype(np.float32)
    all_joints = np.concatenate([np.empty((0, 24, 3)), *(joints[place] for place in kept)]).astype(np.float32)
    rot6d = encode_rotations(torch.from_numpy(all_poses).view(-1, 24, 3), "rot6d").numpy()
    try:
        with staging_folder(folder) as staging:
            for name, array in (("poses", all_poses), ("joints", all_joints), ("rot6d", rot6d)):
                np.save(staging / f"{name}.npy", array, allow_pickle=False)
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
    log.info("converted %s: %d clips, %d frames -> %s", pickle_path, len(kept), len(all_poses), folder)


def _open(folder: Path) -> MotionClips:
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        arrays = {
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
        folder, columns["start"], columns["frames"], columns["label"], columns["sample"], index["skipped"], **arrays
    )


def _listing(skipped: list[dict[str, Any]]) -> str:
    shown = "; ".join(f"sample {entry['sample']}: {entry['reason']}" for entry in skipped[:3])
    return shown + (f" (and {len(skipped) - 3} more)" if len(skipped) > 3 else "")
