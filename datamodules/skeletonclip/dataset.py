"""Skeleton clips of a split as a map-style dataset, and how their batches are put together."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip
from components.keypoints.heatmaps import EPS, HeatmapVolume
from components.sizes import mib
from datamodules.samplers import Draw
from datamodules.skeletonclip.batch import KeypointBatch, SkeletonBatch, Stage
from datamodules.skeletonclip.pipeline import Clips


class Pipeline(Protocol):
    """What makes clips of one sample out of the keypoints of a whole video, see `TrainPipeline`."""

    size: int

    def __call__(
        self, keypoint: np.ndarray, score: np.ndarray | None, img_shape: tuple[int, int], seed: int
    ) -> Clips: ...


class SkeletonItem(TypedDict):
    """One sample before the batch is put together."""

    keypoint: Tensor
    """`[K, M, T, V, 2]` float32, pixels (x, y)."""
    score: Tensor
    """`[K, M, T, V]` float32."""
    label: int
    index: int


class SkeletonDataset(Dataset):
    """Clips of a split, through a pipeline.

    Args:
        clips: of the split, in its order.
        labels: `[N]` class of each, as the model counts them.
        pipeline: draws the clips of a sample.
        trim: leave out persons of whom nothing is drawn (where heights of blobs are scores).

    Raises:
        InputError: a clip has 3D keypoints.
    """

    def __init__(
        self,
        clips: Sequence[SkeletonClip],
        labels: np.ndarray,
        pipeline: Pipeline,
        trim: bool = True,
    ) -> None:
        self.clips, self.labels = list(clips), np.asarray(labels, dtype=np.int64)
        self.pipeline, self.trim = pipeline, trim
        for clip in self.clips:
            if not clip.planar:
                raise InputError(
                    f"clip '{clip.name}' has 3D keypoints and no img_shape, which heatmaps need: (height, width) in "
                    "pixels.\nProject it with components.keypoints.projection.in_pixels"
                )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, draw: Draw | int) -> SkeletonItem:
        """A sample by its number, or by number and seed."""
        sample, seed = (draw, 0) if isinstance(draw, int) else draw
        clip = self.clips[sample]
        assert clip.img_shape is not None
        drawn = self.pipeline(clip.keypoint, clip.score, clip.img_shape, seed)
        if self.trim and drawn.score.shape[1] > 1:
            drawn = _present(drawn)
        return {
            "keypoint": drawn.keypoint,
            "score": drawn.score,
            "label": int(self.labels[sample]),
            "index": int(sample),
        }


def _present(clips: Clips) -> Clips:
    """Without persons of whom no joint is drawn; the first one stays if there would be none."""
    present = (clips.score >= EPS).any(0).any(-1).any(-1)
    if present.all():
        return clips
    if not present.any():
        present[0] = True
    return Clips(clips.keypoint[:, present], clips.score[:, present])


class SkeletonCollate:
    """Items to a batch: keypoints of all in one array, and with a volume the heatmaps of all in one go.

    Args:
        stage: goes with keypoints that are drawn elsewhere.
        size: side of the canvas, pixels.
        volume: draws here; None leaves that to the accelerator.
    """

    def __init__(self, stage: Stage, size: int, volume: HeatmapVolume | None) -> None:
        self.stage: Stage = stage
        self.size, self.volume = size, volume

    def __call__(self, items: list[SkeletonItem]) -> SkeletonBatch | KeypointBatch:
        keypoint, score = stack_persons([(item["keypoint"], item["score"]) for item in items])
        label = torch.tensor([item["label"] for item in items])
        index = torch.tensor([item["index"] for item in items])
        if self.volume is None:
            return {"keypoint": keypoint, "score": score, "label": label, "index": index, "stage": self.stage}
        _, clips, _, frames, _ = score.shape
        out = _shared((len(items), *self.volume.shape(clips, frames, (self.size, self.size))))
        imgs = self.volume(keypoint, score, (self.size, self.size), out)
        return {"imgs": imgs, "label": label, "index": index}


def stack_persons(samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Keypoints `[B, K, M, T, V, 2]` and scores `[B, K, M, T, V]` of samples with any number of persons.

    M is the largest number; the others are filled up with persons of no coordinates (NaN), which are not drawn.
    """
    most = max(score.shape[1] for _, score in samples)
    first = samples[0][0]
    shape = (len(samples), first.shape[0], most, *first.shape[2:])
    keypoint, scores = first.new_full(shape, torch.nan), first.new_zeros(shape[:-1])
    for place, (points, score) in enumerate(samples):
        keypoint[place, :, : points.shape[1]] = points
        scores[place, :, : score.shape[1]] = score
    return keypoint, scores


def _shared(shape: tuple[int, ...]) -> Tensor | None:
    """Memory that the training process can read where it is: in a worker a batch is not copied on its way."""
    if get_worker_info() is None:
        return None
    size = 4 * int(np.prod(shape))
    try:
        storage = torch.UntypedStorage._new_shared(size)
    except RuntimeError as error:
        raise InputError(
            f"a batch of {mib(size)} does not fit into the shared memory that is free ({error}).\n"
            "Enlarge it (docker run --shm-size=8g), lower data.eval_batch_size and data.num_workers, or choose "
            "data.heatmap.device=accelerator"
        ) from error
    return torch.empty(0, dtype=torch.float32).set_(storage).view(shape)  # type: ignore[call-overload]
