"""Reports clips that could not be read: in the log, as a logged quantity, and as a list beside the data."""

import logging

from lightning.pytorch import Callback, LightningModule, Trainer

from components.errors import InputError

log = logging.getLogger(__name__)


class FailedClips(Callback):
    """After each training epoch adds up what all processes could not read so far.

    Logs `data/failed_clips` (their number since the run started or was resumed), warns when it has grown, and has the
    data module write its list of them. Does nothing where the data module counts no failures.
    """

    def __init__(self) -> None:
        self._told = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        gather = getattr(getattr(trainer, "datamodule", None), "gather_failures", None)
        if not callable(gather):
            return
        failures = gather()
        # The same on all processes: it is a sum over them already.
        pl_module.log("data/failed_clips", float(failures.failed), rank_zero_only=True)
        if not trainer.is_global_zero or failures.failed <= self._told:
            return
        self._told = failures.failed
        try:
            place = trainer.datamodule.write_failures()  # type: ignore[attr-defined]
        except InputError as error:  # a full disk is no reason to stop a training
            log.warning("%s", error)
            place = "not written"
        log.warning(
            "epoch %d: %d of %d clips could not be read so far, others took their place (%s); the list: %s",
            trainer.current_epoch, failures.failed, failures.asked, failures.examples(), place,
        )  # fmt: skip
