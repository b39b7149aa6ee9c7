"""`checkpoints/best.ckpt` and `checkpoints/last.ckpt`: whole files under stable names.

Lightning's `save_last=True` writes last.ckpt only in epochs whose score made it into the best ones, and its own writer
goes through the system's temporary folder and a copy, so a kill can leave half a file. Both matter for `resume=auto`.
"""

import errno
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from components.errors import InputError
from components.files.atomic import atomic_path
from components.spelling import did_you_mean


class WholeFileCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it, straight to disk without a second copy in memory."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with atomic_path(path) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:
                # torch's zip writer reports a full disk or a vanished folder in its own words.
                if any(word in str(error) for word in ("PytorchStreamWriter", "unexpected pos", "does not exist")):
                    raise OSError(
                        errno.ENOSPC, "the checkpoint could not be written whole (is the disk full?)"
                    ) from error
                raise


class BestCheckpoint(ModelCheckpoint):
    """`best.ckpt`: the weights with the best monitored value so far, under a name that does not change.

    Compared after every validation; `trainer.check_val_every_n_epoch` says how often that is. Stands before
    `LastCheckpoint` in the list of callbacks, so that it is `trainer.checkpoint_callback`.

    Args:
        dirpath: folder of the checkpoints.
        monitor: logged name of the quantity that decides, e.g. "val/loss".
        mode: "min" or "max".
        filename: stem of the file.
    """

    def __init__(
        self,
        dirpath: str,
        monitor: str,
        mode: str = "min",
        filename: str = "best",
    ) -> None:
        if mode not in ("min", "max"):
            raise InputError(f"monitor.mode={mode}: expected min or max")
        super().__init__(
            dirpath=dirpath,
            filename=filename,
            monitor=monitor,
            mode=mode,
            save_top_k=1,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _set_up(super().setup, trainer, pl_module, stage)

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if str(self.monitor).startswith("val/"):
            self._check_monitor(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.fit_loop.epoch_loop.val_loop._has_run:
            self._check_monitor(trainer)
        super().on_train_epoch_end(trainer, pl_module)

    def _check_monitor(self, trainer: Trainer) -> None:
        names = sorted(trainer.callback_metrics)
        if not names or self.monitor in names:
            return
        raise InputError(
            f"monitor.name={self.monitor}: nothing of that name is logged{did_you_mean(self.monitor, names)}\n"
            f"Logged: {', '.join(names)}"
        )


class LastCheckpoint(ModelCheckpoint):
    """`last.ckpt`: where a killed run goes on. Written after every n-th epoch, validated or not, and after the last.

    Args:
        dirpath: folder of the checkpoints.
        every_n_epochs: write after every n-th epoch; a kill loses at most n epochs.
        keep_every: true keeps the file of each of these epochs as well, as `epoch_<n>.ckpt`.
    """

    def __init__(self, dirpath: str, every_n_epochs: int = 1, keep_every: bool = False) -> None:
        if every_n_epochs < 1:
            raise InputError(f"callbacks.checkpoint.every_n_epochs={every_n_epochs}: expected 1 or more")
        super().__init__(
            dirpath=dirpath,
            filename="last",
            save_top_k=1,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=True,
            auto_insert_metric_name=False,
            enable_version_counter=False,
        )
        self.keep_every = keep_every

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _set_up(super().setup, trainer, pl_module, stage)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if getattr(trainer, "fast_dev_run", False) or not self.dirpath:
            return
        epochs = trainer.current_epoch + 1
        written = self._last_global_step_saved == trainer.global_step
        if written and self.keep_every and epochs % (self.every_n_epochs or 1) == 0:
            trainer.save_checkpoint(str(Path(self.dirpath) / f"epoch_{epochs}.ckpt"))
        if not written and self._training_ends(trainer, epochs):
            self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))

    @staticmethod
    def _training_ends(trainer: Trainer, epochs: int) -> bool:
        epoch_limit = trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs
        step_limit = trainer.max_steps not in (None, -1) and trainer.global_step >= trainer.max_steps
        return bool(epoch_limit or step_limit or trainer.should_stop)


def _set_up(setup: Callable[..., None], trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
    """Lightning's set-up without its warning about a folder in use (ours is, after a resume), and with our writer.

    The writer stays out of the way where the user chose one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        setup(trainer, pl_module, stage)
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeFileCheckpointIO()
