"""Says before an ACTOR training starts how much memory it will take, and warns where there is less."""

import logging
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.run_card import update_run_card
from lightning_modules.actor.memory import MemoryEstimate, estimate_training_memory, mib
from lightning_modules.actor.module import ActorModule

log = logging.getLogger(__name__)


class TrainingMemory(Callback):
    """Logs an estimate at the start of the fit and puts it into `run.json` as `memory_estimate`.

    In the first process, for generators of ACTOR; other modules, `fast_dev_run` and compiled networks (which would
    compile for the few motions of the estimate) are left alone. The training draws the same numbers with and without.

    Args:
        run_dir: folder of `run.json`.
    """

    def __init__(self, run_dir: str) -> None:
        self.run_dir = Path(run_dir)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule = getattr(trainer, "datamodule", None)
        if not isinstance(pl_module, ActorModule) or datamodule is None or not trainer.is_global_zero:
            return
        if getattr(trainer, "fast_dev_run", False) or pl_module.net._compiled_call_impl is not None:
            return
        batch = first_batch(datamodule)
        try:
            estimate = estimate_training_memory(pl_module, batch, trainer.precision_plugin.train_step_context)
        except torch.OutOfMemoryError:
            log.warning("not even three motions fit into the memory of %s; %s", pl_module.device, _ADVICE)
            return
        log.info("memory: %s", estimate.line())
        free = free_bytes(pl_module.device)
        update_run_card(self.run_dir, {"memory_estimate": {**estimate.as_fields(), "free": free}})
        if free is not None:
            warn_if_short(estimate, free + estimate.weights)  # the weights are there already


_ADVICE = "lower data.batch_size or model.net.num_layers, or use model.body.jointstype=smpl or model.body.compact=true"


def warn_if_short(estimate: MemoryEstimate, available: int) -> None:
    """Warn where an estimate exceeds the bytes that there are for it."""
    if estimate.total > available:
        log.warning("memory: about %s are needed and %s are free; %s", mib(estimate.total), mib(available), _ADVICE)


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
