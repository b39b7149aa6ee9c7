"""From a skeleton clip of a video to keypoints in the canvas of the network: all steps before the heatmaps."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.keypoints.skeletons import KeypointSkeleton
from datamodules.skeletonclip import pose_transforms
from datamodules.skeletonclip.pose_transforms import Box, Compact, Pose, RandomCrop
from datamodules.skeletonclip.sampling import evaluation_frames, generator_of, sample_frames


class Clips(NamedTuple):
    """Keypoints of the clips of one sample, ready to be drawn."""

    keypoint: Tensor
    """`[K, M, T, V, 2]` float32, pixels (x, y)."""
    score: Tensor
    """`[K, M, T, V]` float32."""


class TrainPipeline:
    """Random frames, compacted, resized, cropped, resized, flipped.

    Args:
        skeleton: says which joints change places in a flip.
        clip_len: frames of a clip.
        num_clips: clips of a sample.
        short_side: of the picture that is cropped, pixels; None leaves out this resize.
        size: side of the result, pixels.
        crop: draws a cut-out; None does not crop.
        flip_prob: chance of a mirrored sample.
        compact: cut down to the persons; None leaves that out.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        skeleton: KeypointSkeleton,
        clip_len: int = 48,
        num_clips: int = 1,
        short_side: int | None = 64,
        size: int = 56,
        crop: RandomCrop | None = None,
        flip_prob: float = 0.5,
        compact: Compact | None = None,
    ) -> None:
        check_sizes(clip_len, num_clips, "train", size, short_side)
        if not 0 <= flip_prob <= 1:
            raise InputError(f"data.flip_prob={flip_prob}: expected a chance in 0..1")
        self.mirror = np.array(skeleton.joint_mirror)
        self.clip_len, self.num_clips = clip_len, num_clips
        self.short_side, self.size = short_side, size
        self.crop, self.flip_prob, self.compact = crop, flip_prob, compact

    def __call__(self, keypoint: np.ndarray, score: np.ndarray | None, img_shape: tuple[int, int], seed: int) -> Clips:
        """Draw one sample.

        Args:
            keypoint: `[M, T, V, C]` of the whole video; the first two coordinates are used.
            score: `[M, T, V]` or None.
            img_shape: (height, width), pixels.
            seed: decides every random choice.
        """
        chance = generator_of(seed)
        frames = sample_frames(keypoint.shape[1], self.clip_len, self.num_clips, chance)
        pose = self._framed(pose_transforms.decode(keypoint, score, img_shape, frames))[-1]
        if self.crop is not None:
            pose = pose_transforms.crop(pose, self.crop.draw(pose.img_shape, chance))
        pose = pose_transforms.resize(pose, self.size, self.size)
        if chance.rand() < self.flip_prob:
            pose = pose_transforms.flip(pose, self.mirror)
        return self.clips(pose)

    def steps(self, pose: Pose, frames: np.ndarray, box: Box, flipped: bool) -> Iterator[Pose]:
        """The pose after every step, with the random choices given: decode, compact, resize, crop, resize, flip."""
        decoded = pose_transforms.decode(*pose, frames)
        yield decoded
        framed = self._framed(decoded)
        yield from framed
        cut = pose_transforms.crop(framed[-1], box)
        yield cut
        final = pose_transforms.resize(cut, self.size, self.size)
        yield final
        yield pose_transforms.flip(final, self.mirror) if flipped else final

    def _framed(self, pose: Pose) -> list[Pose]:
        steps = [self.compact(pose) if self.compact is not None else pose_transforms.without_nan(pose)]
        if self.short_side is not None:
            steps.append(pose_transforms.resize_short_side(steps[0], self.short_side))
        return steps

    def clips(self, pose: Pose) -> Clips:
        """The frames of all clips, clip by clip."""
        return split_clips(pose, self.num_clips)


class EvalPipeline:
    """Several clips per sample at fixed frames, compacted, resized.

    Args:
        clip_len: frames of a clip.
        num_clips: clips of a sample.
        size: side of the result, pixels.
        seed: of the frames; 255 as published.
        compact: cut down to the persons; None leaves that out.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self, clip_len: int = 48, num_clips: int = 10, size: int = 64, seed: int = 255, compact: Compact | None = None
    ) -> None:
        check_sizes(clip_len, num_clips, "eval", size, None)
        if not 0 <= seed < 2**32:
            raise InputError(f"data.sample_seed={seed}: expected a whole number in 0..{2**32 - 1}")
        self.clip_len, self.num_clips, self.size, self.seed, self.compact = clip_len, num_clips, size, seed, compact

    def __call__(
        self, keypoint: np.ndarray, score: np.ndarray | None, img_shape: tuple[int, int], seed: int = 0
    ) -> Clips:
        """The clips of one video; arguments as in `TrainPipeline`, the seed is not used."""
        frames = evaluation_frames(keypoint.shape[1], self.clip_len, self.num_clips, self.seed)
        pose = pose_transforms.decode(keypoint, score, img_shape, frames)
        return split_clips(self._framed(pose)[-1], self.num_clips)

    def steps(self, pose: Pose, frames: np.ndarray) -> Iterator[Pose]:
        """The pose after every step: decode, compact, resize."""
        decoded = pose_transforms.decode(*pose, frames)
        yield decoded
        yield from self._framed(decoded)

    def _framed(self, pose: Pose) -> Sequence[Pose]:
        pose = self.compact(pose) if self.compact is not None else pose_transforms.without_nan(pose)
        return pose, pose_transforms.resize(pose, self.size, self.size)


def split_clips(pose: Pose, num_clips: int) -> Clips:
    """`[M, K*T, V, 2]` to `[K, M, T, V, 2]`: every clip by itself, so that its volume needs no reordering."""
    persons, frames, joints = pose.score.shape
    keypoint = torch.from_numpy(pose.keypoint).view(persons, num_clips, frames // num_clips, joints, 2)
    score = torch.from_numpy(pose.score).view(persons, num_clips, frames // num_clips, joints)
    return Clips(keypoint.transpose(0, 1).contiguous(), score.transpose(0, 1).contiguous())


def check_sizes(clip_len: int, num_clips: int, side: str, size: int, short_side: int | None) -> None:
    """Raise an `InputError` for sizes below 1."""
    if clip_len < 1:
        raise InputError(f"data.clip_len={clip_len}: expected at least 1 frame")
    if num_clips < 1:
        raise InputError(f"data.clips.{side}={num_clips}: expected at least 1 clip")
    if size < 1 or (short_side is not None and short_side < 1):
        raise InputError(f"data.size: {side}={size}, short_side={short_side}; expected at least 1 pixel")
