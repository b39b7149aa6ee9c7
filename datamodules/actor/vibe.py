"""What NTU13 and UESTC share: poses and joints estimated from video by VIBE, of which ACTOR keeps 18 joints."""

from pathlib import Path

import numpy as np

from components.errors import InputError
from datamodules.actor.clips import pose_fault

VIBE_JOINTS = 49
# The joints of Action2Motion among the 49 of VIBE (first 25: OpenPose), the root (8) moved to the front.
A2M_JOINTS: tuple[int, ...] = (8, 1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 21, 24, 38)


def vibe_fault(poses: object, joints: object) -> str | None:
    """What is wrong with the arrays of one motion (poses `[T, 72]`, joints `[T, 49, 3]`), None if nothing."""
    return pose_fault(poses, joints, VIBE_JOINTS, ("pose", "joints3d"))


def read_lines(path: Path, advice: str) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        InputError: it cannot be read; `advice` tells what belongs there.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"data.root: cannot read {path} ({error}); {advice}") from error


def select_joints(joints: np.ndarray) -> np.ndarray:
    """`[T, 49, 3]` to the 18 joints `[T, 18, 3]`, root first."""
    return joints[:, A2M_JOINTS]
