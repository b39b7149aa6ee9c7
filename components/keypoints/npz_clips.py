"""Keypoints of a clip in an npz file, one file per clip."""

import zipfile
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from components.errors import InputError

_KEYPOINT = ("keypoint", "keypoints")
_SCORE = ("score", "keypoint_score", "scores")
_TOO_LARGE = 1 << 31


class NpzClip(NamedTuple):
    """`keypoint` `[M, T, V, C]` float32, `score` `[M, T, V]` or None, `label` a number, a text or None, `img_shape`
    (height, width) or None where the file states none."""

    keypoint: np.ndarray
    score: np.ndarray | None
    label: int | str | None
    img_shape: tuple[int, int] | None


def read_npz_clip(path: str | Path, third: Literal["z", "score"] = "z") -> NpzClip:
    """Read `keypoint` `[M, T, V, 2|3]` or `[T, V, 2|3]` and what stands beside it: `score`, `label`, `img_shape`.

    Args:
        path: the file.
        third: what a third coordinate is: depth, or the joint's score.

    Raises:
        InputError: the file is missing, broken, hostile, or its arrays do not fit together; names the file.
    """
    path = Path(path)
    try:
        if path.is_file() and not zipfile.is_zipfile(path):
            raise InputError(f"{path}: is no npz file, or a truncated one")
        with np.load(path, allow_pickle=False) as arrays:
            # A small file may claim to hold any amount; all members together must fit into memory.
            if sum(info.file_size for info in arrays.zip.infolist()) > _TOO_LARGE:
                raise InputError(f"{path}: unpacks to more than 2 GiB; expected the keypoints of one clip")
            content = {key: arrays[key] for key in arrays.files}
    except InputError:
        raise
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, MemoryError) as error:
        # Numpy's advice about objects is to read them without protection: not repeated.
        reason = "it holds objects, which are refused" if "allow_pickle" in str(error) else str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read as npz ({reason[:120]})") from error
    name = next((key for key in _KEYPOINT if key in content), None)
    if name is None:
        raise InputError(f"{path}: no array 'keypoint'; it holds {', '.join(sorted(content)[:6]) or 'nothing'}")
    keypoint = _numbers(content[name], path, name)
    if keypoint.ndim == 3:
        keypoint = keypoint[None]
    if keypoint.ndim != 4 or keypoint.shape[3] not in (2, 3) or 0 in keypoint.shape:
        raise InputError(f"{path}: {name} is {list(content[name].shape)}, expected [M, T, V, 2 or 3] or [T, V, 2 or 3]")
    key = next((key for key in _SCORE if key in content), None)
    score = None if key is None else _numbers(content[key], path, key)
    if keypoint.shape[3] == 3 and third == "score":
        if score is not None:
            raise InputError(f"{path}: scores stand in '{key}' and, by dataset.third=score, in {name} too")
        keypoint, score = keypoint[..., :2], keypoint[..., 2]
    if score is not None and score.ndim == 2:
        score = score[None]
    if score is not None and score.shape != keypoint.shape[:3]:
        raise InputError(f"{path}: {key} is {list(score.shape)}, expected {list(keypoint.shape[:3])} as {name}")
    return NpzClip(
        np.ascontiguousarray(keypoint),
        None if score is None else np.nan_to_num(score, posinf=0.0, neginf=0.0),
        _label(content.get("label"), path),
        _shape(content.get("img_shape"), path),
    )


def _numbers(array: np.ndarray, path: Path, key: str) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise InputError(f"{path}: {key} is of type {array.dtype}, expected numbers")
    with np.errstate(over="ignore"):  # what is too large for float32 is refused below
        numbers = array.astype(np.float32)
    if np.isinf(numbers).any():
        raise InputError(f"{path}: {key} holds infinite numbers")
    return numbers


def _label(array: Any, path: Path) -> int | str | None:
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "iuU":
        raise InputError(f"{path}: label is {array.dtype} {list(array.shape)}, expected one whole number or one text")
    value = array.reshape(())[()]
    if array.dtype.kind == "U":
        return str(value)
    if value < 0:
        raise InputError(f"{path}: label is {value}, expected a whole number from 0 on")
    return int(value)


def _shape(array: Any, path: Path) -> tuple[int, int] | None:
    if array is None:
        return None
    if array.shape != (2,) or array.dtype.kind not in "iuf" or not (np.isfinite(array) & (array >= 1)).all():
        raise InputError(f"{path}: img_shape is {array.tolist()!r:.60}, expected (height, width) in pixels")
    return int(array[0]), int(array[1])
