"""Where the joints of COCO-17 stand in the joint orders that pose estimators write, and what is made of them."""

from dataclasses import replace
from typing import Literal

import numpy as np

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip
from components.keypoints.skeletons import SKELETONS, KeypointSkeleton, check_joints
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


# Of each joint of another skeleton the joints of COCO-17 that it lies in the middle of.
_JHMDB15_FROM_COCO17: tuple[tuple[int, ...], ...] = (
    (5, 6), (5, 6, 11, 12), (0,), (6,), (5,), (12,), (11,), (8,), (7,), (14,), (13,), (10,), (9,), (16,), (15,)
)  # fmt: skip


def fit_joints(clip: SkeletonClip, skeleton: KeypointSkeleton) -> SkeletonClip:
    """The clip with the joints of a skeleton: COCO-17 becomes JHMDB's 15, whose neck and belly lie between others.

    A joint that lies between others is as sure as the least sure of them, and missing where one of them is.

    Raises:
        InputError: the clip has another number of joints, and there is no such way from one to the other.
    """
    derived = clip.num_joints == 17 and skeleton.joints == SKELETONS["jhmdb15"].joints
    if not derived or clip.keypoint.shape[3] != 2:
        check_joints(skeleton, clip.num_joints, f"clip '{clip.name}'")
        return clip
    points = np.nan_to_num(clip.keypoint.astype(np.float32))
    seen = (points != 0).any(-1)
    score = np.ones(seen.shape, np.float32) if clip.score is None else clip.score.astype(np.float32)
    score = np.where(seen, score, 0)
    groups = [list(group) for group in _JHMDB15_FROM_COCO17]
    found = np.stack([score[..., group].min(-1) for group in groups], axis=-1)
    middle = np.stack([points[..., group, :].mean(-2) for group in groups], axis=-2)
    middle[found <= 0] = 0
    return replace(clip, keypoint=middle, score=found)
