"""Where the joints of COCO-17 stand in the joint orders that pose estimators write."""

from typing import Literal

import numpy as np

from components.errors import InputError
from components.spelling import did_you_mean

JointOrder = Literal["coco17", "body25", "openpose18", "mediapipe33"]
# Entry i: which joint of the other order is joint i of COCO-17 (nose, eyes, ears, shoulders, elbows, wrists, hips,
# knees, ankles; left before right). Sources: OpenPose doc/02_output.md, MediaPipe Pose.
COCO17_FROM: dict[str, tuple[int, ...]] = {
    "coco17": tuple(range(17)),
    "body25": (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
    "openpose18": (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
    "mediapipe33": (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28),
}
JOINT_COUNTS: dict[str, int] = {"coco17": 17, "body25": 25, "openpose18": 18, "mediapipe33": 33}


def to_coco17(joints: np.ndarray, order: str) -> np.ndarray:
    """Joints `[..., J, C]` of a known order as COCO-17 `[..., 17, C]`.

    Raises:
        InputError: an unknown order, or another number of joints than it has.
    """
    if order not in COCO17_FROM:
        raise InputError(
            f"joint order '{order}' is not one of {', '.join(COCO17_FROM)}{did_you_mean(order, COCO17_FROM)}"
        )
    if joints.shape[-2] != JOINT_COUNTS[order]:
        raise InputError(f"found {joints.shape[-2]} joints; the order {order} has {JOINT_COUNTS[order]}")
    return joints[..., list(COCO17_FROM[order]), :]
