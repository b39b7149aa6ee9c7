"""Figures that cost more than a validation step: measured by the first process, logged by all."""

from typing import Any, ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from components.errors import InputError


class ValidationFigures(Callback):
    """Base: measures figures of the weights that are validated, and logs them as `val/<name>`.

    With `callbacks=ema` or `last_average` these weights are the average. The first process measures and tells the
    others, so any figure may be the monitor; an input error that it meets ends all of them.

    Args:
        every_n_epochs: epochs between two looks, in epochs that validate; 0 = at every validation.
    """

    # Name in `callbacks.<key>`, and of what is logged.
    key: ClassVar[str]
    figures: ClassVar[tuple[str, ...]]

    def __init__(self, every_n_epochs: int = 0) -> None:
        if every_n_epochs < 0:
            raise InputError(f"callbacks.{self.key}.every_n_epochs={every_n_epochs} must be at least 0")
        self.every_n_epochs = every_n_epochs
        self._ready = False
        self._found: dict[str, float] | str | None = None

    def prepare(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Called once before the fit, in every process.

        Raises:
            InputError: these figures cannot be measured in this run.
        """
        raise NotImplementedError

    def measured(self, trainer: Trainer, pl_module: LightningModule, trial: bool) -> dict[str, float]:
        """Figures by name, of the module's present weights.

        Args:
            trainer: of the run.
            pl_module: stays as it is, its mode and torch's global generators too.
            trial: before the training: little data, to see that everything fits.

        Raises:
            InputError: a file is bad.
        """
        raise NotImplementedError

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self._check_monitor(trainer)
            self.prepare(trainer, pl_module)
            self._ready = True

    def _check_monitor(self, trainer: Trainer) -> None:
        monitors = {getattr(callback, "monitor", None) for callback in trainer.checkpoint_callbacks}
        named = [f"val/{name}" for name in self.figures if f"val/{name}" in monitors]
        interval = trainer.check_val_every_n_epoch or 1
        if named and self.every_n_epochs and interval % self.every_n_epochs:
            raise InputError(
                f"monitor.name={named[0]}, but callbacks.{self.key}.every_n_epochs={self.every_n_epochs} leaves it "
                f"out of some validations (trainer.check_val_every_n_epoch={interval}).\n"
                f"Set callbacks.{self.key}.every_n_epochs=0"
            )

    # Not at the start of the validation epoch: only now do all callbacks stand in their averaged weights.
    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if batch_idx == 0 and dataloader_idx == 0 and self._is_due(trainer) and trainer.is_global_zero:
            try:
                self._found = self.measured(trainer, pl_module, trainer.sanity_checking)
            except InputError as error:
                if trainer.world_size == 1:
                    raise
                # The others wait for these figures: they are told before anybody stops.
                self._found = str(error)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._is_due(trainer):
            return
        found = trainer.strategy.broadcast(self._found)
        self._found = None
        if isinstance(found, str):
            raise InputError(found)
        if found is not None:  # None: there is nothing to validate
            named = {f"val/{name}": value for name, value in found.items()}
            pl_module.log_dict(named, on_step=False, on_epoch=True, batch_size=1)

    def _is_due(self, trainer: Trainer) -> bool:
        if not self._ready:
            return False
        every = self.every_n_epochs
        return trainer.sanity_checking or every == 0 or (trainer.current_epoch + 1) % every == 0
