"""One way to make a loader, and where in the training a loader must start."""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import BatchSampler, DataLoader, Dataset


def make_loader(
    dataset: Dataset,
    batch_sampler: BatchSampler,
    collate: Callable[[list[Any]], Any],
    num_workers: int = 0,
    pin_memory: bool | None = None,
) -> DataLoader:
    """A loader whose workers live through all epochs.

    Args:
        dataset: maps what the batch sampler yields to items.
        batch_sampler: decides order, ranks and seeds.
        collate: list of items to a batch.
        num_workers: processes; 0 loads in the training process.
        pin_memory: page-locked batches; default where CUDA is in use.
    """
    return DataLoader(
        dataset,
        batch_sampler=batch_sampler,
        collate_fn=collate,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available() if pin_memory is None else pin_memory,
        # A generator of its own: by default a loader advances torch's global stream once per epoch, and a resumed run
        # would then see other noise than an uninterrupted one.
        generator=torch.Generator().manual_seed(0),
    )


def epoch_to_load(trainer: Trainer | None) -> int:
    """The epoch whose batches the next train loader gives.

    To be asked inside `train_dataloader`: Lightning creates the loader's iterator, and workers draw their first batches
    from it, before it tells the sampler the epoch of a resumed run (pytorch-lightning#21938).
    """
    if trainer is None:
        return 0
    loop: Any = trainer.fit_loop
    return loop.epoch_progress.current.processed + _stands_behind_last_batch(loop)


def batch_to_load(trainer: Trainer | None) -> int:
    """How many batches of `epoch_to_load` a process has seen: not 0 where a run goes on in the middle of an epoch.

    Goes into the `start_batch` of a batch sampler, and is to be asked where `epoch_to_load` is.
    """
    if trainer is None:
        return 0
    loop: Any = trainer.fit_loop
    epochs = loop.epoch_progress.current
    # Between two epochs the counts of the one that ended are still there.
    inside = epochs.started > epochs.processed and not _stands_behind_last_batch(loop)
    return loop.epoch_loop.batch_progress.current.processed if inside else 0


def _stands_behind_last_batch(loop: Any) -> bool:
    """Whether a run resumes behind the last batch of an epoch that is not counted yet: the next one comes then."""
    epochs = loop.epoch_progress.current
    return epochs.started > epochs.processed and bool(loop.epoch_loop.batch_progress.is_last_batch)
