"""UESTC: 40 actions from eight views as estimated by VIBE, in the files that ACTOR distributed.

The folder holds `info/names.txt` (`a{action}_d{view}_p{subject}_c{side}_color.avi`, one video per line),
`info/num_frames_min.txt` (frames of each video), `info/action_classes.txt` (names by action) and
`vibe_cache_refined.pkl`, a dict of lists over the videos: `pose` [T,72] axis-angle, `joints3d` [T,49,3] metres,
`orig_cam` [T,4] (weak-perspective camera sx sy tx ty). Camera convention: x right, y down, z away, 30 frames per
second.
Source: ACTOR, section 4.1 and its published reader.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from components.errors import InputError
from components.files.atomic import atomic_path
from components.files.safe_pickle import load_pickle
from components.geometry import rotations
from datamodules.actor.clips import (
    ClipPlan,
    MotionClips,
    PublishedSplit,
    cache_folder,
    check_skipped,
    open_clips,
    store_clips,
)
from datamodules.actor.vibe import A2M_JOINTS, read_lines, select_joints, vibe_fault

log = logging.getLogger(__name__)

CACHE = "vibe_cache_refined.pkl"
TRANSLATIONS = "globtrans_usez.pkl"
FPS = 30
NUM_SUBJECTS = 118
TRAIN_SUBJECTS: frozenset[int] = frozenset((
    1, 2, 6, 12, 13, 16, 21, 24, 28, 29, 30, 31, 33, 35, 39, 41, 42, 45, 47, 50, 52, 54, 55, 57, 59, 61, 63, 64, 67, 69,
    70, 71, 73, 77, 81, 84, 86, 87, 88, 90, 91, 93, 96, 99, 102, 103, 104, 107, 108, 112, 113,
))  # fmt: skip
# The camera that recorded the front; its videos are kept as they are.
FRONT_SIDE = 1
# The moving camera of the other side has no angle.
MOVING_VIEW = 8
# Pixels of the crop and focal length of the camera that the depth is estimated with.
IMAGE_SIZE, FOCAL_LENGTH = 540, 500
_NAME = re.compile(r"a(\d+)_d(\d+)_p(\d+)_c(\d+)_color\.avi")


class Video(NamedTuple):
    """What a file name says."""

    action: int
    view: int
    subject: int
    side: int


def parse_name(name: str) -> Video | None:
    """`a0_d3_p001_c2_color.avi` to its parts, None where it is no such name."""
    match = _NAME.fullmatch(name)
    return None if match is None else Video(*(int(part) for part in match.groups()))


def camera_translation(joints: np.ndarray, camera: np.ndarray, use_depth: bool = True) -> np.ndarray:
    """Root translation since the first frame, from the weak-perspective camera.

    x and y are the camera's own translation; the depth is the one at which a pinhole camera sees the body as high as
    the weak-perspective camera does.

    Args:
        joints: `[T, J, 3]` metres.
        camera: `[T, 4]` sx, sy, tx, ty; sy is not used.
        use_depth: false leaves z at 0.

    Returns:
        `[T, 3]`.
    """
    translation = np.zeros((len(joints), 3), dtype=np.result_type(joints, camera))
    translation[:, :2] = camera[:, 2:]
    if use_depth:
        flat = joints[:, :, :2]
        image = (camera[:, None, :1] * (flat + camera[:, None, 2:]) + 1) * 0.5 * IMAGE_SIZE
        with np.errstate(divide="ignore", invalid="ignore"):  # what comes of it is no finite number and is reported
            translation[:, 2] = FOCAL_LENGTH * (_extent(flat) / _extent(image))
    return translation - translation[:1]


def _extent(points: np.ndarray) -> np.ndarray:
    """Diagonal of the bounding box of `[T, J, 2]` points, `[T]`."""
    return np.linalg.norm(points.max(axis=1) - points.min(axis=1), axis=-1)


def front_rotation(view: int) -> np.ndarray:
    """`[3, 3]` turns what a view shows to the front: -45 degrees about y per view."""
    return rotations.axis_rotation("Y", torch.tensor(-view * np.pi / 4)).numpy().astype(np.float32)


def turn_to_front(
    poses: np.ndarray, joints: np.ndarray, translation: np.ndarray, view: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Global orientation, joints and translation of a motion as if seen from the front.

    Args:
        poses: `[T, 72]` axis-angle.
        joints: `[T, J, 3]`, without translation.
        translation: `[T, 3]`.
        view: 0..7.

    Returns:
        The three, turned; joints still without translation.
    """
    turn = front_rotation(view)
    orientation = rotations.axis_angle_to_matrix(torch.from_numpy(np.array(poses[:, :3])))
    turned = rotations.matrix_to_axis_angle(torch.from_numpy(turn).to(orientation.dtype) @ orientation).numpy()
    return np.concatenate([turned, poses[:, 3:]], axis=1), joints @ turn.T, translation @ turn.T


