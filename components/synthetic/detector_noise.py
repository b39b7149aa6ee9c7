"""What pose detectors make of a person: jitter, scores, hidden and missed joints, mixed up sides, empty frames."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.keypoints.skeletons import load_skeleton
from components.synthetic.curves import Draw

_COCO = load_skeleton("coco17")
# Mean score of a joint in plain view: the further from the trunk, the less sure.
_SCORES = {
    "nose": 0.95, "eye": 0.94, "ear": 0.90, "shoulder": 0.92, "elbow": 0.89, "wrist": 0.82, "hip": 0.86, "knee": 0.87,
    "ankle": 0.83,
}  # fmt: skip
_PLAIN = torch.tensor([_SCORES[name.split("_")[-1]] for name in _COCO.joints])
_FACE = torch.tensor([name.split("_")[-1] in ("nose", "eye", "ear") for name in _COCO.joints])
# Standard deviation of the jitter as a share of the person's height; of joints of the face, and factor when hidden.
_JITTER, _FACE_JITTER, _HIDDEN_JITTER = 0.009, 0.005, 2.5
# How much of the jitter stays from one frame to the next.
_LASTING = 0.6
# Probability per frame and joint that it is lost, for this many frames at most.
_MISSED, _HIDDEN_MISSED, _LONGEST_MISS = 0.003, 0.03, 4
# Probability per clip that sides are mixed up for a while (frames at most), and that nobody is found for a while.
_SWAPPED, _LONGEST_SWAP, _LOST, _LONGEST_LOSS = 0.2, 6, 0.1, 8
_SWAPS = (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"), tuple(_SCORES))


class Detections(NamedTuple):
    """`keypoint` `[T, V, 2]` and `score` `[T, V]`; zeros where nothing was found."""

    keypoint: Tensor
    score: Tensor


def detect(pixels: Tensor, hidden: Tensor, img_shape: tuple[int, int], draw: Draw) -> Detections:
    """Keypoints as a detector would give them.

    Args:
        pixels: `[T, 17, 2]` where the joints are, COCO's.
        hidden: `[T, 17]` whether the body hides them.
        img_shape: (height, width); who is outside is not found.
        draw: the noise.
    """
    frames, joints = hidden.shape
    generator = draw.generator
    tall = (pixels.amax(1) - pixels.amin(1)).amax(-1).median()
    deviation = torch.where(_FACE, _FACE_JITTER, _JITTER) * torch.where(hidden, _HIDDEN_JITTER, 1.0) * tall
    keypoint = pixels + deviation[..., None] * _lasting_noise((frames, joints, 2), generator)
    height, width = img_shape
    inside = ((pixels >= 0) & (pixels <= torch.tensor([width - 1, height - 1]))).all(-1)
    # Nobody finds a joint outside the picture, and (0, 0) stands for none.
    keypoint = torch.minimum(keypoint.clamp(min=1.0), torch.tensor([width - 1.0, height - 1.0]))
    doubt = torch.where(hidden, 0.35 + 0.3 * torch.rand(frames, joints, generator=generator), 1.0)
    quality = draw.uniform(0.92, 1.05)
    score = _PLAIN * quality * doubt + 0.035 * _lasting_noise((frames, joints), generator)
    score = score.clamp(0.05, 1.0)
    missed = _missed(hidden, generator) | ~inside
    if frames > 4 * _LONGEST_LOSS and draw.chance(_LOST):
        begin = draw.integer(1, frames - _LONGEST_LOSS - 1)
        missed[begin : begin + draw.integer(2, _LONGEST_LOSS)] = True
    keypoint, score = keypoint.masked_fill(missed[..., None], 0.0), score.masked_fill(missed, 0.0)
    if draw.chance(_SWAPPED):
        begin, mixed = draw.integer(0, frames - 1), _SWAPS[draw.integer(0, len(_SWAPS) - 1)]
        stretch = slice(begin, begin + draw.integer(1, _LONGEST_SWAP))
        order = torch.tensor([
            mirror if name.split("_")[-1] in mixed else own
            for own, (name, mirror) in enumerate(zip(_COCO.joints, _COCO.joint_mirror))
        ])  # fmt: skip
        keypoint[stretch], score[stretch] = keypoint[stretch][:, order], score[stretch][:, order]
    return Detections(keypoint, score)


def stack_persons(persons: list[Detections]) -> tuple[np.ndarray, np.ndarray]:
    """`[M, T, V, 2]` and `[M, T, V]` float16, as in published files."""
    keypoint = torch.stack([person.keypoint for person in persons]).half().numpy()
    return keypoint, torch.stack([person.score for person in persons]).half().numpy()


def _lasting_noise(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Noise of deviation 1 whose neighbours in time are alike (first-order autoregressive)."""
    fresh = torch.randn(shape, generator=generator) * (1 - _LASTING**2) ** 0.5
    result = torch.empty_like(fresh)
    result[0] = fresh[0] / (1 - _LASTING**2) ** 0.5
    for frame in range(1, len(fresh)):
        result[frame] = _LASTING * result[frame - 1] + fresh[frame]
    return result


def _missed(hidden: Tensor, generator: torch.Generator) -> Tensor:
    """`[T, V]`: joints that are lost, for some frames each time."""
    begins = torch.rand(hidden.shape, generator=generator) < torch.where(hidden, _HIDDEN_MISSED, _MISSED)
    length = torch.randint(1, _LONGEST_MISS + 1, hidden.shape, generator=generator)
    missed = begins.clone()
    for later in range(1, _LONGEST_MISS):
        missed[later:] |= begins[:-later] & (length[:-later] > later)
    return missed
