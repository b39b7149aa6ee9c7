"""Scores of DAVIS-2017, semi-supervised: region J, boundary F, and their mean, recall and decay over a sequence.

Source: Perazzi et al. 2016 and Pont-Tuset et al. 2017 (arXiv:1704.00675), section "Evaluation metrics"; numbers as of
the published evaluation code, except that the quarters of decay are whole numbers (there they wrap beyond 255 frames).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from components.errors import InputError
from components.media.mask_sequences import VOID

# Of the image's diagonal: how far apart two boundaries may lie.
BOUNDARY_TOLERANCE = 0.008
# A frame counts for recall from here on (more than).
RECALL_THRESHOLD = 0.5
GLOBAL_COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


class Summary(NamedTuple):
    """One measure of one object over the scored frames of its sequence."""

    mean: float
    recall: float
    decay: float


class ObjectScores(NamedTuple):
    """Both measures of one object; `j` and `f` are float64 `[scored frames]`."""

    object_id: int
    j: np.ndarray
    f: np.ndarray

    def row(self) -> tuple[float, ...]:
        """J mean, recall, decay, F mean, recall, decay."""
        return (*summarize(self.j), *summarize(self.f))


def jaccard(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Intersection over union of bool masks `[..., H, W]`; 1 where both are empty. Returns float64 `[...]`."""
    intersection = np.count_nonzero(truth & prediction, axis=(-2, -1))
    union = np.count_nonzero(truth | prediction, axis=(-2, -1))
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def boundary_map(mask: np.ndarray) -> np.ndarray:
    """Pixels of bool masks `[..., H, W]` that differ from their right, lower or lower-right neighbour.

    The last row and column look at the one neighbour they have; the lower right corner is never a boundary.
    """
    boundary = np.zeros_like(mask)
    right, down = mask[..., :, 1:] ^ mask[..., :, :-1], mask[..., 1:, :] ^ mask[..., :-1, :]
    boundary[..., :-1, :-1] = right[..., :-1, :] | down[..., :, :-1] | (mask[..., :-1, :-1] ^ mask[..., 1:, 1:])
    boundary[..., -1, :-1] = right[..., -1, :]
    boundary[..., :-1, -1] = down[..., :, -1]
    return boundary


def tolerance_radius(height: int, width: int) -> int:
    """Distance, in pixels, at which boundaries still match: 8 for 480 x 854."""
    return math.ceil(BOUNDARY_TOLERANCE * math.hypot(height, width))


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Dilation of a bool mask `[H, W]` with a disk (distance <= radius), border pixels treated alike.

    Boundaries are thin: stamping the disk costs `pixels of the mask x pixels of the disk`, not those of the image.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2 * radius, width + 2 * radius), dtype=bool)
    rows, columns = np.nonzero(mask)
    flat = padded.reshape(-1)
    places = (rows + radius) * padded.shape[1] + columns + radius
    for down in range(-radius, radius + 1):
        reach = math.isqrt(radius * radius - down * down)
        for right in range(-reach, reach + 1):
            flat[places + (down * padded.shape[1] + right)] = True
    return padded[radius : radius + height, radius : radius + width]


def boundary_f(truth: np.ndarray, prediction: np.ndarray) -> float:
    """F measure of the boundaries of two bool masks `[H, W]`: 1 where neither has one, 0 where one alone has none."""
    wanted, found = boundary_map(truth), boundary_map(prediction)
    count_wanted, count_found = np.count_nonzero(wanted), np.count_nonzero(found)
    if count_wanted == 0 or count_found == 0:
        return float(count_wanted == count_found)
    radius = tolerance_radius(*truth.shape)
    box = _box(wanted | found, radius)
    wanted, found = wanted[box], found[box]
    precision = np.count_nonzero(found & dilate(wanted, radius)) / count_found
    recall = np.count_nonzero(wanted & dilate(found, radius)) / count_wanted
    return 0.0 if precision + recall == 0 else float(2 * precision * recall / (precision + recall))


def quarter_edges(frames: int) -> list[int]:
    """First and last frame of the quarters of a sequence, five zero-based numbers; neighbours share an edge."""
    return [round(edge) - 1 for edge in (np.linspace(1, frames, 5) + 1e-10).tolist()]


