"""Motions of a body as files that other tools read: npz in the manner of AMASS, with SMPL's 24 joints."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from components.body.model import NUM_BETAS, BodyModel, BodyOutput
from components.errors import InputError
from components.files.atomic import atomic_path
from components.geometry.rotations import axis_angle_to_matrix


@dataclass(frozen=True)
class BodyMotion:
    """One motion of one person: y up, metres, the rest pose faces +z."""

    poses: Tensor
    """`[T, 72]` axis-angle of the 24 SMPL joints, global orientation first."""
    trans: Tensor
    """`[T, 3]` translation of the body; all 0 where the motion stays in place."""
    fps: float
    betas: Tensor | None = None
    """`[10]` shape; None = mean shape."""
    gender: str = "neutral"
    action: str = ""
    second_action: str = ""
    """Equal to `action` where only one thing is done."""
    in_place: bool = False
    """The motion has no translation: its height above the floor is unknown."""
    frame_actions: tuple[tuple[str, str], ...] = ()
    """`[T]` action and second action of each frame, where they change on the way; empty where they do not."""

    def pose(self, body: BodyModel) -> BodyOutput:
        """Vertices `[T, V, 3]` and joints `[T, 24, 3]` of a body in this motion, on the body's device."""
        device = body.v_template.device
        rotations = axis_angle_to_matrix(self.poses.to(device).unflatten(-1, (24, 3)))
        betas = None if self.betas is None else self.betas.to(device)
        return body(rotations, betas, self.trans.to(device))

    def joints(self, body: BodyModel) -> Tensor:
        """Joints `[T, 24, 3]` alone: no vertex is touched."""
        device = body.v_template.device
        rotations = axis_angle_to_matrix(self.poses.to(device).unflatten(-1, (24, 3)))
        betas = None if self.betas is None else self.betas.to(device)
        return body.joints(rotations, betas) + self.trans.to(device).unsqueeze(1)


def write_motion(path: str | Path, motion: BodyMotion, joints: Tensor) -> Path:
    """Write an npz of plain arrays: poses, trans, betas, gender, mocap_framerate, fps, joints, action, second_action.

    Where the action changes on the way, `frame_action` and `frame_second_action` `[T]` name it for each frame.

    Args:
        path: ends in `.npz`; appears whole or not at all.
        motion: the motion.
        joints: `[T, 24, 3]` positions with the translation, metres, for readers without a body model.

    Raises:
        InputError: the file cannot be written.
    """
    betas = torch.zeros(NUM_BETAS) if motion.betas is None else motion.betas
    frame_actions: dict[str, Any] = {}
    if motion.frame_actions:
        first, second = zip(*motion.frame_actions)
        frame_actions = {"frame_action": np.array(first), "frame_second_action": np.array(second)}
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            poses=_array(motion.poses),
            trans=_array(motion.trans),
            betas=_array(betas),
            gender=np.array(motion.gender),
            mocap_framerate=np.array(float(motion.fps)),
            fps=np.array(float(motion.fps)),
            joints=_array(joints),
            action=np.array(motion.action),
            second_action=np.array(motion.second_action or motion.action),
            up_axis=np.array("y"),
            **frame_actions,
        )
    return Path(path)


def read_motion(path: str | Path) -> BodyMotion:
    """Read a motion written by `write_motion`, or an npz of AMASS (its first 22 joints; hands at rest, y up assumed).

    Raises:
        InputError: no such file, damaged, or without poses of a fitting shape.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"motion {path}: no such file; expected an npz with 'poses' and 'trans'")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"motion {path} cannot be read ({error}); expected an npz of plain arrays") from error
    poses = arrays.get("poses")
    if poses is None or poses.ndim != 2 or poses.shape[1] < 66 or poses.dtype.kind != "f" or len(poses) == 0:
        found = "nothing" if poses is None else f"{poses.dtype} {list(poses.shape)}"
        raise InputError(f"motion {path}: 'poses' is {found}; expected floats [T, 72] (or [T, 66 and more] of AMASS)")
    if not np.isfinite(poses).all():
        raise InputError(f"motion {path}: 'poses' holds NaN or infinite values")
    body_pose = np.zeros((len(poses), 72), dtype=np.float32)
    kept = 72 if poses.shape[1] == 72 else 66  # longer rows of AMASS go on with fingers, not with SMPL's two hands
    body_pose[:, :kept] = poses[:, :kept]
    trans = np.asarray(arrays.get("trans", np.zeros((len(poses), 3))), dtype=np.float32)
    if trans.shape != (len(poses), 3):
        raise InputError(f"motion {path}: 'trans' is {list(trans.shape)}; expected [{len(poses)}, 3]")
    betas = np.zeros(NUM_BETAS, dtype=np.float32)
    given = np.asarray(arrays.get("betas", betas), dtype=np.float32).reshape(-1)[:NUM_BETAS]
    betas[: len(given)] = given
    action = str(arrays.get("action", ""))
    frame_action = [str(name) for name in np.atleast_1d(arrays.get("frame_action", []))]
    frame_second = [str(name) for name in np.atleast_1d(arrays.get("frame_second_action", frame_action))]
    return BodyMotion(
        torch.from_numpy(body_pose),
        torch.from_numpy(trans),
        float(arrays.get("mocap_framerate", arrays.get("fps", 30.0))),
        torch.from_numpy(betas),
        str(arrays.get("gender", "neutral")),
        action,
        str(arrays.get("second_action", action)),
        in_place=not bool(trans.any()),
        frame_actions=tuple(zip(frame_action, frame_second)),
    )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy()
