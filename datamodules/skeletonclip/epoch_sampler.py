"""Training batches of skeleton clips: repeats and class resampling, equal shares of the ranks, seeds by sample."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from components.errors import InputError
from datamodules.samplers import Draw, SeededBatchSampler, fold_seed
from datamodules.skeletonclip.splits import epoch_places


class RepeatedBatchSampler(SeededBatchSampler):
    """Shuffled batches of an epoch in which clips come several times.

    The batches of all ranks at a step make up one batch of a single process that is as many times larger. All ranks
    have equally many samples in every step: the order is filled up from its beginning where that is needed, as
    published, so that features can be gathered. What is drawn for a sample depends on (seed, epoch, which copy of
    which clip) alone, not on batches, ranks or workers.

    Args:
        sampler: carries rank, world size and epoch (see `datamodules.samplers`).
        labels: class of every clip.
        batch_size: samples of a batch, per process.
        repeat: how often an epoch takes each clip.
        weights: factor on that for each class, see `epoch_places`; None: no resampling.
        seed, epoch, reshuffle, start_batch: as in `SeededBatchSampler`.
        drop_last: leave a shorter last step out.

    Raises:
        InputError: nothing to train on, or no whole step with `drop_last`.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        labels: Sequence[int],
        batch_size: int,
        repeat: int = 1,
        weights: Sequence[float] | None = None,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = False,
        start_batch: int = 0,
    ) -> None:
        super().__init__(sampler, batch_size, seed, epoch, reshuffle, drop_last, start_batch)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.repeat = repeat
        self.weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self.num_samples = len(self._copies(0))
        if not self.num_batches():
            raise InputError(
                f"data.drop_last=true leaves no batch: an epoch has {self.num_samples} samples, a step takes "
                f"{batch_size} on each of {self.world_size} process(es).\nLower data.batch_size or raise data.repeat"
            )

    def num_batches(self) -> int:
        step = self.batch_size * self.world_size
        return (self.num_samples // step if self.drop_last else -(-self.num_samples // step)) * self.world_size

    def plan(self, epoch: int) -> list[list[int]]:
        """Batches of copies: number c * N + i is the c-th copy of clip i of N."""
        generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch))
        copies = self._copies(epoch)
        order = copies[torch.randperm(len(copies), generator=generator).numpy()]
        order = np.resize(order, -(-len(order) // self.world_size) * self.world_size)
        step = self.batch_size * self.world_size
        starts = range(0, self.num_batches() * self.batch_size, step)
        parts = [order[start : start + step] for start in starts]
        return [part[rank :: self.world_size].tolist() for part in parts for rank in range(self.world_size)]

    def __iter__(self) -> Iterator[list[Draw]]:  # type: ignore[override]
        epoch, clips = self.epoch, len(self.labels)
        for batch in super().__iter__():
            yield [Draw(copy % clips, fold_seed(self.seed, epoch, copy)) for copy, _ in batch]

    def _copies(self, epoch: int) -> np.ndarray:
        places = epoch_places(self.labels, self.repeat, self.weights, self.seed, epoch)
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        first = np.searchsorted(ordered, ordered)
        copies = np.empty_like(places)
        copies[order] = (np.arange(len(places)) - first) * len(self.labels) + ordered
        return copies