def open_uestc(
    root: str | Path,
    num_classes: int = 40,
    on_error: Literal["skip", "raise"] = "raise",
    cache_dir: str | None = None,
    view: Literal["all", "frontview"] = "all",
) -> MotionClips:
    """The clips of UESTC, 18 joints with the translation added, turned to the front; converted on first use.

    Split: 51 subjects train, the other 67 test (published). Subjects are groups, for `val_fraction`. The published
    rule that training clips have 0.75 of the wanted frames is `data.min_share`.

    Args:
        root: folder with `info` and `vibe_cache_refined.pkl`.
        num_classes: classes, as many as `info/action_classes.txt` names.
        on_error: what a broken video does: `raise` stops, `skip` leaves it out and says so.
        cache_dir: where the arrays go if the data folder is read-only.
        view: `frontview` keeps the videos of the front camera only; of `all` those of the moving camera are left out.

    Raises:
        InputError: files are missing, hostile or do not fit together, or videos are broken and `on_error=raise`.
    """
    if view not in ("all", "frontview"):
        raise InputError(f"data.dataset.view='{view}' is not one of all, frontview")
    root = Path(root).expanduser()
    source = root / CACHE
    names = _lines(root / "info" / "names.txt")
    actions = tuple(_lines(root / "info" / "action_classes.txt"))
    if len(actions) != num_classes or len(set(actions)) != len(actions):
        raise InputError(
            f"{root / 'info' / 'action_classes.txt'} names {len(set(actions))} actions, but "
            f"data.num_classes={num_classes}.\nSet data.num_classes={len(actions)} or mend the file"
        )
    if not source.is_file():
        raise InputError(f"data.root={root} has no '{CACHE}' (the poses that VIBE estimated, from ACTOR's download)")
    others = [root / "info" / file for file in ("names.txt", "num_frames_min.txt")]
    for file in others:
        _lines(file)  # a missing one is named
    folder = cache_folder(source, ["uestc", view, num_classes], cache_dir, "uestc", others)
    if not (folder / "index.json").is_file():
        _convert(root, names, num_classes, view, folder, cache_dir)
    clips = open_clips(folder, action_names=actions, fps=FPS)
    check_skipped(clips, source, on_error, "no video is kept")
    own = tuple(names[place] for place in clips.sources.tolist())
    subjects = [parsed.subject for parsed in map(parse_name, own) if parsed is not None]
    trains = np.isin(subjects, list(TRAIN_SUBJECTS))
    split = PublishedSplit(np.flatnonzero(trains), np.flatnonzero(~trains), "51 subjects train, 67 test")
    groups = tuple(f"p{subject:03d}" for subject in subjects)
    return replace(clips, names=own, groups=groups, group_kind="subject", published_split=split)


def _lines(path: Path) -> list[str]:
    return read_lines(
        path,
        "UESTC needs info/names.txt, num_frames_min.txt and action_classes.txt.\n"
        "Give the folder that holds info with data.root=<folder>",
    )


def _convert(root: Path, names: list[str], num_classes: int, view: str, folder: Path, cache_dir: str | None) -> None:
    vibe = _read_cache(root / CACHE, len(names))
    minima = _minima(root / "info" / "num_frames_min.txt", len(names))
    plan: list[ClipPlan] = []
    skipped: list[dict[str, Any]] = []
    views: list[int | None] = []
    for place, name in enumerate(names):
        video = parse_name(name)
        fault = _fault(video, vibe, place, minima[place], num_classes)
        if fault is not None:
            skipped.append({"sample": place, "reason": f"{name}: {fault}"})
            continue
        assert video is not None
        if video.side != FRONT_SIDE and (view == "frontview" or video.view == MOVING_VIEW):
            continue
        plan.append(ClipPlan(place, video.action, min(minima[place], len(vibe["pose"][place]))))
        views.append(None if video.side == FRONT_SIDE else video.view)
    translations = _translations(root, vibe, [clip.sample for clip in plan], cache_dir)

    def content() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for clip, turned, translation in zip(plan, views, translations):
            poses, joints = vibe["pose"][clip.sample], vibe["joints3d"][clip.sample]
            if turned is not None:
                poses, joints, translation = turn_to_front(poses, joints, translation, turned)
            yield poses[: clip.frames], select_joints(joints + translation[:, None])[: clip.frames]

    store_clips(folder, root / CACHE, plan, content(), len(A2M_JOINTS), skipped)


