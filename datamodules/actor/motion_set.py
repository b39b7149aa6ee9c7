"""Makes a data set in the layout of HumanAct12Poses from a folder of motion files: labels, windows, resumable."""

import csv
import hashlib
import io
import json
import pickle
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from components.body.loader import load_body
from components.body.motion_sources import (
    SUFFIXES,
    Kind,
    SourceMotion,
    Up,
    face_camera,
    find_files,
    read_source,
    resample,
    to_camera,
)
from components.body.retargeting import Reference
from components.body.skeleton import forward_kinematics
from components.errors import InputError
from components.files.atomic import atomic_path, check_writable, write_json, write_text
from components.files.json_files import read_json_object
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from datamodules.actor.clips import CACHE_FOLDER
from datamodules.actor.humanact12 import CLIP_TABLE, FPS, PICKLE

# Says that we made the set, from what and how.
CARD = "motions.json"
# Raise it whenever the same file would give other numbers.
_VERSION = 1
# Where the first frame of every clip stands: on a floor one metre below the camera's axis, ten metres away.
_PLACE = (0.0, 1.0, 10.0)

LabelFrom = Literal["auto", "folder", "name"]
# Draws a bar: called with a title and a total, yields what is told how much more is done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class MotionSetOptions:
    """How files become clips; see conf/dataset/motion.yaml."""

    kind: Literal["auto", "bvh", "amass", "smpl"] = "auto"
    labels: str | None = None
    label_from: LabelFrom = "auto"
    actions: Sequence[str] | None = None
    up: Up = "auto"
    face_camera: bool = True
    fps: float | None = None
    min_frames: int = 20
    max_frames: int | None = None
    joint_map: str | None = None
    reference: Reference = "auto"
    body: str | None = None

    def __post_init__(self) -> None:
        for key, choices in (
            ("kind", ("auto", "bvh", "amass", "smpl")), ("label_from", ("auto", "folder", "name")),
            ("up", ("auto", "y", "z", "-y")), ("reference", ("auto", "zero", "first")),
        ):  # fmt: skip
            if getattr(self, key) not in choices:
                raise InputError(f"dataset.{key}='{getattr(self, key)}' is not one of {', '.join(choices)}")
        if self.min_frames < 1 or (self.max_frames is not None and self.max_frames < self.min_frames):
            raise InputError(
                f"dataset.min_frames={self.min_frames} must be at least 1, max_frames={self.max_frames} no less"
            )
        if self.fps is not None and not 1 <= self.fps <= 1000:
            raise InputError(f"dataset.fps={self.fps}: expected 1..1000")


@dataclass(frozen=True)
class MotionSetResult:
    """What was made."""

    fresh: bool
    action_names: list[str]
    clips_per_action: list[int]
    frames: int
    parsed: int
    problems: list[str] = field(default_factory=list)


class Segment(NamedTuple):
    """A labelled part of a file, in seconds; `end` None = to its end."""

    action: str
    start: float = 0.0
    end: float | None = None


class _Clip(NamedTuple):
    action: str
    source: str
    start: int
    poses: np.ndarray
    joints: np.ndarray


def make_motion_set(
    source: Path, output: Path, options: MotionSetOptions, force: bool = False, progress: Progress | None = None
) -> MotionSetResult:
    """Write `humanact12poses.pkl`, `actions.json` and `clips.csv`.

    Files that were read before and have not changed since are not read again, so that an interrupted call goes on
    where it was. Broken files are left out and reported.

    Raises:
        InputError: no motion files, a label table that does not fit, nothing usable, or `output` holds other data or
            cannot be written.
    """
    kind, files = find_files(source, options.kind)
    if (output / PICKLE).is_file() and not (output / CARD).is_file():
        raise InputError(
            f"dataset.output={output} holds a '{PICKLE}' that was not made here; it is left alone.\n"
            "Choose another folder with dataset.output=<folder>"
        )
    check_writable(output, "dataset.output")
    segments, problems = label_files(source, files, options)
    known = read_json_object(output / CARD) or {}
    keys = {_relative(path, source): _key(path, kind, options) for path in files}
    state = {"settings": _settings(options), "segments": _digest(segments), "files": keys}
    if known.get("state") == json.loads(json.dumps(state)) and (output / PICKLE).is_file() and not force:
        return MotionSetResult(False, **known["result"])
    rest = load_body(options.body).rest_joints.double()
    clips, parsed = [], 0
    with (progress or _no_progress)("reading motions", len(segments)) as advance:
        for path in files:
            name = _relative(path, source)
            if name not in segments:
                continue
            try:
                motion, fresh = _cached(path, output / CACHE_FOLDER / "sources" / f"{keys[name]}.npz", force, kind,
                                        options, rest)  # fmt: skip
                parsed += fresh
                clips += _cut(motion, name, segments[name], options, rest, problems)
            except InputError as error:
                problems.append(str(error).replace(f"{path}", name, 1).replace("\n", " "))
            advance(1)
    if not clips:
        raise InputError(
            f"dataset.source={source}: none of {len(files)} {kind} files can be used.\n" + "\n".join(problems[:2])
        )
    names = [_action(name) for name in options.actions] if options.actions else sorted({clip.action for clip in clips})
    counts = Counter(clip.action for clip in clips)
    result: dict[str, Any] = {
        "action_names": names,
        "clips_per_action": [counts[name] for name in names],
        "frames": sum(len(clip.poses) for clip in clips),
        "parsed": parsed,
        "problems": problems,
    }
    # Until all is written the card says that the folder is ours, and that it is not complete.
    write_json(output / CARD, {"source": str(source), "kind": kind})
    _write(output, clips, names)
    write_json(output / CARD, {"source": str(source), "kind": kind, "state": state, "result": result | {"parsed": 0}})
    return MotionSetResult(True, **result)


