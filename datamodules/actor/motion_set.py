"""Makes a data set in the layout of HumanAct12Poses from a folder of motion files: windows, resumable."""

import csv
import hashlib
import io
import json
import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from components.body.loader import load_body
from components.body.motion_sources import (
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
from components.files.places import CACHE_FOLDER
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from components.progress import Progress, no_progress
from datamodules.actor.humanact12 import CLIP_TABLE, FPS, PICKLE
from datamodules.actor.motion_labels import LabelFrom, Segment, action_key, label_files

# Says that we made the set, from what and how.
CARD = "motions.json"
# Raise it whenever the same file would give other numbers.
_VERSION = 1
# Where the first frame of every clip stands: on a floor one metre below the camera's axis, ten metres away.
_PLACE = (0.0, 1.0, 10.0)


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
    relative = {path: path.relative_to(source).as_posix() for path in files}
    segments, problems = label_files(list(relative.values()), options.labels, options.label_from, options.actions)
    known = read_json_object(output / CARD) or {}
    keys = {name: _key(path, kind, options) for path, name in relative.items()}
    state = {"settings": _settings(options), "segments": _digest(segments), "files": keys}
    if known.get("state") == json.loads(json.dumps(state)) and (output / PICKLE).is_file() and not force:
        return MotionSetResult(False, **known["result"])
    rest = load_body(options.body).rest_joints.double()
    clips, parsed = [], 0
    with (progress or no_progress)("reading motions", len(segments)) as advance:
        for path, name in relative.items():
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
    names = (
        [action_key(name) for name in options.actions] if options.actions else sorted({clip.action for clip in clips})
    )
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
