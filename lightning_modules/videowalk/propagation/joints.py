"""Joints of the first frame found again in every other (the JHMDB protocol)."""

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from components.errors import InputError
from components.media.frame_sequences import Frames
from components.media.joint_maps import MISSING, joint_coordinates, joint_label_map
from lightning_modules.videowalk.propagation.features import Extractor, stream_features
from lightning_modules.videowalk.propagation.propagator import LabelPropagator
from lightning_modules.videowalk.propagation.settings import PropagationSettings


def propagate_joints(
    extractor: Extractor,
    sequence: Frames,
    joints0: Tensor,
    settings: PropagationSettings | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
    propagator: LabelPropagator | None = None,
    sigma: float = 0.5,
    outside: bool = False,
) -> Iterator[Tensor]:
    """Joints of all frames, one at a time.

    A joint is a label of its own, drawn as a small Gaussian into the cells of the first frame, and read out of every
    other frame as the mean of the strongest cells. A cell stands for the pixel at its first corner, as published.

    Args:
        extractor: features of pictures, on `device`; `stride` pixels per cell.
        sequence: the film.
        joints0: `[2, J]`, x and y in pixels of the first frame, counted from 0. Joints that are not finite or have a
            negative coordinate are not there, nor are those beyond the frame.
        settings: of the propagation.
        device: of the network and the propagation.
        progress: told 1 after every frame.
        propagator: instead of one made from `settings`, which are then left out.
        sigma: of the Gaussian, cells.
        outside: joints outside of the frame are there too, as far as their Gaussian reaches into it. The published
            evaluation of JHMDB takes its annotation so, which knows where hidden joints are; to others -1 is no place.

    Yields:
        `[2, J]` float32 in pixels on the CPU, -1 for joints that were not found; the first ones are those given.

    Raises:
        InputError: joints of another shape, or none of them inside of the first frame.
    """
    if joints0.ndim != 2 or joints0.shape[0] != 2:
        raise InputError(
            f"the joints of {sequence.name} have shape {list(joints0.shape)}; expected [2, joints], x and y"
        )
    height, width = sequence.size
    joints0 = joints0.float().cpu()
    limits = torch.tensor([[width], [height]])
    there = joints0.isfinite().all(0)
    if not outside:
        there &= ((joints0 >= 0) & (joints0 < limits)).all(0)
    if not there.any():
        raise InputError(
            f"the joints of {sequence.name}: none lies inside of the first frame ({width} x {height} pixels).\n"
            "Expected x and y in pixels from the upper left corner."
        )
    propagator = propagator or LabelPropagator(settings)
    seen = propagator.settings.frame_size(height, width)
    scale = torch.tensor([[seen[1] / width], [seen[0] / height]]) / extractor.stride  # pixels to cells
    features = stream_features(extractor, sequence, propagator.settings, device)
    first = next(features)
    points = torch.where(there, joints0 * scale, torch.nan)
    labels0 = joint_label_map(points, (first.shape[1], first.shape[2]), sigma).to(device)
    missing = torch.full_like(joints0, MISSING)
    for frame, labels in enumerate(propagator.run(itertools.chain([first], features), labels0)):
        if frame == 0:
            yield torch.where(there, joints0, missing)
        else:
            cells = joint_coordinates(labels).cpu()
            yield torch.where(cells == MISSING, missing, cells / scale)
        if progress is not None:
            progress(1)