def _no_progress(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


def _relative(path: Path, source: Path) -> str:
    return path.relative_to(source).as_posix()


def _settings(options: MotionSetOptions) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(options).items()}


def _digest(segments: dict[str, list[Segment]]) -> str:
    return hashlib.sha256(json.dumps(segments, sort_keys=True).encode()).hexdigest()[:16]


def _key(path: Path, kind: Kind, options: MotionSetOptions) -> str:
    """Stands for a file and all that its numbers depend on."""
    stat = path.stat()
    parts = [path.resolve(), stat.st_size, stat.st_mtime_ns, kind, options.fps, options.up, options.reference, _VERSION]
    for more in (options.joint_map, options.body):
        if more is not None and Path(more).expanduser().is_file():
            parts += [more, Path(more).expanduser().stat().st_mtime_ns]
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]


def label_files(
    source: Path, files: Sequence[Path], options: MotionSetOptions
) -> tuple[dict[str, list[Segment]], list[str]]:
    """Labelled parts of every file that has a label, and a line for each that has none.

    Raises:
        InputError: the table is malformed or names files that do not exist; an action in `actions` has no file.
    """
    names = [_relative(path, source) for path in files]
    if options.labels is not None:
        segments = read_labels(Path(options.labels).expanduser(), names)
    else:
        folders = all("/" in name for name in names)
        by_folder = options.label_from == "folder" or (options.label_from == "auto" and folders)
        labels = {name: _folder_label(name) if by_folder else _name_label(name) for name in names}
        segments = {name: [Segment(label)] for name, label in labels.items() if label}
    if options.actions is not None:
        wanted = {_action(action) for action in options.actions}
        present = {part.action for parts in segments.values() for part in parts}
        absent = [action for action in options.actions if _action(action) not in present]
        if absent:
            raise InputError(
                f"dataset.actions: no file is labelled {', '.join(absent)}; there are {', '.join(sorted(present)[:20])}"
            )
        segments = {name: kept for name, parts in segments.items()
                    if (kept := [part for part in parts if part.action in wanted])}  # fmt: skip
        return segments, []
    return segments, [f"{name}: no label, left out" for name in names if name not in segments]


def read_labels(path: Path, names: Sequence[str]) -> dict[str, list[Segment]]:
    """A csv with the columns `file`, `action` and, for parts of a file, `start` and `end` in seconds.

    A file is its path below the source folder, with or without suffix, or its mere name where that is unique.

    Raises:
        InputError: the table is missing or malformed; the message names the line.
    """
    known: dict[str, list[str]] = {}
    for name in names:
        stem = name.rsplit(".", 1)[0]
        for key in {name, stem, name.rsplit("/", 1)[-1], stem.rsplit("/", 1)[-1]}:
            known.setdefault(key, []).append(name)
    segments: dict[str, list[Segment]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if not {"file", "action"} <= set(table.fieldnames or ()):
                raise ValueError(f"its columns are {', '.join(table.fieldnames or ()) or 'none'}")
            for row in table:
                where = f"dataset.labels={path}, line {table.line_num}"
                found = known.get((row["file"] or "").strip().replace("\\", "/"), [])
                if len(found) != 1:
                    what = "is no motion file below dataset.source" if not found else f"names {len(found)} files"
                    raise InputError(f"{where}: '{row['file']}' {what}")
                segments.setdefault(found[0], []).append(_segment(row, where))
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"dataset.labels: cannot read {path}: {error}.\nExpected a csv with the columns file, action and, for "
            "parts of a file, start and end (seconds)"
        ) from error
    return segments


