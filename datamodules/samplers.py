"""Batch samplers that know the epoch, shard themselves over ranks and hand each draw its own seed.

A batch is a list of `Draw(sample, seed)`: the seed travels with the index, so what a worker draws depends on
(seed, epoch, number of the batch) alone, never on how many workers there are or which of them is asked.

Rank, world size and epoch come from the `sampler` argument, a `DistributedSampler` that is asked for nothing else. That
is what lets the classes survive Lightning under DDP: it rebuilds a batch sampler with a `DistributedSampler` of its own
in that argument (same rank and world size), and calls `set_epoch` on `batch_sampler.sampler` before every epoch.
The constructor sets the epoch, so a rebuilt batch sampler of a resumed run starts where the run does: `start_batch`
batches into that epoch, if the run was killed inside of it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import BatchSampler, DistributedSampler

from components.errors import InputError


def fold_seed(*parts: int) -> int:
    """A seed in 0..2**63-1 from any number of non-negative whole numbers.

    Neighbouring parts give unrelated seeds (numpy's `SeedSequence` hash), so (seed, epoch, batch) go in as they are.
    """
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Draw(NamedTuple):
    """One sample of a batch: which one, and the seed of its random choices."""

    sample: int
    seed: int


def rank_info(rank: int, world_size: int) -> DistributedSampler:
    """A `sampler` argument that says which process this is."""
    return DistributedSampler(range(world_size), num_replicas=world_size, rank=rank, shuffle=False)  # type: ignore[arg-type]


class SeededBatchSampler(BatchSampler):
    """Base: all ranks plan the same list of batches per epoch and take every world-size-th of it.

    Args:
        sampler: carries rank, world size and epoch (see the module's head); anything without them means one process.
        batch_size: clips of a batch, per process.
        seed: seed of the whole run.
        epoch: epoch to start with.
        reshuffle: false repeats the batches and draws of epoch 0 for ever (overfitting on purpose).
        drop_last: for Lightning's sake; says whether short batches are left out.
        start_batch: batches of each process that epoch `epoch`, and no other, leaves out at its beginning: those that
            a run which goes on in the middle of it has seen. The length stays that of the whole epoch, as Lightning
            counts on from there.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = False,
        start_batch: int = 0,
    ) -> None:
        super().__init__(sampler, batch_size, drop_last)
        self.seed = seed
        self.reshuffle = reshuffle
        self.start_epoch = epoch
        self.start_batch = start_batch
        self.set_epoch(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches the next iteration gives."""
        set_epoch = getattr(self.sampler, "set_epoch", None)
        if callable(set_epoch):
            set_epoch(epoch)

    @property
    def epoch(self) -> int:
        """The epoch in force."""
        return self._told_epoch if self.reshuffle else 0

    @property
    def _told_epoch(self) -> int:
        return int(getattr(self.sampler, "epoch", self.start_epoch))

    @property
    def rank(self) -> int:
        """Number of this process."""
        return int(getattr(self.sampler, "rank", 0))

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return int(getattr(self.sampler, "num_replicas", 1))

    def plan(self, epoch: int) -> list[list[int]]:
        """All batches of an epoch over all ranks, indices only. The number of batches does not depend on the epoch."""
        raise NotImplementedError

    def num_batches(self) -> int:
        """Batches of an epoch over all ranks."""
        raise NotImplementedError

    def _count(self, samples: int) -> int:
        """Batches that so many samples make."""
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def _cut(self, order: list[int], count: int) -> list[list[int]]:
        """The first so many batches of an order."""
        return [order[i * self.batch_size : (i + 1) * self.batch_size] for i in range(count)]

    def __iter__(self) -> Iterator[list[Draw]]:  # type: ignore[override]
        epoch = self.epoch
        batches = self.plan(epoch)
        seen = self.start_batch * self.world_size if self._told_epoch == self.start_epoch else 0
        for number in range(self.rank + seen, len(self) * self.world_size, self.world_size):
            generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch, number))
            seeds = torch.randint(2**62, (len(batches[number]),), generator=generator).tolist()
            yield [Draw(index, seed) for index, seed in zip(batches[number], seeds)]

    def __len__(self) -> int:
        # Every rank must make the same number of steps: what does not divide is left out.
        return self.num_batches() // self.world_size


class GroupedBatchSampler(SeededBatchSampler):
    """P x K batches: `num_actions` classes with `num_instances` clips each, one contiguous block per class.

    Every epoch cuts the shuffled clips of each class into blocks of K (leftovers wait for another epoch; a class with
    fewer than K clips gives one block drawn with replacement), and composes the largest possible number of batches of P
    different classes. Classes are drawn with a chance proportional to the blocks that they have left, and a class is
    taken for certain when otherwise its blocks could not all be placed. So the length is exact and every block is used,
    save those that no combination of classes can place.

    Args:
        sampler: carries rank, world size and epoch.
        labels: class of every clip.
        num_actions: P, classes per batch.
        num_instances: K, clips per class. P * K is the batch size of one process.
        seed, epoch, reshuffle, start_batch: as in `SeededBatchSampler`.
        drop_last: always true in effect, batches are whole.

    Raises:
        InputError: fewer classes than P, or fewer batches than processes.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        labels: Sequence[int],
        num_actions: int = 3,
        num_instances: int = 4,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = True,
        start_batch: int = 0,
    ) -> None:
        if num_actions < 1 or num_instances < 1:
            raise InputError(
                f"data.sampler.num_actions={num_actions}, num_instances={num_instances}: both must be at least 1"
            )
        super().__init__(sampler, num_actions * num_instances, seed, epoch, reshuffle, drop_last, start_batch)
        self.num_actions = num_actions
        self.num_instances = num_instances
        array = np.asarray(labels, dtype=np.int64)
        self._members = [torch.from_numpy(np.flatnonzero(array == label)) for label in np.unique(array)]
        if len(self._members) < num_actions:
            raise InputError(
                f"data.sampler.num_actions={num_actions}, but the training clips have {len(self._members)} "
                f"class(es).\nLower it with data.sampler.num_actions={max(len(self._members), 1)} or add data"
            )
        self._blocks = [max(len(members) // num_instances, 1) for members in self._members]
        self._num_batches = _most_batches(self._blocks, num_actions)
        _check_share(self._num_batches, self.world_size, "data.sampler.num_instances")

    def num_batches(self) -> int:
        return self._num_batches

    def plan(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch))
        queues = [self._shuffled_blocks(members, generator) for members in self._members]
        left = _trim(self._blocks, self._num_batches, self.num_actions, generator)
        batches = []
        for remaining in range(self._num_batches, 0, -1):
            chosen = self._choose(left, remaining, generator)
            left[chosen] -= 1
            batches.append([index for group in chosen.tolist() for index in queues[group].pop()])
        return batches

    def _shuffled_blocks(self, members: torch.Tensor, generator: torch.Generator) -> list[list[int]]:
        """Shuffled blocks of K indices of one class."""
        if len(members) < self.num_instances:
            order = torch.randint(len(members), (self.num_instances,), generator=generator)
        else:
            order = torch.randperm(len(members), generator=generator)
        shuffled = members[order[: len(order) // self.num_instances * self.num_instances]]
        return shuffled.view(-1, self.num_instances).tolist()

    def _choose(self, left: torch.Tensor, remaining: int, generator: torch.Generator) -> torch.Tensor:
        """P classes of the next batch, in random order; classes with as many blocks as batches to come are musts."""
        musts = (left == remaining).nonzero().squeeze(1)
        weights = left.double().masked_fill(left == remaining, 0.0)
        others = self.num_actions - len(musts)
        if others > 0:
            musts = torch.cat([musts, torch.multinomial(weights, others, generator=generator)])
        return musts[torch.randperm(self.num_actions, generator=generator)]


class ShuffledBatchSampler(SeededBatchSampler):
    """Plain batches in a new order every epoch; the last one may be shorter.

    Args:
        sampler: carries rank, world size and epoch.
        num_samples: clips of the data set.
        batch_size: clips of a batch, per process.
        seed, epoch, reshuffle, start_batch: as in `SeededBatchSampler`.
        drop_last: leave a shorter last batch out.

    Raises:
        InputError: fewer batches than processes.
    """

    def __init__(
        self,
        sampler: Iterable[int],
        num_samples: int,
        batch_size: int,
        seed: int = 0,
        epoch: int = 0,
        reshuffle: bool = True,
        drop_last: bool = False,
        start_batch: int = 0,
    ) -> None:
        super().__init__(sampler, batch_size, seed, epoch, reshuffle, drop_last, start_batch)
        self.num_samples = num_samples
        _check_share(self.num_batches(), self.world_size, "data.batch_size")

    def num_batches(self) -> int:
        return self._count(self.num_samples)

    def plan(self, epoch: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(fold_seed(self.seed, epoch))
        order = torch.randperm(self.num_samples, generator=generator).tolist()
        return self._cut(order, self.num_batches())


class EvaluationBatchSampler(SeededBatchSampler):
    """Every clip exactly once over all ranks, in a fixed order and with fixed seeds.

    A stock `DistributedSampler` repeats clips until the ranks hold equally many, and those count twice. Here ranks may
    differ by one clip, but all make the same number of batches (else DDP's buffer exchange would wait for ever): the
    clips of a rank are spread evenly over them. Average with a `torchmetrics.MeanMetric` weighted by clips and log the
    metric object: Lightning's own `self.log(value, batch_size=..., sync_dist=True)` averages the ranks' sizes as whole
    numbers on gloo, and truncates.

    Args:
        sampler: carries rank and world size.
        num_samples: clips of the data set.
        batch_size: largest batch, per process (of batches of one clip the last may hold two).
        seed: seed of the draws.
        drop_last: ignored, nothing is left out.

    Raises:
        InputError: fewer clips than processes.
    """

    def __init__(
        self, sampler: Iterable[int], num_samples: int, batch_size: int, seed: int = 0, drop_last: bool = False
    ) -> None:
        super().__init__(sampler, batch_size, seed, drop_last=drop_last, reshuffle=False)
        self.num_samples = num_samples
        if num_samples < self.world_size:
            raise InputError(
                f"{num_samples} clip(s) to evaluate on {self.world_size} processes: each needs at least one.\n"
                "Use fewer with trainer.devices=... or a larger data.val_fraction"
            )

    def num_batches(self) -> int:
        largest_share, smallest_share = -(-self.num_samples // self.world_size), self.num_samples // self.world_size
        return min(-(-largest_share // self.batch_size), smallest_share) * self.world_size

    def plan(self, epoch: int) -> list[list[int]]:
        per_rank = self.num_batches() // self.world_size
        shares = [np.arange(self.num_samples)[rank :: self.world_size] for rank in range(self.world_size)]
        batches = [[part.tolist() for part in np.array_split(share, per_rank)] for share in shares]
        return [batches[rank][number] for number in range(per_rank) for rank in range(self.world_size)]


def _most_batches(blocks: Sequence[int], num_actions: int) -> int:
    """Largest number of batches of `num_actions` different classes: a class can serve each batch once."""
    count = sum(blocks) // num_actions
    while sum(min(number, count) for number in blocks) < num_actions * count:
        count -= 1
    return count


def _trim(blocks: Sequence[int], num_batches: int, num_actions: int, generator: torch.Generator) -> torch.Tensor:
    """Blocks per class that are used, `[C]`: at most one per batch, together exactly P per batch, surplus by chance."""
    left = torch.tensor([min(number, num_batches) for number in blocks])
    surplus = int(left.sum()) - num_actions * num_batches
    if surplus > 0:
        owners = torch.repeat_interleave(torch.arange(len(left)), left)
        given_up = owners[torch.randperm(len(owners), generator=generator)[:surplus]]
        left -= torch.bincount(given_up, minlength=len(left))
    return left


def _check_share(num_batches: int, world_size: int, key: str) -> None:
    if num_batches < world_size:
        raise InputError(
            f"{num_batches} batch(es) per epoch for {world_size} processes: each needs at least one.\n"
            f"Use fewer processes (trainer.devices) or smaller batches ({key})"
        )
