"""Exponential moving average of the weights."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from components.errors import InputError


class WeightEMA(WeightAveraging):
    """Keeps `average = decay * average + (1 - decay) * weights` and lets it stand in for the weights.

    Validation and test see the average, checkpoints hold it as `state_dict` (the raw weights beside it, for resume).
    Three things differ from Lightning's `EMAWeightAveraging`: the decay warms up, `min(decay, (1 + n) / (10 + n))`
    after n steps, so that early validations do not judge the initial weights; buffers are taken from the current model,
    as averaging would spoil index buffers; and a test of best.ckpt keeps the average that the file holds.

    Args:
        decay: between 0 and 1; the average looks back over about `1 / (1 - decay)` steps.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0.0 < decay < 1.0:
            raise InputError(f"callbacks.ema.decay={decay}: expected a number between 0 and 1, e.g. 0.999")
        super().__init__(use_buffers=False, multi_avg_fn=self._blend)
        self.decay = decay
        self._step = 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        if step_idx is None:
            return False
        self._step = step_idx
        return True

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            self._copy_buffers(pl_module)
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._copy_buffers(pl_module)
        super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._copy_buffers(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _copy_buffers(self, pl_module: LightningModule) -> None:
        if self._average_model is not None:
            for average, current in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                average.copy_(current)

    def _blend(self, average: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        decay = min(self.decay, (1 + self._step) / (10 + self._step))
        torch._foreach_lerp_(average, current, 1.0 - decay)
