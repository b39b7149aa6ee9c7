"""Says before a training starts how much memory it will take, and warns where there is less."""

import logging
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.run_card import update_run_card
from components.sizes import mib

log = logging.getLogger(__name__)


class Estimate(Protocol):
    """What a module's `estimate_memory(batch, context)` gives: bytes that one process needs in a training step.

    Attributes:
        weights: the part that is there before the training.
        total: all of it.
        advice: what to change where there is too little.
    """

    weights: int
    advice: str

    @property
    def total(self) -> int: ...

    def line(self) -> str:
        """One line for people."""
        ...

    def as_fields(self) -> dict[str, int]:
        """Plain numbers for a json file."""
        ...


class TrainingMemory(Callback):
    """Logs an estimate at the start of the fit and puts it into `run.json` as `memory_estimate`.

    In the first process, of modules that have `estimate_memory(batch, context)`; other modules, `fast_dev_run` and
    compiled networks (which would compile for the few samples of the estimate) are left alone. The training draws the
    same numbers with and without.

    Args:
        run_dir: folder of `run.json`.
    """

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = getattr(trainer, "datamodule", None)
        ask = getattr(pl_module, "estimate_memory", None)
        if not callable(ask) or datamodule is None or not trainer.is_global_zero:
            return
        if getattr(trainer, "fast_dev_run", False) or getattr(pl_module.net, "_compiled_call_impl", None) is not None:
            return
        batch = first_batch(datamodule)
        try:
            estimate: Estimate = ask(batch, trainer.precision_plugin.train_step_context)
        except torch.OutOfMemoryError:
            log.warning("not even a few samples fit into the memory of %s; lower data.batch_size", pl_module.device)
            return
        log.info("memory: %s", estimate.line())
        free = free_bytes(pl_module.device)
        update_run_card(self.run_dir, {"memory_estimate": {**estimate.as_fields(), "free": free}})
        if free is not None:
            warn_if_short(estimate, free + estimate.weights)  # the weights are there already


def warn_if_short(estimate: Estimate, available: int) -> None:
    """Warn where an estimate exceeds the bytes that there are for it."""
    if estimate.total > available:
        needed, there = mib(estimate.total), mib(available)
        log.warning("memory: about %s are needed and %s are free; %s", needed, there, estimate.advice)


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a device, of the host for the CPU; None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def first_batch(datamodule: Any) -> Any:
    """The first training batch, made in this process: no worker starts and no order changes."""
    loader = datamodule.train_dataloader()
    return loader.collate_fn([loader.dataset[draw] for draw in next(iter(loader.batch_sampler))])
