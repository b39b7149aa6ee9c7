"""Mean of the weights that the last epochs end with."""

import logging
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.weight_averaging import StandInAverage
from components.errors import InputError

log = logging.getLogger(__name__)


class LastEpochsAverage(StandInAverage):
    """The mean of the weights at the ends of the last `epochs` epochs stands in for the weights.

    It steadies what label propagation scores with, which differs from one epoch to the next at the end of a training
    (a suggestion of the author of the contrastive random walk). Epoch `max_epochs - epochs` is the first one in the
    mean; until it ends the weights stand for themselves. From then on validation sees the mean up to and including the
    epoch that it ends, and checkpoints hold the mean, the raw weights beside it. Statistics of BatchNorm are averaged
    too; other buffers are those of the last epoch.

    Args:
        epochs: epochs in the mean; all of them where the training has fewer.
    """

    def __init__(self, epochs: int = 5) -> None:
        if epochs < 1:
            raise InputError(f"callbacks.last_average.epochs={epochs}: expected 1 or more")
        super().__init__(use_buffers=False)
        self.epochs = epochs

    @property
    def has_average(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit" and (trainer.max_epochs is None or trainer.max_epochs < 1):
            raise InputError(
                "callbacks.last_average needs to know the last epoch: set trainer.max_epochs, or use callbacks=ema"
            )
        super().setup(trainer, pl_module, stage)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # Behind the last batch and not behind the epoch, which ends with its validation.
        if not trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            return
        if trainer.current_epoch < (trainer.max_epochs or 0) - self.epochs:
            return
        average = self._average_model
        assert average is not None
        share = 1.0 / (int(average.n_averaged) + 1)
        before = [buffer.clone() for buffer in average.module.buffers()]
        average.update_parameters(pl_module)  # takes the current buffers as they are
        with torch.no_grad():
            for kept, earlier in zip(average.module.buffers(), before, strict=True):
                if kept.is_floating_point():
                    kept.copy_(torch.lerp(earlier, kept, share))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.has_average and not getattr(trainer, "fast_dev_run", False):
            log.warning(
                "callbacks.last_average: nothing was averaged, the weights are those of the last step. The mean begins "
                "with epoch %d of %s, and the training ended before (trainer.max_steps, max_time, early stopping)",
                max(0, (trainer.max_epochs or 0) - self.epochs) + 1, trainer.max_epochs,
            )  # fmt: skip
        super().on_train_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing: the epoch is in the mean already."""

    def refresh_buffers(self, pl_module: LightningModule) -> None:
        """Nothing: buffers are averaged with the weights."""

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if "averaging_state" in checkpoint:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
