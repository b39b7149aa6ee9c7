"""A line in `train.log` now and then, for runs nobody watches."""

import logging
import math
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)


class ProgressLog(Callback):
    """Logs epoch, losses, seconds per epoch and the time left at the end of an epoch, at most every `every_seconds`.

    A progress bar leaves nothing in a log file; this does. The last epoch is always logged. Epochs that take long have
    lines inside too.

    Args:
        every_seconds: shortest time between two lines.
        prefixes: logged names that begin with one of these appear in the line.
        inside_seconds: time without a line behind which there is one inside of an epoch.
    """

    def __init__(
        self,
        every_seconds: float = 30.0,
        prefixes: tuple[str, ...] | list[str] = ("train/", "val/"),
        inside_seconds: float = 600.0,
    ) -> None:
        self.every_seconds = every_seconds
        self.inside_seconds = inside_seconds
        self.prefixes = tuple(prefixes)
        self._first_epoch = 0
        self._started = 0.0
        self._logged = 0.0
        self._epoch_started = 0.0
        self._first_batch: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._first_epoch = trainer.current_epoch
        self._started = self._logged = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._epoch_started, self._first_batch = time.monotonic(), None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._first_batch is None:  # not 0 in an epoch that a resumed run goes on with
            self._first_batch = batch_idx
        now = time.monotonic()
        if not trainer.is_global_zero or now - self._logged < self.inside_seconds:
            return
        self._logged = now
        done = batch_idx + 1
        total = trainer.num_training_batches
        parts = [f"epoch {trainer.current_epoch + 1}, batch {done}" + ("" if math.isinf(total) else f" of {total}")]
        for name, value in sorted(trainer.callback_metrics.items()):
            if name.startswith("train/") and name.endswith("_step"):
                parts.append(f"{name} {float(value):.4g}")
        if not math.isinf(total):
            per_batch = (now - self._epoch_started) / (done - self._first_batch)
            parts.append(f"about {duration(per_batch * (total - done))} left in this epoch")
        log.info("%s", ", ".join(parts))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        now = time.monotonic()
        epochs = trainer.current_epoch + 1
        last = trainer.max_epochs not in (None, -1) and epochs >= (trainer.max_epochs or 0)
        if not trainer.is_global_zero or (now - self._logged < self.every_seconds and not last):
            return
        self._logged = now
        per_epoch = (now - self._started) / max(1, epochs - self._first_epoch)
        log.info("%s", progress_line(trainer, epochs, per_epoch, self.prefixes))


def progress_line(trainer: Trainer, epochs: int, seconds_per_epoch: float, prefixes: tuple[str, ...]) -> str:
    """`epoch 12/200, train/loss 0.1234, val/loss 0.1400, 1.2 s per epoch, about 4 min left`."""
    limit = trainer.max_epochs
    parts = [f"epoch {epochs}" + ("" if limit in (None, -1) else f"/{limit}")]
    for name, value in sorted(trainer.callback_metrics.items()):
        if name.startswith(prefixes) and not name.endswith(("_step", "_epoch")):
            parts.append(f"{name} {float(value):.4g}")
    parts.append(f"{seconds_per_epoch:.3g} s per epoch")
    if limit not in (None, -1) and epochs < (limit or 0):
        parts.append(f"about {duration(seconds_per_epoch * ((limit or 0) - epochs))} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds in the unit a reader would choose: `45 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