def summarize(values: np.ndarray) -> Summary:
    """Mean, share of frames above 0.5, and the mean of the first quarter less that of the last one."""
    edges = quarter_edges(len(values))
    first, last = values[edges[0] : edges[1] + 1], values[edges[3] : edges[4] + 1]
    return Summary(float(values.mean()), float((values > RECALL_THRESHOLD).mean()), float(first.mean() - last.mean()))


def count_objects(sequence: str, first_ids: np.ndarray, frames: int) -> int:
    """How many objects of a sequence are scored.

    Args:
        sequence: name, for messages.
        first_ids: ids of the first frame, void counted as background.
        frames: of the sequence.

    Raises:
        InputError: fewer than 3 frames, or no object.
    """
    if frames < 3:
        raise InputError(f"{sequence}: {frames} frames; the first and the last are not scored, so 3 are needed")
    objects = int(first_ids.max())
    if objects == 0:
        raise InputError(f"{sequence}: the annotation of the first frame has no object")
    return objects


def score_sequence(sequence: str, truth: np.ndarray, prediction: np.ndarray) -> list[ObjectScores]:
    """Scores of every object of a sequence; its first and last frame are not scored.

    Args:
        sequence: name, for messages.
        truth: ids `[F, H, W]`; the objects are 1 to the largest id of the first frame, 255 is background.
        prediction: ids `[F, H, W]`; objects it lacks count as empty.

    Raises:
        InputError: fewer than 3 frames, no object, other sizes, or more ids than there are objects.
    """
    if truth.shape != prediction.shape:
        raise InputError(
            f"{sequence}: the prediction has frames x height x width {list(prediction.shape)}, "
            f"the annotation {list(truth.shape)}"
        )
    truth = np.where(truth == VOID, 0, truth)
    objects = count_objects(sequence, truth[0], len(truth))
    largest = int(prediction.max())
    if largest > objects:
        raise InputError(
            f"{sequence}: the prediction holds id {largest}, and the first frame has objects 1 to {objects}.\n"
            "Masks must carry the ids of the annotation, not colours"
        )
    scores = []
    for number in range(1, objects + 1):
        wanted, found = truth[1:-1] == number, prediction[1:-1] == number
        f = np.array([boundary_f(*pair) for pair in zip(wanted, found, strict=True)])
        scores.append(ObjectScores(number, jaccard(wanted, found), f))
    return scores


def global_scores(rows: np.ndarray) -> dict[str, float]:
    """The published row of a set: means over all objects of all sequences.

    Args:
        rows: `[objects, 6]` of `ObjectScores.row`.
    """
    j_mean, j_recall, j_decay, f_mean, f_recall, f_decay = np.nanmean(rows, axis=0).tolist()
    values = ((j_mean + f_mean) / 2, j_mean, j_recall, j_decay, f_mean, f_recall, f_decay)
    return dict(zip(GLOBAL_COLUMNS, values, strict=True))


class DavisScore(Metric):
    """Scores of a set of sequences; `compute` gives the published global row.

    Under DDP each process adds its own sequences; `scores` holds those of this process by sequence.
    """

    full_state_update = False
    rows: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("rows", default=[], dist_reduce_fx="cat")
        self.scores: dict[str, list[ObjectScores]] = {}

    def update(self, sequence: str, truth: Tensor | np.ndarray, prediction: Tensor | np.ndarray) -> None:
        """Add a sequence; arguments and errors as of `score_sequence`."""
        scores = score_sequence(sequence, _array(truth), _array(prediction))
        self.scores[sequence] = scores
        rows = torch.tensor([score.row() for score in scores], dtype=torch.float64)
        self.rows.append(rows.to(self.device))

    def compute(self) -> dict[str, Tensor]:
        """The seven numbers of `GLOBAL_COLUMNS`.

        Raises:
            InputError: no sequence was added.
        """
        rows = torch.cat(self.rows) if isinstance(self.rows, list) and self.rows else self.rows
        if not isinstance(rows, Tensor):
            raise InputError("no sequence was scored")
        return {name: torch.tensor(value) for name, value in global_scores(rows.cpu().numpy()).items()}

    def reset(self) -> None:
        """Forget all sequences."""
        super().reset()
        self.scores = {}


def _array(ids: Tensor | np.ndarray) -> np.ndarray:
    return ids.cpu().numpy() if isinstance(ids, Tensor) else ids


def _box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Where a mask has pixels; what lies beyond cannot match."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), min(height, int(rows[-1]) + margin + 1)),
        slice(max(0, int(columns[0]) - margin), min(width, int(columns[-1]) + margin + 1)),
    )
