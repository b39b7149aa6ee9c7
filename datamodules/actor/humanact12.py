"""HumanAct12Poses: checks the pickle once and turns it into memory-mapped arrays.

The folder holds `humanact12poses.pkl` (a dict of the lists `poses` [T,72] axis-angle, `joints3D` [T,24,3] metres, `y`
labels) and, for other classes than the published ones, `actions.json` (`{"0": "walk", ...}`). Camera convention:
x right, y down, z away, 20 frames per second. A `clips.csv` beside it (columns `index` and `source_clip` or `group`)
names the recording that each clip comes from: a split keeps windows of one recording together.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.files.safe_pickle import load_pickle
from datamodules.actor.clips import (
    ClipPlan,
    MotionClips,
    cache_folder,
    check_skipped,
    open_clips,
    pose_fault,
    store_clips,
)

PICKLE = "humanact12poses.pkl"
CLIP_TABLE = "clips.csv"
FPS = 20
HUMANACT12_ACTIONS: tuple[str, ...] = (
    "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell", "sit", "eat", "turn_steering_wheel", "phone", "boxing",
    "throw",
)  # fmt: skip


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
    folder = Path(root).expanduser()
    pickle_path = folder / PICKLE
    if not pickle_path.is_file():
        raise InputError(
            f"data.root={root} has no '{PICKLE}' (a dict of the lists poses, joints3D and y).\n"
            "Give the folder that holds it with data.root=<folder>; experiment=actor_mix runs on synthetic data"
        )
    arrays = cache_folder(pickle_path, [num_classes], cache_dir, "humanact12")
    if not (arrays / "index.json").is_file():
        _convert(pickle_path, num_classes, arrays)
    clips = open_clips(arrays)
    check_skipped(clips, pickle_path, on_error)
    clips = replace(clips, action_names=action_names(folder, num_classes), fps=FPS)
    recordings = read_recordings(folder / CLIP_TABLE)
    if not recordings:
        return clips
    missing = [place for place in clips.sources.tolist() if place not in recordings]
    if missing:
        raise InputError(
            f"{folder / CLIP_TABLE} has no row for clip {missing[0]} of {PICKLE} ({len(missing)} missing): it "
            "belongs to other data.\nMend or remove it"
        )
    names = tuple(recordings[place] for place in clips.sources.tolist())
    return replace(clips, names=names, groups=names)


def read_recordings(path: Path) -> dict[int, str]:
    """Recording by clip number, from a csv with the columns `index` and `group` or `source_clip`; {} without them.

    Raises:
        InputError: the file cannot be read or a number is none.
    """
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            column = next((name for name in ("group", "source_clip") if name in (table.fieldnames or ())), None)
            if column is None or "index" not in (table.fieldnames or ()):
                return {}
            return {int(row["index"]): row[column] or f"clip {row['index']}" for row in table}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"cannot read {path} ({error}); expected the columns index and source_clip") from error


def sample_fault(poses: Any, joints: Any, label: Any, num_classes: int) -> str | None:
    """What is wrong with one sample, None if nothing."""
    fault = pose_fault(poses, joints)
    if fault is not None:
        return fault
    if isinstance(label, np.ndarray) and label.size == 1:
        label = label.item()
    if isinstance(label, bool) or not isinstance(label, int | np.integer):
        return f"its label {label!r} is no whole number"
    if not 0 <= label < num_classes:
        return f"its label {label} lies outside 0..{num_classes - 1}"
    return None


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
    """Write the arrays of the sound samples."""
    poses, joints, labels = _read_lists(pickle_path)
    faults = [sample_fault(*sample, num_classes) for sample in zip(poses, joints, labels)]
    kept = [place for place, fault in enumerate(faults) if fault is None]
    plan = [ClipPlan(place, int(labels[place]), len(poses[place])) for place in kept]
    skipped = [{"sample": place, "reason": fault} for place, fault in enumerate(faults) if fault is not None]
    store_clips(folder, pickle_path, plan, ((poses[place], joints[place]) for place in kept), 24, skipped)
