"""Which clips an epoch shows and in which order: a few random ones of every video, new ones in every epoch."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from datamodules.samplers import SeededBatchSampler, fold_seed


def draw_clips(counts: Tensor, per_video: int | None, generator: torch.Generator) -> Tensor:
    """Flat indices of min(k, clips) different clips of every video, sorted by video.

    Uniform without replacement, for all videos at once (Floyd's algorithm): 240,000 videos take a fraction of a second.

    Args:
        counts: clips of every video, `[V]` int64; the clips of video v follow those of the videos before it.
        per_video: k; None takes all clips.
        generator: source of chance.
    """
    starts = counts.cumsum(0) - counts
    if per_video is None or not len(counts) or int(counts.max()) <= per_video:
        return torch.arange(int(counts.sum()))
    few = counts <= per_video
    whole = torch.repeat_interleave(starts[few], counts[few])
    offsets = torch.arange(len(whole)) - torch.repeat_interleave(counts[few].cumsum(0) - counts[few], counts[few])
    many = (~few).nonzero().squeeze(1)
    taken = torch.full((len(many), per_video), -1)
    for step in range(per_video):
        last = counts[many] - per_video + step  # draw from 0..last; who is drawn already gives way to `last`
        chosen = (torch.rand(len(many), generator=generator, dtype=torch.float64) * (last + 1)).long().minimum(last)
        taken[:, step] = torch.where((taken == chosen[:, None]).any(1), last, chosen)
    flat = torch.cat([whole + offsets, (taken + starts[many, None]).flatten()])
    return flat.sort().values


class ClipSampler(SeededBatchSampler):
    """Batches of an epoch: min(k, clips) different clips of every video, all in one random order (published: k = 5).

    Clips and order are a function of (seed, epoch): every process plans the same list and takes every world-size-th
    batch of it. So they show disjoint clips, and a run that was killed inside an epoch goes on with the next batch.

    Args:
        sampler: carries rank, world size and epoch (`datamodules.samplers`).
        counts: clips of every video; a sample is a flat index over all of them.
        clips_per_video: k; None takes all clips.
        batch_size: clips of a batch, per process.
        seed, epoch, reshuffle, start_batch: as in `SeededBatchSampler`.
        drop_last: leave out a shorter last batch (published: false; with several processes true, so that the gradients
            of all clips weigh the same).

    Raises:
        InputError: k below 1, no clips, or fewer batches than processes.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        counts: Sequence[int] | np.ndarray,
        clips_per_video: int | None = 5,
        batch_size: int = 20,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = False,
        start_batch: int = 0,
    ) -> None:
        if clips_per_video is not None and clips_per_video < 1:
            raise InputError(f"data.clips_per_video={clips_per_video}: expected at least 1, or null for all clips")
        super().__init__(sampler, batch_size, seed, epoch, reshuffle, drop_last, start_batch)
        self.clips_per_video = clips_per_video
        self.counts = torch.as_tensor(np.asarray(counts, dtype=np.int64))
        limit = self.counts if clips_per_video is None else self.counts.clamp(max=clips_per_video)
        self.num_samples = int(limit.sum())
        if self.num_batches() < self.world_size:
            raise InputError(
                f"{self.num_samples} clips per epoch give {self.num_batches()} batch(es) of {batch_size} for "
                f"{self.world_size} process(es): each needs at least one.\n"
                "Lower data.batch_size or trainer.devices, raise data.clips_per_video, or add videos"
            )

    def num_batches(self) -> int:
        return self._count(self.num_samples)

    def plan(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch))
        flat = draw_clips(self.counts, self.clips_per_video, generator)
        order = flat[torch.randperm(len(flat), generator=generator)].tolist()
        return self._cut(order, self.num_batches())


class ShardSampler(ClipSampler):
    """As `ClipSampler`, in an order that reads archives nearly from front to back.

    The shards come in a random order, each process takes one contiguous stretch of their clips (so it opens only its
    share of the files, and all processes make the same number of batches), and clips change places within about
    `buffer` of each other. That is what a streaming reader with a shuffling buffer shows, but known beforehand: it does
    not depend on the number of workers, and any batch can be the first one of a resumed run.

    Args:
        shards: shard of every video, ascending.
        buffer: how far clips wander in the order, about the size of a shuffling buffer; 0 leaves them as they lie.
        Others: as in `ClipSampler`.

    Raises:
        InputError: as `ClipSampler`; or buffer below 0.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        counts: Sequence[int] | np.ndarray,
        shards: Sequence[int] | np.ndarray,
        buffer: int = 5000,
        clips_per_video: int | None = 5,
        batch_size: int = 20,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = False,
        start_batch: int = 0,
    ) -> None:
        if buffer < 0:
            raise InputError(f"data.shuffle_buffer={buffer}: expected 0 or more clips")
        super().__init__(
            sampler, counts, clips_per_video, batch_size, seed, epoch, reshuffle, drop_last, start_batch
        )  # fmt: skip
        self.buffer = buffer
        self.shards = torch.as_tensor(np.asarray(shards, dtype=np.int64))

    def num_batches(self) -> int:
        share = self.num_samples // self.world_size  # some processes may have one clip more: it is left out
        return self._count(share) * self.world_size

    def plan(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch))
        flat = draw_clips(self.counts, self.clips_per_video, generator)
        videos = torch.searchsorted(self.counts.cumsum(0), flat, right=True)
        rank_of_shard = torch.randperm(int(self.shards.max()) + 1 if len(self.shards) else 0, generator=generator)
        stream = flat[torch.argsort(rank_of_shard[self.shards[videos]], stable=True)]
        batches = [self._batches(part, generator) for part in torch.tensor_split(stream, self.world_size)]
        return [batches[rank][number] for number in range(len(batches[0])) for rank in range(self.world_size)]

    def _batches(self, part: Tensor, generator: torch.Generator) -> list[list[int]]:
        """The clips of one process, mixed with their neighbours and cut into batches."""
        places = torch.arange(len(part)) + torch.rand(len(part), generator=generator, dtype=torch.float64) * self.buffer
        order = part[torch.argsort(places, stable=True)].tolist()
        return self._cut(order, len(self))
