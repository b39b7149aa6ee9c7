"""What a batch of skeleton clips is: the only thing that the data side and the model side of skeletonclip share."""

from typing import Literal, TypedDict

from torch import Tensor

Stage = Literal["train", "val", "test"]


class SkeletonBatch(TypedDict, total=False):
    """A batch as the model sees it."""

    imgs: Tensor
    """`[B, N, V, T, H, W]` float32, N clips of every sample; with double flip the plain clips come first, then the
    mirrored ones in the same order. V is the number of joints, or of limbs."""
    label: Tensor
    """`[B]` int64, class of every sample."""
    index: Tensor
    """`[B]` int64, number of every sample in its split (repeats of a sample have the same one)."""


class KeypointBatch(TypedDict):
    """A batch whose volumes are not built yet: what a loader gives with `heatmap.device=accelerator`.

    Samples with fewer persons than others are filled up with persons without any joint: score 0.
    """

    keypoint: Tensor
    """`[B, K, M, T, V, 2]` float32, pixels (x, y) in the canvas of the stage; K clips, M persons."""
    score: Tensor
    """`[B, K, M, T, V]` float32, confidence of every joint."""
    label: Tensor
    """`[B]` int64."""
    index: Tensor
    """`[B]` int64."""
    stage: Stage
    """Decides canvas and double flip."""