def _segment(row: dict[str, Any], where: str) -> Segment:
    action = _action(row["action"] or "")
    if not action:
        raise InputError(f"{where}: no action")
    try:
        start = float(row.get("start") or 0.0)
        end = float(row["end"]) if row.get("end") else None
    except ValueError as error:
        raise InputError(f"{where}: start and end must be seconds ({error})") from error
    if not (0 <= start < (end if end is not None else np.inf)):
        raise InputError(
            f"{where}: from {start:g} to {end if end is not None else 'its end'} seconds is no part of a file"
        )
    return Segment(action, start, end)


def _action(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip()).lower()


def _folder_label(name: str) -> str:
    return _action(name.split("/", 1)[0]) if "/" in name else ""


def _name_label(name: str) -> str:
    """The file's name without its suffix and the number at its end."""
    stem = name.rsplit("/", 1)[-1]
    while Path(stem).suffix.lower() in SUFFIXES:
        stem = Path(stem).stem
    return _action(re.sub(r"(_poses|_stageii)$", "", stem).rstrip("0123456789").rstrip(" _-.()"))


def _cached(
    path: Path, place: Path, force: bool, kind: Kind, options: MotionSetOptions, rest: torch.Tensor
) -> tuple[SourceMotion, bool]:
    """The motion of a file in camera axes at our frame rate, and whether the file was read."""
    if place.is_file() and not force:
        try:
            with np.load(place, allow_pickle=False) as arrays:
                poses, root = torch.from_numpy(arrays["poses"]), torch.from_numpy(arrays["root"])
            return SourceMotion(axis_angle_to_matrix(poses.double()), root.double(), FPS), False
        except (OSError, ValueError, KeyError, EOFError):
            pass  # a damaged cache is made again
    motion = read_source(path, kind, rest, options.fps, options.joint_map, options.reference)
    try:
        motion = resample(to_camera(motion, options.up), FPS)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    with atomic_path(place) as temporary:
        np.savez(temporary, poses=matrix_to_axis_angle(motion.rotations).numpy(), root=motion.root.numpy())
    return motion, True


def _cut(
    motion: SourceMotion, name: str, parts: Sequence[Segment], options: MotionSetOptions, rest: torch.Tensor,
    problems: list[str],
) -> list[_Clip]:  # fmt: skip
    """Clips of the labelled parts, long ones cut into windows."""
    clips = []
    for part in parts:
        first = round(part.start * FPS)
        last = len(motion.rotations) if part.end is None else min(round(part.end * FPS), len(motion.rotations))
        size = max(last - first, 0)
        length = size if options.max_frames is None else options.max_frames
        if size < options.min_frames:
            problems.append(
                f"{name}: '{part.action}' has {size} frames at {FPS} fps, dataset.min_frames={options.min_frames}"
            )
            continue
        for start in range(first, last, max(length, 1)):
            stop = min(start + length, last)
            if stop - start >= options.min_frames:
                clips.append(_clip(motion, name, part.action, start, stop, options, rest))
    return clips


def _clip(
    motion: SourceMotion, name: str, action: str, start: int, stop: int, options: MotionSetOptions, rest: torch.Tensor
) -> _Clip:
    window = SourceMotion(motion.rotations[start:stop], motion.root[start:stop], motion.fps)
    if options.face_camera:
        window = face_camera(window)
    root = window.root - window.root[0] * torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    root = root + torch.tensor(_PLACE, dtype=torch.float64)
    joints = forward_kinematics(window.rotations, rest)[0] - rest[0] + root[:, None]
    poses = matrix_to_axis_angle(window.rotations).flatten(1)
    return _Clip(action, name, start, poses.float().numpy(), joints.float().numpy())


def _write(output: Path, clips: Sequence[_Clip], names: Sequence[str]) -> None:
    labels = {name: label for label, name in enumerate(names)}
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["index", "label", "name", "source_clip", "start_20fps", "frames"])
    for index, clip in enumerate(clips):
        rows.writerow([index, labels[clip.action], clip.action, clip.source, clip.start, len(clip.poses)])
    content = {
        "poses": [clip.poses for clip in clips],
        "joints3D": [clip.joints for clip in clips],
        "y": [labels[clip.action] for clip in clips],
        "oldposes": [],
    }
    write_text(output / "actions.json", json.dumps({str(i): name for i, name in enumerate(names)}, indent=1) + "\n")
    write_text(output / CLIP_TABLE, table.getvalue())
    with atomic_path(output / PICKLE) as temporary, open(temporary, "wb") as file:
        pickle.dump(content, file, protocol=4)
