"""Motion files of others, read into one form: BVH, npz of AMASS, pickles of SMPL parameters."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.body.bvh import read_bvh
from components.body.joint_names import read_joint_map
from components.body.retargeting import Reference, retarget
from components.errors import InputError
from components.files.safe_pickle import load_pickle
from components.geometry import rotations as rot

Kind = Literal["bvh", "amass", "smpl"]
Up = Literal["auto", "y", "z", "-y"]
SUFFIXES: dict[str, Kind] = {".bvh": "bvh", ".npz": "amass", ".pkl": "smpl", ".pickle": "smpl"}
# Files of AMASS that hold no motion.
_NO_MOTION = ("shape.npz", "neutral_stagei.npz", "male_stagei.npz", "female_stagei.npz")
# Widths of `poses`: SMPL without hands, SMPL, SMPL-H, SMPL-X without and with eyes. All begin with the same 22 joints.
_WIDTHS = (66, 72, 156, 159, 165)
_FPS_KEYS = ("mocap_framerate", "mocap_frame_rate", "fps", "frame_rate")
# Turns the axes of a file into those of the camera: x right, y down, z away.
_TO_CAMERA: dict[str, list[list[float]]] = {
    "y": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "z": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "-y": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}
_UP = {"y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0), "-y": (0.0, -1.0, 0.0)}


class SourceMotion(NamedTuple):
    """A motion of the SMPL skeleton."""

    rotations: Tensor
    """`[T, 24, 3, 3]` local rotations, float64."""
    root: Tensor
    """`[T, 3]` pelvis, metres."""
    fps: float


def find_files(folder: Path, kind: Kind | Literal["auto"] = "auto") -> tuple[Kind, list[Path]]:
    """The motion files below a folder, sorted, and what they are.

    Raises:
        InputError: no such folder, no motion files, or files of several kinds and none chosen.
    """
    if not folder.is_dir():
        raise InputError(f"dataset.source={folder}: no such folder; expected one with .bvh, .npz or .pkl files")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and path.name not in _NO_MOTION and path.is_file() and not hidden:
            files.setdefault(SUFFIXES[path.suffix.lower()], []).append(path)
    found: Any = list(files) if kind == "auto" else [kind] if kind in files else []
    if not found:
        wanted = ".bvh, .npz or .pkl" if kind == "auto" else kind
        raise InputError(f"dataset.source={folder} holds no {wanted} files")
    if len(found) > 1:
        counts = ", ".join(f"{len(paths)} {name}" for name, paths in files.items())
        raise InputError(f"dataset.source={folder} holds {counts} files; choose with dataset.kind={found[0]}")
    return found[0], files[found[0]]


def read_source(
    path: Path,
    kind: Kind,
    rest_joints: Tensor,
    fps: float | None = None,
    joint_map: str | None = None,
    reference: Reference = "auto",
) -> SourceMotion:
    """Read one file.

    Args:
        path: the file.
        kind: what it is.
        rest_joints: `[24, 3]` SMPL joints at rest, y up, metres.
        fps: frames per second, for files that do not say; it also replaces what they say.
        joint_map: YAML file `smpl joint: joint of the file`, for BVH.
        reference: reference pose of the retargeting, for BVH.

    Raises:
        InputError: the file is missing, damaged, hostile, or lacks something; the message says what.
    """
    if kind == "bvh":
        motion = read_bvh(path)
        matched = None if joint_map is None else read_joint_map(joint_map, motion.names)
        try:
            result = retarget(motion, rest_joints, matched, reference)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return SourceMotion(result.rotations, result.root, fps or motion.fps)
    content = _read_npz(path) if kind == "amass" else load_pickle(path)
    if not isinstance(content, Mapping):
        raise InputError(f"{path} holds a {type(content).__name__}, expected a dict of SMPL parameters")
    poses = _poses(path, content)
    trans = _trans(path, content, len(poses))
    rotations = _rotations(path, poses)
    return SourceMotion(rotations, torch.from_numpy(trans) + rest_joints[0].double(), _fps(path, content, fps))


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            wanted = {"poses", "trans", "transl", *_FPS_KEYS}
            return {key: file[key] for key in file.files if key in wanted}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        # numpy's own advice would run what the file holds.
        reason = "no npz, or one of pickled objects" if "allow_pickle" in str(error) else error
        raise InputError(f"{path} cannot be read ({reason}); expected an npz of plain arrays") from error


def _numbers(path: Path, key: str, value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim < 2 or len(value) == 0:
        found = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
        raise InputError(f"{path}: '{key}' is {found}, expected an array of numbers with one row per frame")
    array = value.astype(np.float64)
    finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if not finite.all():
        raise InputError(
            f"{path}: '{key}' has NaN or infinity in {int((~finite).sum())} frame(s), first in {finite.argmin()}"
        )
    return array


def _poses(path: Path, content: Mapping[str, Any]) -> np.ndarray:
    """`[T, 66 and more]` axis-angle, or `[T, J, 3, 3]` matrices."""
    for key in ("poses", "pose", "smpl_poses", "fullpose"):
        if key in content:
            return _flat(path, key, _numbers(path, key, content[key]))
    if "body_pose" in content and "global_orient" in content:
        body, root = (_numbers(path, key, content[key]) for key in ("body_pose", "global_orient"))
        if len(body) != len(root):
            raise InputError(f"{path}: body_pose has {len(body)} frames, global_orient {len(root)}")
        if body.ndim == 4 and body.shape[2:] == (3, 3):
            return _flat(path, "body_pose", np.concatenate([root.reshape(len(root), -1, 3, 3), body], axis=1))
        joined = np.concatenate([root.reshape(len(root), -1), body.reshape(len(body), -1)], axis=1)
        return _flat(path, "global_orient and body_pose", joined)
    found = ", ".join(map(str, content)) or "nothing"
    raise InputError(f"{path} has no poses (found {found}); expected 'poses', or 'body_pose' and 'global_orient'")


def _flat(path: Path, key: str, poses: np.ndarray) -> np.ndarray:
    if poses.ndim == 4 and poses.shape[1] >= 22 and poses.shape[2:] == (3, 3):
        return poses
    flat = poses.reshape(len(poses), -1)
    if poses.ndim > 3 or flat.shape[1] not in _WIDTHS:
        raise InputError(
            f"{path}: '{key}' has shape {list(poses.shape)}, expected [T, 72] of SMPL, [T, 156] of SMPL-H or [T, 165] "
            "of SMPL-X (axis-angle)"
        )
    return flat


def _rotations(path: Path, poses: np.ndarray) -> Tensor:
    """`[T, 24, 3, 3]`; hands stay at rest where the file has fingers instead."""
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(poses), 24, 1, 1)
    if poses.ndim == 4:
        kept = 24 if poses.shape[1] == 24 else 22
        given = torch.from_numpy(poses[:, :kept])
        identity = given @ given.transpose(-1, -2)
        if not torch.allclose(identity, torch.eye(3, dtype=torch.float64).expand_as(identity), atol=1e-3):
            raise InputError(f"{path}: its [T, J, 3, 3] poses are no rotation matrices")
        matrices[:, :kept] = given
        return matrices
    kept = 24 if poses.shape[1] == 72 else 22
    vectors = torch.from_numpy(poses[:, : 3 * kept]).unflatten(1, (kept, 3))
    matrices[:, :kept] = rot.axis_angle_to_matrix(vectors)
    return matrices


def _trans(path: Path, content: Mapping[str, Any], frames: int) -> np.ndarray:
    for key in ("trans", "transl", "smpl_trans"):
        if key in content:
            trans = _numbers(path, key, content[key])
            if trans.shape != (frames, 3):
                raise InputError(f"{path}: '{key}' has shape {list(trans.shape)}, expected [{frames}, 3]")
            # AIST++ writes its translation in units of its scaling.
            scaling = np.asarray(content.get("smpl_scaling", 1.0), dtype=np.float64).reshape(-1)
            return trans / scaling[0] if key == "smpl_trans" else trans
    return np.zeros((frames, 3))


def _fps(path: Path, content: Mapping[str, Any], fps: float | None) -> float:
    if fps is not None:
        return fps
    for key in _FPS_KEYS:
        if key in content:
            try:
                value = float(np.asarray(content[key]).reshape(-1)[0])
            except (ValueError, TypeError, IndexError):
                value = 0.0
            if not 1 <= value <= 1000:
                raise InputError(f"{path}: '{key}' is no frame rate between 1 and 1000; set dataset.fps=...")
            return value
    raise InputError(f"{path} does not say its frame rate ({', '.join(_FPS_KEYS[:3])}); set dataset.fps=...")


def find_up(motion: SourceMotion) -> Up:
    """Which axis of a file points up: along the trunk of a person who is upright most of the time.

    Raises:
        InputError: the person is not.
    """
    trunk = motion.rotations[:, 0, :, 1].mean(0)
    heights = {axis: float(trunk @ torch.tensor(vector, dtype=trunk.dtype)) for axis, vector in _UP.items()}
    best = max(heights, key=lambda axis: heights[axis])
    if heights[best] < 0.75:
        raise InputError(
            "the person is not upright, so that no axis shows as the vertical one; set dataset.up=y, z or -y"
        )
    return best  # type: ignore[return-value]


def to_camera(motion: SourceMotion, up: Up) -> SourceMotion:
    """The motion in the axes of the camera: x right, y down, z away."""
    axes = torch.tensor(_TO_CAMERA[find_up(motion) if up == "auto" else up], dtype=torch.float64)
    rotations = motion.rotations.clone()
    rotations[:, 0] = axes @ rotations[:, 0]
    return SourceMotion(rotations, motion.root @ axes.T, motion.fps)


def resample(motion: SourceMotion, fps: float) -> SourceMotion:
    """The motion at another frame rate: rotations along great arcs, positions linearly; starts in the same frame."""
    frames = len(motion.rotations)
    if frames == 1 or abs(motion.fps - fps) < 1e-3 * fps:
        return SourceMotion(motion.rotations, motion.root, fps)
    # Files round their frame time: the last frame is not lost to that.
    count = int((frames - 1) / motion.fps * fps + 1e-2) + 1
    time = torch.arange(count, dtype=torch.float64) * (motion.fps / fps)
    before = time.floor().long().clamp(max=frames - 2)
    weight = (time - before)[:, None].clamp(max=1.0)
    quaternions = rot.matrix_to_quaternion(motion.rotations)
    between = rot.slerp(quaternions[before], quaternions[before + 1], weight[:, None])
    return SourceMotion(
        rot.quaternion_to_matrix(between), torch.lerp(motion.root[before], motion.root[before + 1], weight), fps
    )


def face_camera(motion: SourceMotion) -> SourceMotion:
    """The motion, in camera axes, turned about the vertical so that its first frame looks at the camera."""
    forward = motion.rotations[0, 0, :, 2]
    turn = rot.axis_rotation("Y", torch.atan2(-forward[0], -forward[2]).neg())
    rotations = motion.rotations.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    return SourceMotion(rotations, motion.root @ turn.T, motion.fps)
