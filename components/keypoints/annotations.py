"""Skeleton annotations in pyskl's pickle format: a dict of named splits and one dict per clip.

Clips keep the number type of the file (float16 in published ones): whoever draws frames from a clip converts those
frames to float32, so that a data set takes no more memory than its file.
"""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.files.atomic import atomic_path
from components.files.safe_pickle import load_pickle
from components.keypoints.skeletons import KeypointSkeleton, check_joints

# So many faults, and clips of each, are named in a message; the rest is counted.
_NAMED = 3


@dataclass(frozen=True, eq=False)
class SkeletonClip:
    """Keypoints of one video.

    Args:
        name: id of the clip, what splits name. Not a safe file name.
        label: class, from 0 on; None: not annotated.
        keypoint: `[M, T, V, C]` floating, as stored (float16 or float32), perhaps read-only: M persons, C = 2 pixels
            (x, y) or 3 metres. Zeros stand for what was not seen, NaN may.
        score: `[M, T, V]` confidence of each joint; None: 1 everywhere.
        img_shape: (height, width) in pixels; None for 3D keypoints.
        total_frames: T.

    Raises:
        InputError: shapes that do not fit together, a negative label.
    """

    name: str
    label: int | None
    keypoint: np.ndarray
    score: np.ndarray | None
    img_shape: tuple[int, int] | None
    total_frames: int

    def __post_init__(self) -> None:
        fault = _fault(self)
        if fault is not None:
            raise InputError(f"clip '{self.name}': {fault}")

    @property
    def num_persons(self) -> int:
        """M."""
        return self.keypoint.shape[0]

    @property
    def num_joints(self) -> int:
        """V."""
        return self.keypoint.shape[2]

    @property
    def shows_somebody(self) -> bool:
        """Whether any joint of any frame was seen."""
        # The first frame tells it of nearly every clip.
        return any(bool(np.any(np.nan_to_num(part))) for part in (self.keypoint[:, :1], self.keypoint))

    @property
    def planar(self) -> bool:
        """Whether the keypoints are pixels; else they are 3D."""
        return self.keypoint.shape[3] == 2


@dataclass(frozen=True, eq=False)
class SkeletonSet:
    """Clips in the order of the file, and names of clips by split.

    Args:
        clips: at least the ones that could be read.
        splits: split name -> clip names. May name clips that are not there.
        skipped: clips that were left out, with the reason.
        source: the file, for messages.
    """

    clips: list[SkeletonClip]
    splits: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    source: str = "the skeleton set"

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def labels(self) -> np.ndarray:
        """`[N]` int64 class of every clip, -1 where there is none."""
        return np.array([-1 if clip.label is None else clip.label for clip in self.clips], dtype=np.int64)


def read_skeleton_set(
    path: str | Path,
    skeleton: KeypointSkeleton | None = None,
    *,
    on_error: Literal["skip", "raise"] = "raise",
    img_shape: tuple[int, int] | None = None,
) -> SkeletonSet:
    """Read a pyskl annotation pickle, or a bare list of annotations (which then has no splits).

    Args:
        path: of the pickle. Only numpy arrays and plain containers are admitted, nothing in it is run.
        skeleton: clips must have its joints; None: any, but all the same number.
        on_error: a broken clip stops the reading (`raise`), or is left out and listed in `skipped` (`skip`).
        img_shape: (height, width) of 2D clips that state none.

    Raises:
        InputError: the file is missing, truncated, hostile or of another form; a clip is broken and `on_error=raise`;
            no clip is left.
    """
    path = Path(path).expanduser()
    if on_error not in ("skip", "raise"):
        raise InputError(f"data.on_error='{on_error}' is not one of skip, raise")
    splits, annotations = _sections(path, load_pickle(path, share_bytes=True))
    id_key = "filename" if isinstance(annotations[0], Mapping) and "filename" in annotations[0] else "frame_dir"
    clips: list[SkeletonClip] = []
    skipped: dict[str, str] = {}
    names: dict[str, int] = {}
    joints = None if skeleton is None else skeleton.num_joints
    for number in range(len(annotations)):
        name = f"annotation {number}"
        try:
            name = _name(annotations[number], id_key)
            if name in names:
                reason = f"its name is that of annotation {names[name]} too"
                name = f"{name} (annotation {number})"
                raise InputError(reason)
            clip = _clip(annotations[number], name, img_shape)
            if skeleton is not None:
                check_joints(skeleton, clip.num_joints, "keypoint")
            elif joints is not None and clip.num_joints != joints:
                raise InputError(f"keypoint has {clip.num_joints} joints, the clips before it have {joints}")
            joints = clip.num_joints
        except InputError as error:
            skipped[name] = clip_fault(name, error)
        else:
            names[name] = number
            clips.append(clip)
        # Its arrays live on in the clip alone.
        annotations[number] = None
    if skipped:
        report_broken(str(path), skipped, len(annotations), on_error)
    return SkeletonSet(clips, splits, skipped, str(path))


