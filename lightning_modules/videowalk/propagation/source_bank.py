"""Which frames are the sources of a target, and their features and labels: no more is kept than is needed again."""

from collections import Counter
from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules.videowalk.propagation.settings import PropagationSettings


def padded_sources(target: int, settings: PropagationSettings) -> list[int]:
    """Source indices of a target frame in the sequence that has `context` copies of frame 0 in front.

    Index i means frame max(0, i - context). Entries of the long memory come first, then the context, oldest first.
    """
    context = settings.context
    indices = []
    for frame in settings.long_memory:
        if frame == 0:
            indices.append(0)
        elif settings.published_long_memory:
            indices.append(context + frame + 1 if target >= context + frame + 1 else 0)
        else:
            indices.append(context + frame if target > frame else 0)
    return indices + list(range(target, target + context))


class Sources(NamedTuple):
    """Frames that a target looks at, and how often each counts."""

    remembered: Counter[int]  # searched whole
    recent: Counter[int]  # searched within the radius


def sources_of(target: int, settings: PropagationSettings) -> Sources:
    """The sources of a target without repetitions: a frame that stands in for others counts as often."""
    frames = [max(0, index - settings.context) for index in padded_sources(target, settings)]
    split = len(settings.long_memory)
    return Sources(Counter(frames[:split]), Counter(frames[split:]))


class SourceBank:
    """Features and labels of the last `context` frames (a ring) and of the frames of the long memory.

    Features of the ring lie as `[h, w, slot, C]`: all frames of neighbouring cells of a row are one matrix without
    copying. Labels of everything are one table, so that a source cell is one number: entry * h * w + cell, where
    entries below `context` are slots of the ring (frame modulo context) and the others are long memory.

    Args:
        settings: of the propagation.
        grid: (height, width) of the feature map.
        channels: of the features.
        labels: number of label channels.
        dtype: of the stored features; half as wide types halve the memory. They are searched as float32.
        device: of everything.
    """

    def __init__(
        self,
        settings: PropagationSettings,
        grid: tuple[int, int],
        channels: int,
        labels: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.context = settings.context
        self.cells = grid[0] * grid[1]
        shift = 1 if settings.published_long_memory else 0
        kept = {0 if frame == 0 else frame + shift for frame in settings.long_memory} | (
            {0} if settings.long_memory else set()
        )
        self.entries = {frame: self.context + index for index, frame in enumerate(sorted(kept))}
        self.ring = torch.empty(*grid, self.context, channels, dtype=dtype, device=device)
        self.memory = torch.empty(len(kept), self.cells, channels, dtype=dtype, device=device)
        self.labels = torch.zeros((self.context + len(kept)) * self.cells, labels, device=device)
        self.filled = 0

    def add(self, frame: int, features: Tensor, labels: Tensor, remembered: Tensor | None = None) -> None:
        """Store a frame; frames must come one after the other.

        Args:
            frame: its number.
            features: `[h * w, C]`.
            labels: `[h * w, L]`.
            remembered: labels of the long memory where they differ.
        """
        slot = frame % self.context
        self.ring[:, :, slot] = features.view(*self.ring.shape[:2], -1)
        self._entry(slot).copy_(labels)
        self.filled = min(self.filled + 1, self.context)
        if frame in self.entries:
            entry = self.entries[frame]
            self.memory[entry - self.context] = features
            self._entry(entry).copy_(labels if remembered is None else remembered)

    def _entry(self, entry: int) -> Tensor:
        return self.labels[entry * self.cells : (entry + 1) * self.cells]

    def row(self, y: int) -> Tensor:
        """Row `y` of all frames of the ring, float32 `[w, slots, C]`, contiguous."""
        return self.ring[y, :, : self.filled].float().contiguous()

    def remembered(self, frame: int) -> Tensor:
        """Features of a frame of the long memory, float32 `[h * w, C]`."""
        return self.memory[self.entries[frame] - self.context].float()
