from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.videowalk.davis import read_davis
from lightning_modules.videowalk.mask_scoring import carried_masks, copied_masks, score_masks, true_masks
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from tests.entrypoints.videowalk_run import write_davis_set


class Colours:
    """Features that tell the textures of the test films apart: the mean colours of a few pixels."""

    stride, channels = 4, 48

    def __call__(self, images: Tensor) -> Tensor:
        return torch.nn.functional.pixel_unshuffle(images, self.stride) - 0.5


def test_masks_are_carried_and_scored(tmp_path: Path) -> None:
    sequences = read_davis(write_davis_set(tmp_path, frames=4))
    settings = PropagationSettings(context=2, topk=3)
    told: list[int] = []
    score = score_masks(Colours(), sequences, settings, told=told.append)  # type: ignore[arg-type]
    assert told == [1, 1]
    assert sorted(score.scores) == ["bear", "cow"]
    carried = carried_masks(Colours(), sequences[0], settings, "cpu")  # type: ignore[arg-type]
    assert carried.shape == (4, *sequences[0].frames.size)
    # The still square keeps its place; both beat the copied mask of the moving one.
    truth, copied = true_masks(sequences[0]), copied_masks(sequences[0])
    assert (carried[0] == truth[0]).all()
    assert (copied == truth[0]).all()
    assert np.mean(carried[1:] == truth[1:]) > np.mean(copied[1:] == truth[1:])
    assert float(score.compute()["J&F-Mean"]) > 0.5
