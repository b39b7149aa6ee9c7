"""Steps from keypoints in a video to keypoints in the canvas of the network, as PoseConv3D's pipeline makes them.

All of them take and give a `Pose` and leave the one they were given as it is. A joint at exactly (0, 0) is missing; a
single coordinate of exactly 0 is left where it is too, as published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from components.errors import InputError

_CROP_TRIES = 10


class Pose(NamedTuple):
    """Keypoints and the picture that they lie in."""

    keypoint: np.ndarray
    """`[M, T, V, 2]` float32, pixels (x, y)."""
    score: np.ndarray
    """`[M, T, V]` float32."""
    img_shape: tuple[int, int]
    """(height, width), pixels."""


def decode(keypoint: np.ndarray, score: np.ndarray | None, img_shape: tuple[int, int], frames: np.ndarray) -> Pose:
    """The chosen frames (`PoseDecode`); joints without scores are sure."""
    chosen = keypoint[:, frames, :, :2].astype(np.float32)
    if score is None:
        return Pose(chosen, np.ones(chosen.shape[:-1], dtype=np.float32), img_shape)
    return Pose(chosen, score[:, frames].astype(np.float32), img_shape)


def without_nan(pose: Pose) -> Pose:
    """Coordinates and scores that are not numbers become 0: a missing joint."""
    return pose._replace(
        keypoint=np.where(np.isnan(pose.keypoint), np.float32(0), pose.keypoint),
        score=np.where(np.isnan(pose.score), np.float32(0), pose.score),
    )


@dataclass(frozen=True)
class Compact:
    """Cut the picture down to all persons of the clip (`PoseCompact`).

    Args:
        padding: share by which the box grows.
        threshold: a box that is narrower or lower than this is left alone, pixels.
        hw_ratio: least height per width, and least width times this per height; 1 makes a square; None keeps the box.
        allow_imgpad: the box may reach outside of the picture.

    Raises:
        InputError: a value is out of range.
    """

    padding: float = 0.25
    threshold: float = 10
    hw_ratio: float | None = 1.0
    allow_imgpad: bool = True

    def __post_init__(self) -> None:
        if self.padding < 0 or self.threshold < 0:
            raise InputError(
                f"data.compact: padding={self.padding} and threshold={self.threshold} must not be negative"
            )
        if self.hw_ratio is not None and self.hw_ratio <= 0:
            raise InputError(f"data.compact.hw_ratio={self.hw_ratio}: expected a number above 0, or null")

    def __call__(self, pose: Pose) -> Pose:
        """The pose in the box's coordinates; missing numbers become 0."""
        keypoint, score, (height, width) = without_nan(pose)
        x, y = keypoint[..., 0], keypoint[..., 1]
        (left, right), (top, bottom) = _range(x), _range(y)
        if right - left < self.threshold or bottom - top < self.threshold:
            return Pose(keypoint, score, (height, width))
        # Sums and differences in float32, the rest in float64, as numpy did when this was published.
        middle_x, middle_y = float(right + left) / 2, float(bottom + top) / 2
        half_width = float(right - left) / 2 * (1 + self.padding)
        half_height = float(bottom - top) / 2 * (1 + self.padding)
        if self.hw_ratio is not None:
            half_height = max(self.hw_ratio * half_width, half_height)
            half_width = max(1 / self.hw_ratio * half_height, half_width)
        edges = [middle_x - half_width, middle_y - half_height, middle_x + half_width, middle_y + half_height]
        if not self.allow_imgpad:
            edges = [max(0, edges[0]), max(0, edges[1]), min(width, edges[2]), min(height, edges[3])]
        x0, y0, x1, y1 = (int(edge) for edge in edges)
        moved = np.stack([np.where(x != 0, x - np.float32(x0), x), np.where(y != 0, y - np.float32(y0), y)], axis=-1)
        return Pose(moved, score, (max(y1 - y0, 1), max(x1 - x0, 1)))


def _range(values: np.ndarray) -> tuple[np.float32, np.float32]:
    present = values != 0
    return np.min(values, where=present, initial=np.float32(inf)), np.max(
        values, where=present, initial=-np.float32(inf)
    )


def resize(pose: Pose, height: int, width: int) -> Pose:
    """To a picture of exactly this size (`Resize`)."""
    old_height, old_width = pose.img_shape
    factors = np.array([width / old_width, height / old_height], dtype=np.float32)
    return Pose(pose.keypoint * factors, pose.score, (height, width))


def resize_short_side(pose: Pose, short_side: int) -> Pose:
    """Keep the ratio of the sides; the shorter one becomes `short_side` (`Resize` with (-1, short_side))."""
    height, width = pose.img_shape
    scale = short_side / min(height, width)
    return resize(pose, int(height * scale + 0.5), int(width * scale + 0.5))


class Box(NamedTuple):
    """A cut-out, pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class RandomCrop:
    """A cut-out of random area and ratio (`RandomResizedCrop`).

    Args:
        area: smallest and largest share of the picture.
        ratio: smallest and largest width per height.

    Raises:
        InputError: a range is empty or out of bounds.
    """

    area: Sequence[float] = (0.56, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)

    def __post_init__(self) -> None:
        if len(self.area) != 2 or not 0 < self.area[0] <= self.area[1] <= 1:
            raise InputError(f"data.crop.area={list(self.area)}: expected [smallest, largest] share in 0..1")
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1]:
            raise InputError(f"data.crop.ratio={list(self.ratio)}: expected [smallest, largest] width per height")

    def draw(self, img_shape: tuple[int, int], generator: np.random.RandomState) -> Box:
        """The first of ten candidates that fits; the largest square in the middle if none does."""
        height, width = img_shape
        ratios = np.exp(generator.uniform(np.log(self.ratio[0]), np.log(self.ratio[1]), size=_CROP_TRIES))
        areas = generator.uniform(self.area[0], self.area[1], size=_CROP_TRIES) * (height * width)
        widths = np.round(np.sqrt(areas * ratios)).astype(np.int64).tolist()
        heights = np.round(np.sqrt(areas / ratios)).astype(np.int64).tolist()
        for w, h in zip(widths, heights):
            if 0 < w <= width and 0 < h <= height:
                return Box(int(generator.randint(0, width - w + 1)), int(generator.randint(0, height - h + 1)), w, h)
        side = min(height, width)
        return Box((width - side) // 2, (height - side) // 2, side, side)


def crop(pose: Pose, box: Box) -> Pose:
    """Cut out. Missing joints move too, as published: out of the picture, or onto its corner where the box has it."""
    return Pose(pose.keypoint - np.array([box.x, box.y], dtype=np.float32), pose.score, (box.height, box.width))


def flip(pose: Pose, mirror: tuple[int, ...] | np.ndarray) -> Pose:
    """Mirror left and right (`Flip`).

    Args:
        pose: to be mirrored.
        mirror: joint that takes each joint's place, see `KeypointSkeleton.joint_mirror`.
    """
    order = np.asarray(mirror)
    x = pose.keypoint[..., 0]
    mirrored = np.where(x != 0, np.float32(pose.img_shape[1]) - x, x)
    keypoint = np.stack([mirrored, pose.keypoint[..., 1]], axis=-1)
    return Pose(keypoint[..., order, :], pose.score[..., order], pose.img_shape)