def write_skeleton_set(path: str | Path, content: SkeletonSet | Iterable[SkeletonClip]) -> Path:
    """Write clips and splits as a pyskl annotation pickle of numpy arrays and plain containers, atomically.

    Number types are kept; give float16 for small files.

    Raises:
        InputError: two clips have one name, a split names a clip that is not there, or the file cannot be written.
    """
    path = Path(path).expanduser()
    skeletons = content if isinstance(content, SkeletonSet) else SkeletonSet(list(content))
    names = {clip.name for clip in skeletons.clips}
    if len(names) < len(skeletons.clips):
        raise InputError(f"{path} is not written: {len(skeletons.clips)} clips have {len(names)} different names")
    for split, members in skeletons.splits.items():
        absent = next((name for name in members if name not in names), None)
        if absent is not None:
            raise InputError(f"{path} is not written: split '{split}' names the clip '{absent}', which is not there")
    annotations = [_annotation(clip) for clip in skeletons.clips]
    splits = {str(split): [str(name) for name in members] for split, members in skeletons.splits.items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pickle.dump({"split": splits, "annotations": annotations}, file, protocol=4)
    return path


def _sections(path: Path, content: Any) -> tuple[dict[str, list[str]], list[Any]]:
    """Splits and annotations of a file's content."""
    splits: Any = {}
    annotations = content
    if isinstance(content, Mapping):
        splits, annotations = content.get("split", {}), content.get("annotations")
    if isinstance(annotations, tuple):
        annotations = list(annotations)
    if not isinstance(annotations, list) or not isinstance(splits, Mapping):
        found = f"a dict of {', '.join(map(str, list(content)[:8]))}" if isinstance(content, Mapping) else "no dict"
        raise InputError(
            f"{path} holds {found}; expected pyskl's form: a dict with 'split' (name -> list of clip names) and "
            "'annotations' (a list of dicts), or that list alone"
        )
    if not annotations:
        raise InputError(f"{path} has no annotations: it holds no clip")
    named: dict[str, list[str]] = {}
    for split, members in splits.items():
        listed = members.tolist() if isinstance(members, np.ndarray) else members
        if not isinstance(listed, list | tuple | set) or not all(isinstance(name, str) for name in listed):
            raise InputError(f"{path}: split '{split}' must be a list of clip names")
        named[str(split)] = sorted(map(str, listed)) if isinstance(listed, set) else [str(name) for name in listed]
    return named, annotations


def _name(annotation: Any, id_key: str) -> str:
    if not isinstance(annotation, Mapping):
        raise InputError(f"it is a {type(annotation).__name__}, not a dict")
    name = annotation.get(id_key)
    if not isinstance(name, str) or not name:
        raise InputError(f"its '{id_key}' is {name!r}, expected the clip's name")
    return str(name)


def _clip(annotation: Mapping[str, Any], name: str, default_shape: tuple[int, int] | None) -> SkeletonClip:
    """A clip from its annotation; shapes are checked by `SkeletonClip`, here what only the file can get wrong."""
    keypoint = annotation.get("keypoint")
    if keypoint is None and "raw_file" in annotation:
        raise InputError("its keypoints lie in a file of their own (raw_file), which is not read")
    keypoint = _floats(keypoint, "keypoint")
    score = annotation.get("keypoint_score")
    score = None if score is None else _floats(score, "keypoint_score")
    label = annotation.get("label")
    if label is not None and (isinstance(label, bool | np.bool_) or not isinstance(label, int | np.integer)):
        raise InputError(f"its label is {label!r} ({type(label).__name__}), expected a whole number from 0 on")
    total = annotation.get("total_frames", keypoint.shape[1] if keypoint.ndim > 1 else 0)
    if not isinstance(total, int | np.integer):
        raise InputError(f"its total_frames is {total!r}, expected a whole number")
    shape = annotation.get("img_shape")
    planar = keypoint.ndim == 4 and keypoint.shape[3] == 2
    pair = default_shape if shape is None and planar else _image_shape(shape)
    if planar and pair is None:
        raise InputError(
            "it has no img_shape: (height, width) of its pictures, which heatmaps need "
            "(or state one for all clips with data.img_shape=[height,width])"
        )
    return SkeletonClip(name, None if label is None else int(label), keypoint, score, pair, int(total))


def _floats(values: Any, key: str) -> np.ndarray:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiu":
        found = f"an array of {values.dtype}" if isinstance(values, np.ndarray) else f"{type(values).__name__}"
        raise InputError(f"its {key} is {found}, expected an array of numbers")
    # Halves and singles stay as they are; whole numbers and doubles bring nothing but their size.
    if values.dtype in (np.float16, np.float32):
        return values
    with np.errstate(over="ignore"):  # what becomes infinite is a fault of the clip
        return values.astype(np.float32)


def _image_shape(shape: Any) -> tuple[int, int] | None:
    if shape is None:
        return None
    sides = shape.tolist() if isinstance(shape, np.ndarray) else shape
    if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(_is_size(side) for side in sides):
        raise InputError(f"its img_shape is {shape!r}, expected (height, width) in pixels")
    return int(sides[0]), int(sides[1])


def _is_size(side: Any) -> bool:
    return isinstance(side, int | float | np.integer | np.floating) and bool(0 < side < 1e6 and int(side) == side)


def _fault(clip: SkeletonClip) -> str | None:
    """What is wrong with the shapes of a clip."""
    shape = clip.keypoint.shape
    if len(shape) != 4 or shape[3] not in (2, 3) or 0 in shape:
        hint = "; one person needs the person axis too" if len(shape) == 3 else ""
        return f"keypoint is {list(shape)}, expected [persons, frames, joints, 2 or 3]{hint}"
    if clip.total_frames != shape[1]:
        return f"total_frames is {clip.total_frames}, but keypoint has {shape[1]} frames"
    if clip.score is not None and clip.score.shape != shape[:3]:
        return f"keypoint_score is {list(clip.score.shape)}, expected {list(shape[:3])} as keypoint"
    if clip.label is not None and clip.label < 0:
        return f"label is {clip.label}, expected a whole number from 0 on"
    if shape[3] == 3 and clip.img_shape is not None:
        return "keypoint has 3 coordinates and an img_shape; a score belongs into keypoint_score, 3D has no img_shape"
    if shape[3] == 2 and clip.img_shape is None:
        return "2D keypoints need img_shape, (height, width) in pixels"
    if np.isinf(clip.keypoint).any():
        return "keypoint holds infinite coordinates"
    if clip.score is not None and np.isinf(clip.score).any():
        return "keypoint_score holds infinite scores"
    return None


def _annotation(clip: SkeletonClip) -> dict[str, Any]:
    annotation: dict[str, Any] = {"frame_dir": clip.name, "total_frames": clip.total_frames, "keypoint": clip.keypoint}
    if clip.label is not None:
        annotation["label"] = clip.label
    if clip.score is not None:
        annotation["keypoint_score"] = clip.score
    if clip.img_shape is not None:
        annotation |= {"img_shape": clip.img_shape, "original_shape": clip.img_shape}
    return annotation


def clip_fault(name: str, error: InputError) -> str:
    """What is wrong with a clip, without its name."""
    return str(error).removeprefix(f"clip '{name}': ")


def report_broken(source: str, skipped: Mapping[str, str], total: int, on_error: str) -> None:
    """Raise an `InputError` that names broken clips by cause, unless they may be left out and some whole ones remain.

    Args:
        source: file of the clips.
        skipped: broken clip -> reason.
        total: clips there were.
        on_error: the policy.
    """
    if on_error == "skip" and len(skipped) < total:
        return
    causes: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        causes.setdefault(reason, []).append(name)
    lines = [f"{_some(names)}: {reason}" for reason, names in list(causes.items())[:_NAMED]]
    more = f"; and {len(causes) - _NAMED} other faults" if len(causes) > _NAMED else ""
    advice = "" if len(skipped) == total else "\nMend them, or leave them out with data.on_error=skip"
    raise InputError(f"{source}: {len(skipped)} of {total} clips are broken: {'; '.join(lines)}{more}{advice}")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
