"""Test-time adaptation: a few steps of the walk's loss on the very film whose labels are carried.

Described by Jabri, Owens, Efros 2020 (arXiv 2006.14613), section on self-supervised adaptation; its code was never
released, so what is not written there is ours: each step takes clips out of a window of frames round one moment, cuts a
square out of them (the same in all frames) and walks over its patches. Statistics of batch normalisation stay frozen.
"""

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Generator, Tensor

from components.errors import InputError
from components.media.crops import random_crops, resized
from components.media.frame_sequences import Frames
from components.media.patches import PatchGrid, WholeFrame
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.networks.walk_network import WalkNetwork, keep_statistics
from lightning_modules.videowalk.walk import Walk

log = logging.getLogger(__name__)

_SHORTEST = 3


@dataclass(frozen=True)
class AdaptationSettings:
    """How a network is adapted to a film.

    Attributes:
        steps: of the optimizer (Adam); 0 leaves the network as it is.
        lr: learning rate; small, or the features drift away from what was learnt.
        window: clips of a step come from the frames t - window to t + window; the moments t of all steps are spread
            over the film.
        clip_len: frames of a clip, at least 3.
        frame_gap: frames of the film between two of a clip; less where the window is too short for it.
        clips: per step.
        img_size: side of the squares that are cut out and resized, pixels.
        square: smallest and largest side of such a square, as share of the film's shorter side.
        nodes: "patches" = jittered patches; "cells" = cells of the feature map of the whole square.
        patch_size: side of a patch, pixels.
        seed: of all chance.

    Raises:
        InputError: a value out of range.
    """

    steps: int = 20
    lr: float = 1e-5
    window: int = 10
    clip_len: int = 4
    frame_gap: int = 3
    clips: int = 2
    img_size: int = 256
    square: tuple[float, float] = (0.6, 1.0)
    nodes: Literal["patches", "cells"] = "patches"
    patch_size: int = 64
    seed: int = 0

    @classmethod
    def like_training(cls, data: Mapping[str, Any], **settings: Any) -> Self:
        """Settings with the nodes of a training: patches or cells, and their sizes.

        Args:
            data: the keys `data.*` of the run; `img_size`, `patch_size` and `frame_aug` are read where they are there.
            settings: as of the class; they come first.
        """
        names = data.get("frame_aug", "grid")
        found: dict[str, Any] = {
            "nodes": "patches" if "grid" in ([names] if isinstance(names, str) else names) else "cells"
        }
        found |= {key: data[key] for key in ("img_size", "patch_size") if key in data}
        return cls(**{**found, **settings})

    def __post_init__(self) -> None:
        patch_size = self.patch_size if self.nodes == "patches" else 1
        rules = {
            "steps": (self.steps >= 0, "expected 0 (no adaptation) or more"),
            "lr": (self.lr > 0, "expected a learning rate above 0"),
            "window": (self.window >= 1, "expected at least 1 frame"),
            "clip_len": (self.clip_len >= _SHORTEST, f"a walk needs at least {_SHORTEST} frames"),
            "frame_gap": (self.frame_gap >= 1, "expected at least 1 frame"),
            "clips": (self.clips >= 1, "expected at least 1"),
            "img_size": (self.img_size >= patch_size >= 1, f"must be at least patch_size={patch_size}"),
            "square": (0 < self.square[0] <= self.square[1] <= 1, "expected two shares in 0..1, smaller first"),
            "nodes": (self.nodes in ("patches", "cells"), "expected patches or cells"),
            "seed": (self.seed >= 0, "expected 0 or more"),
        }
        faults = [f"adapt_{key}={getattr(self, key)}: {rule}" for key, (fine, rule) in rules.items() if not fine]
        if faults:
            raise InputError("\n".join(faults))


