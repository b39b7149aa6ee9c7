"""`checkpoints/best.ckpt` and `checkpoints/last.ckpt`: whole files under stable names.

Lightning's `save_last=True` writes last.ckpt only in epochs whose score made it into the best ones, and its own writer
goes through the system's temporary folder and a copy, so a kill can leave half a file. Both matter for `resume=auto`.
"""

import errno
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks.running_means import add_sums, sums_so_far
from components.errors import InputError
from components.files.atomic import atomic_path
from components.files.checkpoint_entry import INSIDE_EPOCH_KEY
from components.spelling import did_you_mean

log = logging.getLogger(__name__)
# Batches between two agreements of several processes on whether it is time for a checkpoint.
_AGREE_EVERY = 20


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
    `LastCheckpoint` in the list of callbacks, so that it is `trainer.checkpoint_callback`. `best_epoch` is the epoch
    of the best value so far, counted from 1.

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
        self.best_epoch: int | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _set_up(super().setup, trainer, pl_module, stage)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self.best_epoch = state_dict.get("best_epoch")

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if str(self.monitor).startswith("val/"):
            self._check_monitor(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.fit_loop.epoch_loop.val_loop._has_run:
            self._check_monitor(trainer)
        super().on_train_epoch_end(trainer, pl_module)

    def _update_best_and_save(
        self, current: torch.Tensor, trainer: Trainer, monitor_candidates: dict[str, torch.Tensor]
    ) -> None:
        self.best_epoch = trainer.current_epoch + 1  # first: it is part of the file
        super()._update_best_and_save(current, trainer, monitor_candidates)

    def _check_monitor(self, trainer: Trainer) -> None:
        names = sorted(trainer.callback_metrics)
        if not names or self.monitor in names:
            return
        raise InputError(
            f"monitor.name={self.monitor}: nothing of that name is logged{did_you_mean(self.monitor, names)}; "
            "figures of a callback need it in callbacks=[...]\n"
            f"Logged: {', '.join(names)}"
        )


class LastCheckpoint(ModelCheckpoint):
    """`last.ckpt`: where a killed run goes on. Written after every n-th epoch, validated or not, and after the last.

    Long epochs have checkpoints inside them too, and a run goes on from these with the batch that would have come next
    and with the sums of the epoch so far, so that its curve is that of an uninterrupted run. That takes a batch sampler
    with a `start_batch` (those of `datamodules.samplers`, told `batch_to_load`), or a dataset with one; with another
    there are none. They are written behind whole optimizer steps and not where a validation follows.

    Args:
        dirpath: folder of the checkpoints.
        every_n_epochs: write after every n-th epoch; a kill loses at most n epochs.
        keep_every: true keeps the file of each of these epochs as well, as `epoch_<n>.ckpt`.
        every_n_minutes: longest time of training without a checkpoint, inside an epoch too; None = none inside.
        every_n_steps: the same by optimizer steps.
    """

    def __init__(
        self,
        dirpath: str,
        every_n_epochs: int = 1,
        keep_every: bool = False,
        every_n_minutes: float | None = None,
        every_n_steps: int | None = None,
    ) -> None:
        if every_n_epochs < 1:
            raise InputError(f"callbacks.checkpoint.every_n_epochs={every_n_epochs}: expected 1 or more")
        if every_n_minutes is not None and every_n_minutes <= 0:
            raise InputError(f"callbacks.checkpoint.every_n_minutes={every_n_minutes}: expected more than 0, or null")
        if every_n_steps is not None and every_n_steps < 1:
            raise InputError(f"callbacks.checkpoint.every_n_steps={every_n_steps}: expected 1 or more, or null")
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
        self.every_n_minutes = every_n_minutes
        self.every_n_steps = every_n_steps
        self._written_at = time.monotonic()
        self._due = False
        self._inside = False
        self._possible = False
        self._earlier: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        _set_up(super().setup, trainer, pl_module, stage)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._written_at = time.monotonic()
        wanted = self.every_n_minutes is not None or self.every_n_steps is not None
        self._possible = wanted and starts_inside_epochs(trainer.train_dataloader)
        if wanted and not self._possible:
            log.info("no checkpoints inside epochs: the training loader cannot start inside of one")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._earlier is not None:
            if self._earlier["epoch"] == trainer.current_epoch:
                add_sums(trainer, self._earlier["sums"])
            self._earlier = None
        if not self._possible:
            return
        self._due = self._due or self._is_time(trainer, batch_idx)
        if self._due and _is_safe(trainer, batch_idx) and not self._should_skip_saving_checkpoint(trainer):
            self._inside = True
            try:
                self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))
            finally:
                self._inside = False

    def _is_time(self, trainer: Trainer, batch_idx: int) -> bool:
        steps = trainer.global_step
        if self.every_n_steps is not None and steps > 0 and steps % self.every_n_steps == 0:
            return steps != self._last_global_step_saved
        if self.every_n_minutes is None:
            return False
        late = time.monotonic() - self._written_at >= self.every_n_minutes * 60
        if trainer.world_size == 1:
            return late
        # Clocks differ; all processes must come to the same answer.
        if (batch_idx + 1) % _AGREE_EVERY:
            return False
        return trainer.strategy.reduce_boolean_decision(late, all=False)

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        super()._save_checkpoint(trainer, filepath)
        self._written_at, self._due = time.monotonic(), False

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if self._inside:
            batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
            checkpoint[INSIDE_EPOCH_KEY] = {
                "epoch": trainer.current_epoch,
                "batches": batches.processed,
                "processes": trainer.world_size,
                "sums": sums_so_far(trainer),
            }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._earlier = checkpoint.get(INSIDE_EPOCH_KEY)
        if self._earlier is not None and self._earlier["processes"] != trainer.world_size:
            raise InputError(
                f"resume: the checkpoint was written inside epoch {self._earlier['epoch']} of a run on "
                f"{self._earlier['processes']} process(es), this run has {trainer.world_size}.\n"
                f"Go on with as many (trainer.devices, trainer.num_nodes), or take its weights alone: ckpt=<run>"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if getattr(trainer, "fast_dev_run", False) or not self.dirpath:
            return
        epochs = trainer.current_epoch + 1
        written = self._last_global_step_saved == trainer.global_step
        if written and self.keep_every and epochs % (self.every_n_epochs or 1) == 0:
            trainer.save_checkpoint(str(Path(self.dirpath) / f"epoch_{epochs}.ckpt"))
        if not written and (self._due or self._training_ends(trainer, epochs)):
            self._save_none_monitor_checkpoint(trainer, self._monitor_candidates(trainer))

    @staticmethod
    def _training_ends(trainer: Trainer, epochs: int) -> bool:
        epoch_limit = trainer.max_epochs not in (None, -1) and epochs >= trainer.max_epochs
        step_limit = trainer.max_steps not in (None, -1) and trainer.global_step >= trainer.max_steps
        return bool(epoch_limit or step_limit or trainer.should_stop)


def starts_inside_epochs(loader: Any) -> bool:
    """Whether a training loader can leave out the batches of an epoch that a resumed run has seen."""
    return any(hasattr(getattr(loader, part, None), "start_batch") for part in ("batch_sampler", "dataset"))


def _is_safe(trainer: Trainer, batch_idx: int) -> bool:
    """Whether Lightning goes on exactly from a checkpoint written behind this batch."""
    done = batch_idx + 1
    if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch or done >= trainer.num_training_batches:
        return False
    if done % trainer.accumulate_grad_batches:
        return False
    between = trainer.val_check_batch
    counted = trainer.fit_loop.total_batch_idx + 1 if trainer.check_val_every_n_epoch is None else done
    return not (isinstance(between, int) and counted % between == 0)


def _set_up(setup: Callable[..., None], trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
    """Lightning's set-up without its warning about a folder in use (ours is, after a resume), and with our writer.

    The writer stays out of the way where the user chose one.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Checkpoint directory .* exists and is not empty")
        setup(trainer, pl_module, stage)
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
        trainer.strategy.checkpoint_io = WholeFileCheckpointIO()
