"""When pictures of a run are drawn, and what happens if that fails."""

import logging

from lightning.pytorch import Callback, LightningModule, Trainer

from components.errors import InputError

log = logging.getLogger(__name__)


class PeriodicPictures(Callback):
    """Draws every few epochs and at the end of the fit, in the first process, never in a `fast_dev_run`.

    A picture is not worth a training: input errors of a drawing become warnings.

    Args:
        every_n_epochs: epochs between two drawings; 0 = at the end only.
    """

    # What is drawn, for the warning.
    subject = "pictures"

    def __init__(self, every_n_epochs: int) -> None:
        self.every_n_epochs = every_n_epochs

    def draw_now(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw and write.

        Raises:
            InputError: it cannot be drawn or written.
        """
        raise NotImplementedError

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # At the start of an epoch, because the last one's numbers are logged after its hooks have run.
        done = trainer.current_epoch
        if self.every_n_epochs > 0 and done > 0 and done % self.every_n_epochs == 0:
            self._draw(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._draw(trainer, pl_module)

    def _draw(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        try:
            self.draw_now(trainer, pl_module)
        except InputError as error:
            log.warning("no %s: %s", self.subject, error)