def _fault(video: Video | None, vibe: dict[str, list[Any]], place: int, frames: int, num_classes: int) -> str | None:
    """What is wrong with one video, None if nothing."""
    if video is None:
        return "its name is not like a0_d3_p001_c2_color.avi"
    if video.action >= num_classes:
        return f"its action {video.action} lies outside 0..{num_classes - 1}"
    if not 1 <= video.subject <= NUM_SUBJECTS:
        return f"its subject {video.subject} lies outside 1..{NUM_SUBJECTS}"
    if video.view > MOVING_VIEW:
        return f"its view {video.view} lies outside 0..{MOVING_VIEW}"
    poses, joints, camera = (vibe[key][place] for key in ("pose", "joints3d", "orig_cam"))
    fault = vibe_fault(poses, joints)
    if fault is not None:
        return fault
    if not isinstance(camera, np.ndarray) or camera.shape != (len(poses), 4) or camera.dtype.kind not in "fiu":
        return f"orig_cam is no array [{len(poses)}, 4] of numbers"
    if not np.isfinite(camera_translation(joints, camera)).all():
        return "its camera gives no finite translation"
    return None if frames >= 1 else f"num_frames_min.txt gives it {frames} frames"


def _read_cache(path: Path, count: int) -> dict[str, list[Any]]:
    content = load_pickle(path)
    keys = ("pose", "joints3d", "orig_cam")
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list | np.ndarray) for key in keys):
        raise InputError(f"{path}: expected a dict with the lists pose, joints3d and orig_cam")
    sizes = {len(content[key]) for key in keys}
    if sizes != {count}:
        raise InputError(f"{path} has lists of {sorted(sizes)} videos, but info/names.txt names {count}")
    return {key: list(content[key]) for key in keys}


def _minima(path: Path, count: int) -> list[int]:
    try:
        numbers = [int(line) for line in _lines(path)]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected one whole number per line ({error})") from error
    if len(numbers) != count:
        raise InputError(f"{path} has {len(numbers)} lines, but info/names.txt has {count}")
    return numbers


def _translations(
    root: Path, vibe: dict[str, list[Any]], places: list[int], cache_dir: str | None
) -> Iterator[np.ndarray]:
    """Translation `[T, 3]` of the wanted videos: from the published file, else our own, which are kept."""
    published = root / TRANSLATIONS
    if published.is_file():
        listed = load_pickle(published)
        fits = isinstance(listed, list | np.ndarray) and len(listed) == len(vibe["pose"])
        for place in places:
            wanted = (len(vibe["pose"][place]), 3)
            if not fits or not isinstance(listed[place], np.ndarray) or listed[place].shape != wanted:
                raise InputError(
                    f"{published} does not fit {CACHE} (video {place} should have {list(wanted)}); delete it, it is "
                    "then computed anew"
                )
            yield listed[place]
        return
    lengths = [len(poses) if isinstance(poses, np.ndarray) else 0 for poses in vibe["pose"]]
    starts = np.cumsum([0, *lengths])
    kept = cache_folder(root / CACHE, ["translation"], cache_dir, "uestc-translation") / "translation.npy"
    if kept.is_file():
        rows = np.load(kept, mmap_mode="r", allow_pickle=False)
        if rows.shape != (starts[-1], 3):
            raise InputError(f"{kept} is damaged (shape {list(rows.shape)}); delete that folder")
    else:
        rows = np.zeros((int(starts[-1]), 3), dtype=np.float32)
        for place, (poses, joints, camera) in enumerate(zip(vibe["pose"], vibe["joints3d"], vibe["orig_cam"])):
            sound = vibe_fault(poses, joints) is None and getattr(camera, "shape", None) == (len(poses), 4)
            if sound:
                rows[starts[place] : starts[place + 1]] = camera_translation(joints, camera)
        with atomic_path(kept) as temporary:
            np.save(temporary, rows, allow_pickle=False)
        log.info("translations of %d videos -> %s", len(lengths), kept)
    for place in places:
        yield np.array(rows[starts[place] : starts[place + 1]])
