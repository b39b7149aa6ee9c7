"""Objects of the first frame found again in every other, by their ids."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import torch

from components.errors import InputError
from components.media.frame_sequences import Frames
from lightning_modules.videowalk.propagation.features import Extractor, stream_features
from lightning_modules.videowalk.propagation.labels import one_hot, to_cells, upsample_ids
from lightning_modules.videowalk.propagation.propagator import LabelPropagator
from lightning_modules.videowalk.propagation.settings import PropagationSettings


def propagate_masks(
    extractor: Extractor,
    sequence: Frames,
    first_ids: np.ndarray,
    settings: PropagationSettings | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
    propagator: LabelPropagator | None = None,
) -> Iterator[np.ndarray]:
    """Masks of all frames, one at a time.

    Args:
        extractor: features of pictures, on `device`.
        sequence: the film.
        first_ids: object ids of its first frame, uint8 `[H, W]`; each id that occurs is a label of its own, the
            background (0) too. Objects that come into view later have none.
        settings: of the propagation.
        device: of the network and the propagation.
        progress: told 1 after every frame.
        propagator: instead of one made from `settings`, which are then left out.

    Yields:
        Ids, uint8 `[H, W]`; the first ones are those given.

    Raises:
        InputError: the mask has another size than the frames, or no object.
    """
    height, width = sequence.size
    if first_ids.shape != (height, width):
        raise InputError(
            f"the mask of {sequence.name} is {first_ids.shape[1]} x {first_ids.shape[0]} pixels, its frames are "
            f"{width} x {height}; expected a mask of the first frame's size"
        )
    objects = np.unique(first_ids).tolist()
    if not any(objects):
        raise InputError(
            f"the mask of {sequence.name} is empty: all pixels are 0, the background.\n"
            "Mark each object of the first frame with an id of its own from 1 on."
        )
    propagator = propagator or LabelPropagator(settings)
    features = stream_features(extractor, sequence, propagator.settings, device)
    first = next(features)
    pixels = one_hot(torch.from_numpy(first_ids).to(device), objects)
    labels0 = to_cells(pixels, (first.shape[1], first.shape[2]))
    del pixels
    for frame, labels in enumerate(propagator.run(itertools.chain([first], features), labels0)):
        yield first_ids.copy() if frame == 0 else upsample_ids(labels, (height, width), objects).cpu().numpy()
        if progress is not None:
            progress(1)
