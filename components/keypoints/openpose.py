"""The folder that OpenPose writes for a video: one json file per frame, any number of persons in each."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import InputError
from components.keypoints.joint_orders import to_coco17
from components.keypoints.tracking import track_persons

_FILE = re.compile(r"(?:^|.*?)(\d+)(?:_keypoints)?\.json", re.IGNORECASE)
_ORDERS = {25: "body25", 18: "openpose18", 17: "coco17"}
# Frame numbers may have gaps where empty frames were not written, but not be mostly gaps.
_MOST_SPARSE = 4


def frame_files(folder: str | Path) -> list[tuple[int, Path]]:
    """Frame numbers and files of a folder in the order of time; empty where it is no folder of OpenPose.

    Raises:
        InputError: two files of the same frame.
    """
    found: dict[int, Path] = {}
    for path in sorted(Path(folder).glob("*.json")):
        match = _FILE.fullmatch(path.name)
        if match is None or path.name.startswith("."):
            continue
        number = int(match[1])
        if number in found:
            raise InputError(f"{folder}: '{found[number].name}' and '{path.name}' are both frame {number}")
        found[number] = path
    return sorted(found.items())


def read_openpose_folder(folder: str | Path, max_persons: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The persons of a video as COCO-17, joined over time.

    BODY_25, COCO-18 and COCO-17 are told apart by the number of joints. Frames that are missing between the first and
    the last one are frames without persons.

    Returns:
        Keypoints `[M, T, 17, 2]` in the file's unit (pixels, unless OpenPose was told otherwise) and scores
        `[M, T, 17]`, float32.

    Raises:
        InputError: no frames, a file that is broken or of another form, mostly missing frames; names the file.
    """
    files = frame_files(folder)
    if not files:
        raise InputError(f"{folder}: no frames; expected files like clip_000000000000_keypoints.json")
    first, last = files[0][0], files[-1][0]
    if last - first + 1 > _MOST_SPARSE * len(files):
        raise InputError(f"{folder}: {len(files)} files have frame numbers {first} to {last}; most frames are missing")
    frames: list[np.ndarray] = [np.zeros((0, 17, 3), dtype=np.float32)] * (last - first + 1)
    for number, path in files:
        frames[number - first] = read_openpose_frame(path)
    if not any(len(persons) for persons in frames):
        raise InputError(f"{folder}: nobody was found in any of {len(files)} frames")
    return track_persons(frames, max_persons)


def read_openpose_frame(path: str | Path) -> np.ndarray:
    """The persons of one frame, `[P, 17, 3]` float32: x, y and confidence.

    Raises:
        InputError: the file is broken or of another form; names the file.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as json ({str(error).splitlines()[0]})") from error
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise InputError(f"{path}: no list 'people'; expected a file that OpenPose wrote with --write_json")
    return np.stack([_person(each, path) for each in people]) if people else np.zeros((0, 17, 3), dtype=np.float32)


def _person(person: Any, path: str | Path) -> np.ndarray:
    values = (person.get("pose_keypoints_2d") or person.get("pose_keypoints")) if isinstance(person, dict) else None
    joints = numbers_in_threes(values)
    if joints is None or len(joints) not in _ORDERS:
        found = f"{len(values)} entries" if isinstance(values, list) else "none"
        raise InputError(f"{path}: pose_keypoints_2d has {found}; expected 25 (BODY_25), 18 or 17 joints x, y, score")
    return to_coco17(joints, _ORDERS[len(joints)])


def numbers_in_threes(values: Any) -> np.ndarray | None:
    """A flat list of x, y, third as `[J, 3]` float32, not finite joints as zeros; None where it is anything else."""
    if not isinstance(values, Sequence) or isinstance(values, str) or not values or len(values) % 3:
        return None
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    try:
        numbers = [float(value) for value in values]
    except OverflowError:
        return None
    joints = np.array(numbers, dtype=np.float64).reshape(-1, 3)
    joints[~np.isfinite(joints).all(1) | (np.abs(joints) > math.sqrt(np.finfo(np.float32).max)).any(1)] = 0
    return joints.astype(np.float32)
