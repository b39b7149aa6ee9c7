"""Clips as a map-style dataset, and what happens where one cannot be read."""

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.errors import InputError
from components.media.clip_reader import BrokenVideoError
from datamodules.samplers import Draw, fold_seed
from datamodules.videowalk.batch import ClipItem
from datamodules.videowalk.clip_source import ClipSource

# Called with frames uint8 [T, 3, H, W] and the seed of the draw.
ClipTransform = Callable[[Tensor, int], Tensor]
# Sets the seed of replacements apart from that of the augmentation.
_REPLACEMENT = 1


class ItemBatch(TypedDict):
    """Items put together, as a loader hands them to the data module."""

    clips: Tensor
    """`[B, T, ...]`"""
    seeds: list[int]
    """One per clip."""
    failed: list[list[tuple[str, str]]]
    """Per clip the (path, reason) of those that could not be read before it."""


class ClipDataset(Dataset):
    """Clips of some videos, transformed; where one cannot be read, another takes its place.

    First another clip of the same video is tried, then other videos, at most `max_tries` in all. Which ones depends on
    the draw's seed alone, not on the worker or on what failed before: batches are the same for any number of workers,
    and in a resumed run. Every failure is reported with the item, so that none passes in silence.

    Args:
        source: the videos.
        videos: numbers of those that belong here; None = all.
        transform: called with frames `[T, 3, H, W]` uint8 and the draw's seed; None leaves the frames as they are.
        chosen: flat indices of the clips that samples 0, 1, ... stand for; None = all clips.
        on_error: `skip` replaces what cannot be read, `raise` stops.
        max_tries: clips tried for one item, the drawn one included.

    Raises:
        InputError: max_tries below 1, or nothing to show.
    """

    def __init__(
        self,
        source: ClipSource,
        videos: Sequence[int] | np.ndarray | None = None,
        transform: ClipTransform | None = None,
        chosen: Sequence[int] | np.ndarray | None = None,
        on_error: Literal["skip", "raise"] = "skip",
        max_tries: int = 10,
    ) -> None:
        if max_tries < 1:
            raise InputError(f"data.max_tries={max_tries}: expected at least 1")
        self.source = source
        self.videos = np.arange(len(source.counts)) if videos is None else np.asarray(videos, dtype=np.int64)
        self.transform = transform
        self.chosen = None if chosen is None else np.asarray(chosen, dtype=np.int64)
        self.on_error = on_error
        self.max_tries = max_tries
        self.counts: np.ndarray = np.asarray(source.counts, dtype=np.int64)[self.videos]
        self._ends = np.cumsum(self.counts)
        if not len(self):
            raise InputError("these videos have no clips; lower data.clip_len or give longer videos")

    def __len__(self) -> int:
        if self.chosen is not None:
            return len(self.chosen)
        return int(self._ends[-1]) if len(self._ends) else 0

    def locate(self, sample: int) -> tuple[int, int]:
        """(place among `videos`, clip) of a sample."""
        flat = int(sample if self.chosen is None else self.chosen[sample])
        place = int(np.searchsorted(self._ends, flat, side="right"))
        return place, flat - int(self._ends[place] - self.counts[place])

    def __getitem__(self, draw: Draw) -> ClipItem:
        frames, failed = self._read(draw)
        clip = frames if self.transform is None else self.transform(frames, draw.seed)
        return {"clip": clip, "seed": draw.seed, "failed": failed}

    def _read(self, draw: Draw) -> tuple[Tensor, list[tuple[str, str]]]:
        place, clip = self.locate(draw.sample)
        failed: list[tuple[str, str]] = []
        chance: torch.Generator | None = None
        while True:
            video = int(self.videos[place])
            try:
                return self.source.read(video, clip), failed
            except BrokenVideoError as error:
                name = self.source.name(video)
                failed.append((name, getattr(error, "reason", "") or str(error)))
                if self.on_error == "raise":
                    raise InputError(
                        f"{name}: clip {clip} cannot be read ({failed[-1][1]}).\n"
                        "Mend or remove the file, or have other clips take its place with data.on_error=skip"
                    ) from error
            if len(failed) >= self.max_tries:
                raise InputError(
                    f"{failed[0][0]}: no clip could be read in data.max_tries={self.max_tries} tries "
                    f"({failed[0][1]}); the last one was of {failed[-1][0]} ({failed[-1][1]}).\n"
                    "Look whether the data are still there and whole"
                )
            chance = chance or torch.Generator().manual_seed(fold_seed(draw.seed, _REPLACEMENT))
            place, clip = self._replacement(place, clip, len(failed), chance)

    def _replacement(self, place: int, clip: int, failures: int, chance: torch.Generator) -> tuple[int, int]:
        """What to try after that many failures, the last of which was `clip` of the video at `place`."""
        if failures == 1 and self.counts[place] > 1:
            return place, self._other(int(self.counts[place]), clip, chance)
        usable = np.flatnonzero(self.counts)
        here = int(np.searchsorted(usable, place))
        if len(usable) > 1:
            place = int(usable[self._other(len(usable), here, chance)])
        return place, _below(int(self.counts[place]), chance)

    def _other(self, number: int, taken: int, chance: torch.Generator) -> int:
        drawn = _below(number - 1, chance)
        return drawn + (drawn >= taken)


def _below(number: int, chance: torch.Generator) -> int:
    return int(torch.randint(number, (), generator=chance))


def collate_items(items: list[ClipItem]) -> ItemBatch:
    """Clips of the same size in one tensor."""
    return {
        "clips": torch.stack([item["clip"] for item in items]),
        "seeds": [item["seed"] for item in items],
        "failed": [item["failed"] for item in items],
    }


def spread_clips(counts: Sequence[int] | np.ndarray, per_video: int | None) -> np.ndarray:
    """Flat indices of min(k, clips) clips of every video, evenly spread over it and the same every time.

    Args:
        counts: clips of every video.
        per_video: k; None takes all clips.
    """
    chosen, start = [], 0
    for count in np.asarray(counts, dtype=np.int64).tolist():
        wanted = count if per_video is None else min(per_video, count)
        chosen.append(start + (2 * np.arange(wanted) + 1) * count // (2 * max(wanted, 1)))
        start += count
    return np.concatenate(chosen) if chosen else np.empty(0, dtype=np.int64)
