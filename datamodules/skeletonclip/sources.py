"""Clips of skeletons in whatever form users have them: found without being read, read one at a time."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, read_skeleton_set
from components.keypoints.coco_json import CocoClip, read_coco_json
from components.keypoints.npz_clips import read_npz_clip
from components.keypoints.openpose import frame_files, read_openpose_folder
from components.media.video_probe import VIDEO_SUFFIXES
from components.spelling import did_you_mean

Kind = Literal["auto", "pickle", "coco", "openpose", "npz", "videos"]
KINDS = ("auto", "pickle", "coco", "openpose", "npz", "videos")
_PICKLES = (".pkl", ".pickle")
# Class texts beside a pickle.
LABELS = "labels.csv"
_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True)
class SourceOptions:
    """How clips are read.

    Args:
        max_persons: persons of a clip that are kept, where persons are found frame by frame.
        img_shape: (height, width) of clips that state none; None: the smallest picture that holds their joints.
        third: what a third coordinate in npz files is.
        pose: command of the pose estimator, for videos.
        split: of a pickle; None: all its clips.

    Raises:
        InputError: a value out of range.
    """

    max_persons: int = 2
    img_shape: Sequence[int] | None = None
    third: Literal["z", "score"] = "z"
    pose: Callable[[], list[str]] | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_persons <= 100:
            raise InputError(f"max_persons={self.max_persons}: expected 1..100")
        if self.img_shape is not None and (len(self.img_shape) != 2 or min(self.img_shape) < 1):
            raise InputError(f"img_shape={list(self.img_shape)}: expected [height,width] in pixels")
        if self.third not in ("z", "score"):
            raise InputError(f"third='{self.third}' is not one of z, score")


class Reading(NamedTuple):
    """A clip, and the text of its class where the source names it in words."""

    clip: SkeletonClip
    text: str | None = None


@dataclass(frozen=True)
class SourceItem:
    """A clip that can be read.

    Attributes:
        name: unique within its source; for files and folders the path below it, with `/` and without the ending.
        files: what it is read from; a change of them is a change of the clip.
        read: gives the clip; raises `InputError` where it is broken.
        slow: reading takes so long that its result should be kept.
        problems: parts of it that were left out.
    """

    name: str
    files: tuple[Path, ...]
    read: Callable[[], "Reading"]
    slow: bool = False
    problems: tuple[str, ...] = ()

    def problem(self, reason: str) -> str:
        """One line that says what is wrong with the clip; its name stands first, and no path or name again."""
        text = " ".join(reason.split()).removeprefix("video ")
        places = {str(place) for file in self.files for place in (file, file.parent)}
        for known in (*sorted(places, key=len, reverse=True), f"clip '{self.name}'", self.name):
            text = text.removeprefix(f"{known}: ").removeprefix(f"{known} ")
        return f"{self.name}: {text}"


@dataclass(frozen=True)
class Source:
    """Clips of one kind, by name.

    Attributes:
        kind: see `open_source`.
        items: the clips.
        skipped: those that were seen to be broken at once, with the reason.
        splits: of a pickle, the names of its splits' clips.
        texts: of a pickle, the csv of class texts beside it.
    """

    kind: str
    items: list[SourceItem]
    skipped: dict[str, str]
    splits: dict[str, list[str]] = field(default_factory=dict)
    texts: Path | None = None


def open_source(
    path: str | Path, kind: str = "auto", options: SourceOptions | None = None, key: str = "source"
) -> Source:
    """Find the clips of a file or folder.

    | kind | what it is |
    |---|---|
    | pickle | pyskl's annotation pickle, or a folder whose only clips it holds |
    | coco | json with images and annotations |
    | openpose | a folder of json files, one per frame, or folders of such folders |
    | npz | an npz file, or a folder with some |
    | videos | a video file, or a folder with some |

    Raises:
        InputError: nothing there, nothing of a known kind, several kinds, or a file that holds all clips is broken.
    """
    options = options or SourceOptions()
    place = Path(path).expanduser()
    if kind not in KINDS:
        raise InputError(f"kind='{kind}' is not one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    if not place.exists():
        raise InputError(f"{key}={path}: no such file or folder")
    found = _kind(place, key) if kind == "auto" else kind
    if found == "pickle":
        return _pickled(_pickle_of(place, key), options, key)
    if found == "coco":
        items = [_coco(place, clip, options) for clip in read_coco_json(place)]
    elif found == "openpose":
        folders = [place] if frame_files(place) else _openpose_folders(place)
        items = [_openpose(folder, _name(folder, place), options) for folder in folders]
    elif found == "npz":
        items = [_npz(file, _name(file, place), options) for file in _files(place, (".npz",))]
    else:
        items = [_video(file, _name(file, place), options) for file in _files(place, VIDEO_SUFFIXES)]
    if not items:
        raise InputError(f"{key}={path}: holds nothing of kind '{found}'")
    twice = _repeated([item.name for item in items])
    if twice is not None:
        raise InputError(f"{key}={path}: two clips are called '{twice}'; rename one of their files")
    return Source(found, items, {})


def _kind(place: Path, key: str) -> str:
    known = "a .pkl, a COCO .json, .npz files, folders of OpenPose json files, or videos"
    if place.is_file():
        for kind, suffixes in (
            ("pickle", _PICKLES),
            ("coco", (".json",)),
            ("npz", (".npz",)),
            ("videos", VIDEO_SUFFIXES),
        ):
            if place.suffix.lower() in suffixes:
                return kind
        raise InputError(f"{key}={place}: unknown file type '{place.suffix}'; expected {known}")
    kinds = {"npz": _files(place, (".npz",)), "videos": _files(place, VIDEO_SUFFIXES)}
    there = [kind for kind, files in kinds.items() if files]
    if frame_files(place) or _openpose_folders(place):
        there.append("openpose")
    if not there:
        if any(path.suffix.lower() in _PICKLES for path in place.iterdir()):
            return "pickle"
        raise InputError(f"{key}={place}: holds no clips; expected {known}")
    if len(there) > 1:
        raise InputError(f"{key}={place}: holds {' and '.join(there)}; choose one with kind={there[0]}")
    return there[0]


def _pickle_of(place: Path, key: str) -> Path:
    if not place.is_dir():
        return place
    files = sorted(path for path in place.iterdir() if path.suffix.lower() in _PICKLES)
    if len(files) != 1:
        named = f": {', '.join(path.name for path in files[:6])}" if files else ""
        raise InputError(f"{key}={place}: holds {len(files)} pickles{named}; name one, {key}=<file>")
    return files[0]


def _files(place: Path, suffixes: Sequence[str]) -> list[Path]:
    """Files with these endings at or below a place, in the order in which people count; hidden ones are left out."""
    if place.is_file():
        return [place]
    files = (
        path
        for path in place.rglob("*")
        if path.suffix.lower() in suffixes
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(place).parts)
    )
    return sorted(files, key=lambda path: _natural(path.relative_to(place).as_posix()))


def _openpose_folders(place: Path) -> list[Path]:
    return sorted({path.parent for path in _files(place, (".json",))} - {place}, key=lambda path: _natural(str(path)))


def _natural(text: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in _NUMBER.split(text) if part]


def _name(path: Path, place: Path) -> str:
    if path == place:
        return path.stem if path.is_file() else path.name
    relative = path.relative_to(place)
    return (relative.with_suffix("") if path.is_file() else relative).as_posix()


def _repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _pickled(place: Path, options: SourceOptions, key: str) -> Source:
    shape = None if options.img_shape is None else (options.img_shape[0], options.img_shape[1])
    content = read_skeleton_set(place, on_error="skip", img_shape=shape)
    clips = content.clips
    if options.split is not None:
        if options.split not in content.splits:
            known = ", ".join(content.splits) or "it has none"
            raise InputError(
                f"{key}={place} has no split '{options.split}'{did_you_mean(options.split, content.splits)}; {known}"
            )
        chosen = set(content.splits[options.split])
        clips = [clip for clip in clips if clip.name in chosen]
        if not clips:
            raise InputError(f"{key}={place}: split '{options.split}' is empty")
    items = [SourceItem(clip.name, (place,), lambda clip=clip: Reading(clip)) for clip in clips]  # type: ignore[misc]
    texts = place.parent / LABELS
    return Source("pickle", items, dict(content.skipped), content.splits, texts if texts.is_file() else None)


def _coco(place: Path, clip: CocoClip, options: SourceOptions) -> SourceItem:
    def read() -> Reading:
        keypoint, score = clip.arrays(options.max_persons)
        return Reading(_planar(clip.name, keypoint, score, clip.img_shape, options))

    return SourceItem(clip.name, (place,), read, problems=tuple(clip.problems))


def _openpose(folder: Path, name: str, options: SourceOptions) -> SourceItem:
    def read() -> Reading:
        keypoint, score = read_openpose_folder(folder, options.max_persons)
        return Reading(_planar(name, keypoint, score, None, options))

    return SourceItem(name, tuple(path for _, path in frame_files(folder)) or (folder,), read, slow=True)


def _npz(file: Path, name: str, options: SourceOptions) -> SourceItem:
    def read() -> Reading:
        found = read_npz_clip(file, options.third)
        label, text = (None, found.label) if isinstance(found.label, str) else (found.label, None)
        if found.keypoint.shape[3] == 3:
            return Reading(SkeletonClip(name, label, found.keypoint, found.score, None, found.keypoint.shape[1]), text)
        clip = _planar(name, found.keypoint, found.score, found.img_shape, options)
        return Reading(replace(clip, label=label), text)

    return SourceItem(name, (file,), read)


def _video(file: Path, name: str, options: SourceOptions) -> SourceItem:
    def read() -> Reading:
        from components.keypoints.pose_estimation import estimate_video
        from components.media.video_frames import VideoFrames

        assert options.pose is not None
        command = options.pose()
        frames = VideoFrames(file, name)
        try:
            keypoint, score = estimate_video(frames, command, frames.fps, options.max_persons)
            return Reading(SkeletonClip(name, None, keypoint, score, frames.size, len(frames)))
        finally:
            frames.close()

    return SourceItem(name, (file,), read, slow=True)


def _planar(
    name: str, keypoint: np.ndarray, score: np.ndarray | None, shape: tuple[int, int] | None, options: SourceOptions
) -> SkeletonClip:
    """A clip of pixels; where nobody states the size of its pictures it is the smallest that holds its joints."""
    if shape is None and options.img_shape is not None:
        shape = (int(options.img_shape[0]), int(options.img_shape[1]))
    if shape is None:
        reach = np.nan_to_num(keypoint).reshape(-1, 2).max(0, initial=0.0)
        shape = (int(reach[1]) + 2, int(reach[0]) + 2)
    return SkeletonClip(name, None, keypoint, score, shape, keypoint.shape[1])
