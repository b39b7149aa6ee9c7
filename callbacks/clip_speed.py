"""Clips per second: whether a training waits for its videos shows as a number beside the losses."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from components.errors import InputError


class ClipSpeed(Callback):
    """Logs `data/clips_per_s`, over all processes: what training takes in, waiting for data included.

    Measured from log line to log line (`trainer.log_every_n_steps`), and over the epoch where that is shorter;
    validation and the first batch of an epoch, which waits for the workers to start, do not count.

    Args:
        entry: tensor of a batch whose first dimension counts the clips.
    """

    def __init__(self, entry: str = "clips") -> None:
        self.entry = entry
        self._clips = 0
        self._since: float | None = None
        self._logged = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._logged = False
        self._restart(None)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._restart(None)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._since is None:
            self._restart(now)
            return
        self._clips += self._count(batch)
        # When Lightning writes a line: after so many optimizer steps, counted through the epochs.
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every == 0 and now > self._since:
            self._log(pl_module, self._speed(trainer, now), on_step=True)
            self._logged = True
            self._restart(now)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._logged and self._since is not None and self._clips:
            self._log(pl_module, self._speed(trainer, time.monotonic()), on_step=False)

    def _restart(self, now: float | None) -> None:
        self._clips, self._since = 0, now

    def _count(self, batch: Any) -> int:
        clips = batch.get(self.entry) if isinstance(batch, dict) else None
        if not isinstance(clips, Tensor):
            raise InputError(f"callbacks.clip_speed.entry={self.entry}: batches have no tensor of that name")
        return len(clips)

    def _speed(self, trainer: Trainer, now: float) -> float:
        return self._clips * trainer.world_size / max(now - (self._since or now), 1e-9)

    @staticmethod
    def _log(pl_module: LightningModule, value: float, on_step: bool) -> None:
        pl_module.log("data/clips_per_s", value, on_step=on_step, on_epoch=not on_step, rank_zero_only=True)
