"""Averages of weights that stand in for the weights: in validation, in checkpoints and when training has ended."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn


class StandInAverage(WeightAveraging):
    """Base: validation and test see the average, checkpoints hold it as `state_dict`, the raw weights beside it.

    Two things differ from Lightning's `WeightAveraging`: buffers are treated by `refresh_buffers` before each use, and
    a test of best.ckpt keeps the average that the file holds. Until something was averaged (`has_average`) the weights
    stand for themselves.
    """

    @property
    def has_average(self) -> bool:
        """Whether there is an average to stand in."""
        return self._average_model is not None

    def refresh_buffers(self, pl_module: LightningModule) -> None:
        """Take the buffers of the current model: averaging would spoil index buffers."""
        if self._average_model is not None:
            for average, current in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                average.copy_(current)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and self.has_average:
            self.refresh_buffers(pl_module)
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.FITTING and self.has_average:
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.has_average:
            self.refresh_buffers(pl_module)
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self.has_average:
            self.refresh_buffers(pl_module)
            super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
