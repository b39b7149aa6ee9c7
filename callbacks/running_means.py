"""What Lightning has summed up of an epoch so far: the part of a mid-epoch checkpoint that it does not write itself.

`self.log(..., on_epoch=True)` adds up values until the epoch ends. Without these sums the epoch in which a run was
killed would be logged with the mean over the batches after the resume.
"""

from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

# By key of the logged quantity and by process, [P]: its sum (or largest, smallest) and the samples behind a mean.
Sums = dict[str, dict[str, Tensor]]


def sums_so_far(trainer: Trainer) -> Sums:
    """The sums of the current training epoch of all processes, on the CPU; every process must ask.

    Quantities logged as torchmetrics objects are left out.
    """
    return {
        key: {
            "value": _of_processes(trainer, metric.value).cpu(),
            "samples": _of_processes(trainer, _samples(metric)).cpu(),
        }
        for key, metric in _summed(trainer).items()
    }


def add_sums(trainer: Trainer, sums: Sums) -> None:
    """Add what this process had summed up. Call it when the first batch after a resume has been logged."""
    for key, metric in _summed(trainer).items():
        if key not in sums:
            continue
        value = sums[key]["value"][trainer.global_rank].to(metric.value)
        if metric.meta.is_max_reduction or metric.meta.is_min_reduction:
            metric.value = metric.meta.reduce_fx(metric.value, value)
        else:
            metric.value = metric.value + value
        if metric.meta.is_mean_reduction:
            samples = sums[key]["samples"][trainer.global_rank]
            metric.cumulated_batch_size = metric.cumulated_batch_size + samples.to(metric.value.device)


def _summed(trainer: Trainer) -> dict[str, Any]:
    results = trainer.fit_loop.epoch_loop._results
    return {key: metric for key, metric in results.items() if metric.is_tensor and metric.meta.on_epoch}


def _samples(metric: Any) -> Tensor:
    return metric.cumulated_batch_size if metric.meta.is_mean_reduction else torch.zeros((), device=metric.value.device)


def _of_processes(trainer: Trainer, value: Tensor) -> Tensor:
    return torch.as_tensor(trainer.strategy.all_gather(value)).reshape(trainer.world_size)
