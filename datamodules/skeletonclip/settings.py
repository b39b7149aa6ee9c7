"""Groups of data settings, checked where they are made."""

from dataclasses import dataclass, fields
from typing import Literal

from components.errors import InputError


@dataclass(frozen=True)
class ClipCounts:
    """Clips that a sample gives in each stage.

    Raises:
        InputError: a number below 1.
    """

    train: int = 1
    val: int = 10
    test: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            _at_least_one("data.clips", field.name, getattr(self, field.name))


@dataclass(frozen=True)
class DoubleFlip:
    """Whether an evaluation sees every clip mirrored too."""

    val: bool = False
    test: bool = True


@dataclass(frozen=True)
class CanvasSizes:
    """Sides of pictures, pixels.

    Args:
        short_side: in training, of the picture that is cropped; None crops what compacting has left.
        train: of the heatmaps in training.
        eval: of the heatmaps in evaluation.

    Raises:
        InputError: a number below 1.
    """

    short_side: int | None = 64
    train: int = 56
    eval: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) is not None:
                _at_least_one("data.size", field.name, getattr(self, field.name))


@dataclass(frozen=True)
class Heatmap:
    """How keypoints are drawn, see `HeatmapVolume`.

    Args:
        kind: a channel per joint or per limb.
        sigma: width of a blob, pixels.
        use_score: blobs are as high as the joints are sure.
        device: who draws: the `worker` that loads, or the `accelerator`, to which only keypoints travel.

    Raises:
        InputError: a value is out of range.
    """

    kind: Literal["keypoint", "limb"] = "keypoint"
    sigma: float = 0.6
    use_score: bool = True
    device: Literal["worker", "accelerator"] = "worker"

    def __post_init__(self) -> None:
        if self.kind not in ("keypoint", "limb"):
            raise InputError(f"data.heatmap.kind='{self.kind}' is not one of keypoint, limb")
        if not self.sigma > 0:
            raise InputError(f"data.heatmap.sigma={self.sigma}: expected a width above 0 pixels")
        if self.device not in ("worker", "accelerator"):
            raise InputError(f"data.heatmap.device='{self.device}' is not one of worker, accelerator")


def _at_least_one(group: str, key: str, value: int) -> None:
    if value < 1:
        raise InputError(f"{group}.{key}={value}: expected at least 1")
