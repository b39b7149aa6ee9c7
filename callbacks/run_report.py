"""Keeps `run.json` up to date while the trainer works."""

import logging
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.run_card import update_run_card
from components.errors import InputError
from components.files.plain_data import plain

log = logging.getLogger(__name__)


class RunReport(Callback):
    """Adds to `run.json` what only the trainer knows: effective batch, epochs, steps, speed, data facts, best score.

    Written by rank 0 at the start of the fit, at most every `every_seconds` at the end of an epoch, at the end of the
    fit and when an exception passes. Status and error stay with the entry point, which also sees what happens before
    and after the fit.

    Args:
        run_dir: folder of `run.json`.
        every_seconds: shortest time between two writes during training.
    """

    def __init__(self, run_dir: str, every_seconds: float = 10.0) -> None:
        self.run_dir = Path(run_dir)
        self.every_seconds = every_seconds
        self._samples = 0
        self._batches = 0
        self._train_seconds = 0.0
        self._clock: float | None = None
        self._written = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        parameters = sum(p.numel() for p in pl_module.parameters() if p.requires_grad)
        self._write(
            {
                "max_epochs": trainer.max_epochs,
                "max_steps": trainer.max_steps,
                "world_size": trainer.world_size,
                "nodes": trainer.num_nodes,
                "accelerator": type(trainer.accelerator).__name__.removesuffix("Accelerator").lower(),
                "precision": str(trainer.precision),
                "parameters": parameters,
                "facts": _data_facts(trainer),
            }
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:
            self._write({"batches_per_epoch": _finite(trainer.num_training_batches)})

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._clock is None:
            self._clock = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        size = _batch_size(batch)
        self._samples += size
        self._batches += 1
        if self._batches == 1 and trainer.is_global_zero and size:
            accumulate = trainer.accumulate_grad_batches
            self._write(
                {
                    "batch_per_process": size,
                    "accumulate_grad_batches": accumulate,
                    "effective_batch": size * trainer.world_size * accumulate,
                }
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()
        if trainer.is_global_zero and time.monotonic() - self._written >= self.every_seconds:
            self._write(self._progress(trainer, trainer.current_epoch + 1))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()
        if trainer.is_global_zero:
            # Lightning has already counted the last epoch here.
            self._write(self._progress(trainer, trainer.current_epoch))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._pause()
        if not trainer.is_global_zero:
            return
        try:
            self._write(self._progress(trainer, trainer.current_epoch))
        except InputError as error:  # a full disk must not hide the exception that is passing
            if str(error) != str(exception):  # data at fault say the same when asked for their facts
                log.warning("%s", error)

    def _progress(self, trainer: Trainer, epochs: int) -> dict[str, Any]:
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        best_epoch = getattr(trainer.checkpoint_callback, "best_epoch", None)
        speed = self._samples * trainer.world_size / self._train_seconds if self._train_seconds > 0 else None
        return {
            "epochs": epochs,
            "steps": trainer.global_step,
            "train_seconds": round(self._train_seconds, 2),
            "samples_per_second": None if speed is None else round(speed, 2),
            "best_score": None if best is None else float(best),
            "best_epoch": best_epoch,
            # Some are only known after reading: clips that failed.
            "facts": _data_facts(trainer),
        }

    def _pause(self) -> None:
        if self._clock is not None:
            self._train_seconds += time.monotonic() - self._clock
            self._clock = None

    def _write(self, fields: dict[str, Any]) -> None:
        self._written = time.monotonic()
        update_run_card(self.run_dir, fields)


def _data_facts(trainer: Trainer) -> dict[str, Any]:
    """The datamodule's own account of its data, empty where it has none."""
    facts = getattr(getattr(trainer, "datamodule", None), "facts", None)
    return plain(facts()) if callable(facts) else {}


def _batch_size(batch: Any) -> int:
    """Length of the first tensor found in a batch: every batch type here has samples in dimension 0."""
    if hasattr(batch, "shape"):
        return int(batch.shape[0]) if batch.ndim else 0
    if isinstance(batch, dict):
        batch = list(batch.values())
    elif hasattr(batch, "__dataclass_fields__"):
        batch = [getattr(batch, name) for name in batch.__dataclass_fields__]
    if isinstance(batch, list | tuple):
        for item in batch:
            if size := _batch_size(item):
                return size
    return 0


def _finite(number: float) -> int | None:
    return None if number == float("inf") else int(number)
