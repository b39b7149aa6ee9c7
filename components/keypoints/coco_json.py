"""Keypoints in COCO's json: pictures that are frames of videos, and persons in them."""

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from components.errors import InputError
from components.keypoints.openpose import numbers_in_threes
from components.keypoints.tracking import track_persons

_FRAME_KEYS = ("frame_id", "frame_index", "frame")
_LAST_NUMBER = re.compile(r"(\d+)(?=\D*$)")


@dataclass(frozen=True)
class CocoClip:
    """The persons of one video.

    `frames` are its picture ids in the order of time, `persons` of each frame `(keypoints [V, 3], track id or None)`,
    `problems` what was wrong with single annotations, which are left out.
    """

    name: str
    img_shape: tuple[int, int] | None
    frames: list[Any]
    persons: list[list[tuple[np.ndarray, Any]]]
    problems: list[str]

    def arrays(self, max_persons: int = 2) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints `[M, T, V, 2]` and scores `[M, T, V]`, float32.

        Persons are joined by their track ids where all have one, else by distance.

        Raises:
            InputError: nobody is in any frame, or persons differ in their number of joints.
        """
        everyone = [person for frame in self.persons for person in frame]
        counts = sorted({len(joints) for joints, _ in everyone})
        if not counts:
            raise InputError(f"nobody is annotated in any of {len(self.frames)} frames")
        if len(counts) > 1:
            raise InputError(f"its persons have {' and '.join(map(str, counts))} joints; expected one number")
        named = all(track is not None for _, track in everyone)
        return track_persons(
            [np.stack([j for j, _ in frame]) if frame else np.zeros((0, counts[0], 3), np.float32)
             for frame in self.persons],
            max_persons,
            identities=[[track for _, track in frame] for frame in self.persons] if named else None,
        )  # fmt: skip


def read_coco_json(path: str | Path) -> list[CocoClip]:
    """The videos of a file with `images` and `annotations`.

    A picture belongs to the video that its `video_id` names (`videos` gives the name), else to the folder of its
    `file_name`. Frames stand in the order of `frame_id` (or `frame_index`, `frame`), else of the last number in the
    file name. The third value of a keypoint is COCO's visibility where all are 0, 1 or 2, else a confidence.

    Raises:
        InputError: missing, broken, of another form, or without a picture; names the file.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as json ({str(error).splitlines()[0]})") from error
    lists = {key: content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations")}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise InputError(f"{path}: no list '{key}'; expected COCO's keypoint json with images and annotations")
    images: list[Any] = [each for each in lists["images"] or [] if isinstance(each, dict) and "id" in each]
    if not images:
        raise InputError(f"{path}: 'images' holds no picture with an id")
    named = _video_names(content.get("videos"))
    by_clip: dict[str, list[Any]] = defaultdict(list)
    for image in images:
        by_clip[_clip_name(image, named, path.stem)].append(image)
    persons, problems = _persons(lists["annotations"] or [], {_key(image["id"]) for image in images})
    flags = _are_flags(persons)
    return [_clip(name, by_clip[name], persons, problems, flags) for name in sorted(by_clip)]


def _clip(
    name: str,
    images: list[Any],
    persons: Mapping[str, list[tuple[np.ndarray, Any]]],
    problems: Mapping[str, list[str]],
    flags: bool,
) -> CocoClip:
    images = sorted(images, key=lambda image: _moment(image))
    sizes = {(image.get("height"), image.get("width")) for image in images}
    size = next(iter(sizes)) if len(sizes) == 1 else (None, None)
    whole = all(isinstance(side, int) and side > 0 for side in size)
    wrong = [line for image in images for line in problems.get(_key(image["id"]), [])]
    if len(sizes) > 1:
        wrong.append(f"its pictures have {len(sizes)} sizes; expected one")
    return CocoClip(
        name,
        (int(size[0]), int(size[1])) if whole else None,  # type: ignore[arg-type]
        [image["id"] for image in images],
        [[(_scored(j, flags), track) for j, track in persons.get(_key(image["id"]), [])] for image in images],
        wrong,
    )


def _video_names(videos: Any) -> dict[str, str]:
    listed = videos if isinstance(videos, list) else []
    return {
        _key(each["id"]): str(each.get("name") or each.get("file_name") or each["id"])
        for each in listed
        if isinstance(each, dict) and "id" in each
    }


def _clip_name(image: Mapping[str, Any], named: Mapping[str, str], alone: str) -> str:
    if image.get("video_id") is not None:
        name = named.get(_key(image["video_id"]), str(image["video_id"]))
    else:
        name = str(PurePosixPath(str(image.get("file_name", "")).replace("\\", "/")).parent)
    return alone if name in ("", ".") else name


def _moment(image: Mapping[str, Any]) -> tuple[float, str]:
    """Sorts pictures by time; those without any number come last, by name."""
    name = str(image.get("file_name", ""))
    for key in _FRAME_KEYS:
        if isinstance(image.get(key), int | float):
            return float(image[key]), name
    match = _LAST_NUMBER.search(PurePosixPath(name).stem)
    return (float(match[1]) if match else float("inf")), name


def _persons(
    annotations: list[Any], known: set[str]
) -> tuple[dict[str, list[tuple[np.ndarray, Any]]], dict[str, list[str]]]:
    """Raw keypoints by picture, and what is wrong by picture."""
    persons: dict[str, list[tuple[np.ndarray, Any]]] = defaultdict(list)
    problems: dict[str, list[str]] = defaultdict(list)
    for number, each in enumerate(annotations):
        image = _key(each.get("image_id")) if isinstance(each, dict) else ""
        if image not in known or each.get("keypoints") is None:
            continue  # boxes without keypoints, and pictures that are not listed
        joints = numbers_in_threes(each["keypoints"])
        if joints is None:
            problems[image].append(f"annotation {each.get('id', number)}: keypoints are not numbers x, y, third")
        elif (joints[:, 2] > 0).any():
            persons[image].append((joints, each.get("track_id")))
    return persons, problems


def _are_flags(persons: Mapping[str, list[tuple[np.ndarray, Any]]]) -> bool:
    values = {float(v) for frame in persons.values() for joints, _ in frame for v in np.unique(joints[:, 2])}
    return values <= {0.0, 1.0, 2.0}


def _scored(joints: np.ndarray, flags: bool) -> np.ndarray:
    """Visibility as a score: a joint that was labelled is known, whether it is seen or hidden."""
    if not flags:
        return joints
    scored = joints.copy()
    scored[:, 2] = joints[:, 2] > 0
    return scored


def _key(value: Any) -> str:
    return str(value)
