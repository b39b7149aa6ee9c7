"""Feature maps of a film, a few frames at a time: what came before is not kept."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from components.media.frame_sequences import Frames
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.propagation.settings import PropagationSettings

# Frames in the network at once. More are hardly faster and need their memory.
_CHUNK = 4


class Extractor(Protocol):
    """Pictures 0..1 `[F, 3, H, W]` to feature maps `[F, C, h, w]`, e.g. `networks.feature_extractor`."""

    stride: int

    def __call__(self, images: Tensor) -> Tensor:
        """Maps of pictures."""


def stream_features(
    extractor: Callable[[Tensor], Tensor],
    sequence: Frames,
    settings: PropagationSettings,
    device: torch.device | str = "cpu",
    chunk: int = _CHUNK,
) -> Iterator[Tensor]:
    """Feature maps `[C, h, w]` of one frame after the other.

    Args:
        extractor: maps pictures 0..1 `[F, 3, H, W]` on `device` to `[F, C, h, w]`.
        sequence: the film.
        settings: tells the size at which frames are seen.
        device: of the network.
        chunk: frames read ahead and put through the network together.
    """
    size = settings.frame_size(*sequence.size)
    for start in range(0, len(sequence), chunk):
        frames = [sequence.read(index) for index in range(start, min(start + chunk, len(sequence)))]
        with torch.no_grad():
            maps = extractor(_pictures(frames, size, device))
        yield from maps


@torch.no_grad()
def gather_whitening(
    net: WalkNetwork,
    sequence: Frames,
    settings: PropagationSettings,
    device: torch.device | str = "cpu",
    count: int = 8,
) -> None:
    """Give the whitening of a network the statistics of a film, in place of those it has.

    Args:
        net: with whitening.
        sequence: the film.
        settings: tells the size at which frames are seen.
        device: of the network.
        count: frames that are looked at, evenly spread.
    """
    assert net.whitening is not None
    net.whitening.forget()
    size = settings.frame_size(*sequence.size)
    plain = FeatureExtractor(net.encoder)
    for index in sorted({round(place) for place in np.linspace(0, len(sequence) - 1, count)}):
        net.whitening.track(plain(_pictures([sequence.read(index)], size, device)))


def _pictures(frames: list[np.ndarray], size: tuple[int, int], device: torch.device | str) -> Tensor:
    """uint8 `[H, W, 3]` each to float32 0..1 `[F, 3, h, w]`."""
    images = torch.stack([torch.from_numpy(frame) for frame in frames]).to(device).permute(0, 3, 1, 2).float() / 255
    if tuple(images.shape[-2:]) != size:
        images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True).clamp(0, 1)
    return images
