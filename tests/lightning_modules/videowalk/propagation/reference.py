"""Label propagation the slow way: every copy of every source, the whole affinity, a mask over it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.videowalk.propagation.settings import PropagationSettings
from lightning_modules.videowalk.propagation.source_bank import padded_sources


def slow_propagation(features: Tensor, labels0: Tensor, settings: PropagationSettings) -> Tensor:
    """`[F, C, h, w]` and `[L, h, w]` to `[F, L, h, w]`; without `norm_mask`."""
    frames, _, height, width = features.shape
    maps = features.flatten(2)
    maps = F.normalize(maps, dim=1) if settings.normalize else maps
    y, x = torch.arange(height * width) // width, torch.arange(height * width) % width
    distance = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    far = distance >= (settings.radius or float("inf")) ** 2
    results = [labels0.flatten(1)]
    for target in range(1, frames):
        sources = [max(0, index - settings.context) for index in padded_sources(target, settings)]
        blocks = []
        for position, source in enumerate(sources):
            affinity = maps[target].T @ maps[source]
            if position >= len(settings.long_memory):
                affinity = affinity.masked_fill(far, -1e10)
            blocks.append(affinity / settings.temperature)
        affinity = torch.cat(blocks, dim=1)
        labels = torch.cat([results[source] for source in sources], dim=1)
        values, index = affinity.topk(min(settings.topk, affinity.shape[1]), dim=1)
        results.append((labels[:, index] * values.softmax(1)).sum(-1))
    return torch.stack(results).unflatten(2, (height, width))