def adapt(
    net: WalkNetwork,
    walk: Walk,
    sequence: Frames,
    settings: AdaptationSettings | None = None,
    device: torch.device | str = "cpu",
) -> tuple[WalkNetwork, list[float]]:
    """A copy of a network, adapted to a film.

    The network itself, its mode, and torch's global generators are left as they are. The same seed gives the same copy.

    Args:
        net: trained; stays as it is.
        walk: the loss it was trained with.
        sequence: the film; only single frames are in memory.
        settings: of the adaptation.
        device: where it is computed; the copy stays there.

    Returns:
        The copy in evaluation mode, and the loss of each step.

    Raises:
        InputError: a film of fewer than 3 frames, a frame that cannot be read, a network whose weights are all frozen,
            or a loss that is not finite.
    """
    settings = settings or AdaptationSettings()
    adapted = copy.deepcopy(net).to(device)
    if settings.steps == 0:
        return adapted.eval(), []
    if len(sequence) < _SHORTEST:
        raise InputError(
            f"{sequence.name}: {len(sequence)} frames are too few to adapt to (a walk needs {_SHORTEST}).\n"
            "Set adapt_steps=0"
        )
    keep_statistics(adapted.train())
    if adapted.whitening is not None:
        adapted.whitening.eval()
    walking = copy.deepcopy(walk).to(device).train()
    generator = Generator().manual_seed(settings.seed)
    nodes = _nodes(settings, adapted)
    trained = [each for each in adapted.parameters() if each.requires_grad]
    if not trained:
        raise InputError(
            f"adapt_steps={settings.steps}: all weights of this network are frozen (model.encoder.freeze=true), "
            "so there is nothing to adapt.\nSet adapt_steps=0"
        )
    optimizer = torch.optim.Adam(trained, lr=settings.lr)
    losses = []
    with _own_streams(settings.seed, torch.device(device)), torch.enable_grad():
        for step in range(settings.steps):
            moment = round((step + 0.5) / settings.steps * len(sequence) - 0.5)
            clips = torch.stack([_clip(sequence, moment, settings, generator) for _ in range(settings.clips)])
            result = walking(adapted(nodes(clips.to(device), generator)).q)
            optimizer.zero_grad()
            result.loss.backward()
            optimizer.step()
            losses.append(result.loss.detach())
    values = torch.stack(losses).tolist()
    if not np.isfinite(values).all():
        raise InputError(f"{sequence.name}: the loss of the adaptation is not finite; lower adapt_lr={settings.lr}")
    log.debug("%s: loss of the adaptation %.4f to %.4f in %d steps", sequence.name, values[0], values[-1], len(values))
    return adapted.eval(), values


def adapted_features(
    module: Any, frames: Frames, settings: AdaptationSettings, use_head: bool, remove_layers: Sequence[str],
    device: torch.device | str,
) -> FeatureExtractor:  # fmt: skip
    """Features of a copy of a module's network that has trained on a film.

    Args:
        module: a `VideoWalkModule`.
        frames: of the film.
        settings: of the adaptation.
        use_head, remove_layers: as in `FeatureExtractor.of`.
        device: where it trains.

    Raises:
        InputError: as `adapt` and `FeatureExtractor.of`.
    """
    net, _ = adapt(module.net, module.walk, frames, settings, device)
    return FeatureExtractor.of(net, use_head, remove_layers)


def clip_frames(length: int, moment: int, settings: AdaptationSettings, generator: Generator) -> list[int]:
    """Frames of one clip from the window round a moment of a film of `length` frames.

    The window is moved inwards at the film's ends. A film shorter than a clip gives a clip of all its frames.
    """
    span = min(length, 2 * settings.window + 1)
    first = min(max(moment - settings.window, 0), length - span)
    count = min(settings.clip_len, span)
    gap = min(settings.frame_gap, (span - 1) // (count - 1))
    free = span - (count - 1) * gap
    start = first + int(torch.randint(free, (1,), generator=generator))
    return [start + gap * index for index in range(count)]


def _clip(sequence: Frames, moment: int, settings: AdaptationSettings, generator: Generator) -> Tensor:
    """uint8 `[T, 3, S, S]`."""
    frames = clip_frames(len(sequence), moment, settings, generator)
    height, width = sequence.size
    share = settings.square[0] + (settings.square[1] - settings.square[0]) * float(torch.rand(1, generator=generator))
    side = max(1, round(share * min(height, width)))
    area = side * side / (height * width)
    top, left, rows, columns = random_crops(1, height, width, (area, area), (1.0, 1.0), generator)[0].tolist()
    pictures = [torch.from_numpy(np.ascontiguousarray(sequence.read(index))).permute(2, 0, 1) for index in frames]
    return resized(torch.stack(pictures)[..., top : top + rows, left : left + columns], settings.img_size)


def _nodes(settings: AdaptationSettings, net: WalkNetwork) -> PatchGrid | WholeFrame:
    # Normalised as the features will be that are read from the copy.
    normalization = net.encoder.normalization
    if settings.nodes == "cells":
        return WholeFrame(normalization=normalization)
    return PatchGrid(settings.patch_size, normalization=normalization)


@contextmanager
def _own_streams(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout of edges and features draws from torch's global generators: seeded inside, put back behind."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
