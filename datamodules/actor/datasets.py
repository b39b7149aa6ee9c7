"""Motions as training samples."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.body.pose_format import PoseFormat, motion_features
from datamodules.actor.batch import MotionItem
from datamodules.actor.clips import MotionClips
from datamodules.actor.frames import FrameSampling, central, random_draw
from datamodules.samplers import Draw


class MotionDataset(Dataset):
    """Clips of a split in the model's representation.

    Args:
        clips: all clips.
        indices: which of them belong to the split.
        pose_format: the representation.
        sampling: which frames are taken.
        centred: take frames without chance (the middle of the clip), for evaluation.
    """

    def __init__(
        self,
        clips: MotionClips,
        indices: np.ndarray,
        pose_format: PoseFormat,
        sampling: FrameSampling,
        centred: bool = False,
    ) -> None:
        self.clips = clips
        self.indices = indices
        self.pose_format = pose_format
        self.sampling = sampling
        self.centred = centred

    @property
    def labels(self) -> np.ndarray:
        """Class of every sample, `[N]` int64."""
        return self.clips.labels[self.indices]

    @property
    def originals(self) -> "MotionDataset":
        """Itself: there are no mixtures among these clips, as there are in a `CompositionalDataset`."""
        return self

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, draw: Draw | int) -> MotionItem:
        index, seed = draw if isinstance(draw, tuple) else (draw, 0)
        clip = self.indices[index]
        chance = central if self.centred else random_draw(seed)
        frames = self.clips.starts[clip] + self.sampling.choose(int(self.clips.lengths[clip]), chance)
        return {"motion": self._features(frames), "action": int(self.clips.labels[clip]), "seed": seed}

    def _features(self, frames: np.ndarray) -> Tensor:
        """`[J, F, T]`; rot6d comes ready from disk, other representations are computed."""
        clips, pose_format = self.clips, self.pose_format
        if pose_format.pose_rep != "rot6d":
            joints = torch.from_numpy(clips.joints[frames])
            return motion_features(torch.from_numpy(clips.poses[frames]), joints[:, 0], joints, pose_format)
        rotations = clips.rot6d[frames]
        if not pose_format.glob:
            rotations = rotations[:, 1:]
        if pose_format.translation:
            row = np.zeros((len(frames), 1, 6), dtype=np.float32)
            root = clips.joints[frames, 0]
            row[:, 0, :3] = root - root[0]
            rotations = np.concatenate([rotations, row], axis=1)
        return torch.from_numpy(rotations).permute(1, 2, 0).contiguous()
