"""Masks of first frames carried through sequences and scored: what `evaluate` and the validation callback share."""

from collections.abc import Callable, Iterable

import numpy as np
import torch

from components.media.mask_sequences import MaskSequence
from components.metrics.davis import DavisScore
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.propagation.masks import propagate_masks
from lightning_modules.videowalk.propagation.settings import PropagationSettings


def carried_masks(
    extractor: FeatureExtractor, sequence: MaskSequence, settings: PropagationSettings, device: torch.device | str
) -> np.ndarray:
    """The ids of every frame, uint8 `[F, H, W]`, from the mask of the first one; background where that is empty.

    Raises:
        InputError: a frame or the mask cannot be read.
    """
    first = sequence.first_ids()
    if not first.any():
        return copied_masks(sequence)
    carried = propagate_masks(extractor, sequence.frames, first, settings, device)
    return np.stack([np.asarray(ids) for ids in carried])


def copied_masks(sequence: MaskSequence) -> np.ndarray:
    """The mask of the first frame in every frame, uint8 `[F, H, W]`: what any method must beat."""
    first = sequence.first_ids()
    return np.broadcast_to(first, (len(sequence), *first.shape))


def true_masks(sequence: MaskSequence) -> np.ndarray:
    """The annotation of every frame, uint8 `[F, H, W]`.

    Raises:
        InputError: a frame has none, or it cannot be read.
    """
    return np.stack([sequence.ids(index) for index in range(len(sequence))])


def score_masks(
    extractor: FeatureExtractor,
    sequences: Iterable[MaskSequence],
    settings: PropagationSettings | None = None,
    device: torch.device | str = "cpu",
    told: Callable[[int], None] | None = None,
) -> DavisScore:
    """J and F of an extractor on annotated sequences; `compute()["J&F-Mean"]` is the headline.

    Args:
        extractor: on `device`.
        sequences: every frame annotated.
        settings: published ones by default.
        device: where the labels are carried.
        told: called with 1 after each sequence.

    Raises:
        InputError: a file cannot be read, or a sequence cannot be scored.
    """
    score = DavisScore()
    for sequence in sequences:
        carried = carried_masks(extractor, sequence, settings or PropagationSettings(), device)
        score.update(sequence.name, true_masks(sequence), carried)
        if told is not None:
            told(1)
    return score
