"""How well motions of several lengths are reconstructed, before and after a training."""

import copy
import csv
import dataclasses
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from components.errors import InputError
from components.files.atomic import write_text
from datamodules.actor.collate import collate_motions
from lightning_modules.actor.networks.cvae import ActorCVAE

log = logging.getLogger(__name__)


class DurationReport(Callback):
    """Writes `durations.csv`: the reconstruction error `rc` of the evaluation clips at several lengths.

    Every clip is cut (or prolonged by its last frame, as in training) to each length and reconstructed from the mean
    of its latent. Measured when the fit begins, so after `ckpt` is loaded, and when it ends; a resumed fit keeps the
    figures of the first beginning. The first process measures, without random numbers.

    Args:
        run_dir: run folder.
        frames: lengths, frames.

    Raises:
        InputError: lengths below 1 or none.
    """

    def __init__(self, run_dir: str, frames: Sequence[int] = (60, 80, 100)) -> None:
        if not frames or any(count < 1 for count in frames):
            raise InputError(f"callbacks.durations.frames={list(frames)}: expected lengths of at least 1 frame")
        self.file = Path(run_dir) / "durations.csv"
        self.frames = sorted(set(frames))
        self.before: dict[int, float] | None = None

    def state_dict(self) -> dict[str, list[list[float]]]:
        return {"before": [[count, error] for count, error in (self.before or {}).items()]}

    def load_state_dict(self, state_dict: dict[str, list[list[float]]]) -> None:
        self.before = {int(count): error for count, error in state_dict["before"]} or None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._wanted(trainer) and self.before is None:
            self.before = self.measure(pl_module, trainer.datamodule)  # type: ignore[attr-defined]

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self._wanted(trainer) or self.before is None:
            return
        after = self.measure(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["frames", "rc_before", "rc_after"])
        for count in self.frames:
            was = self.before.get(count)
            rows.writerow([count, "" if was is None else f"{was:.6g}", f"{after[count]:.6g}"])
            if was is not None:
                log.info("%d frames: rc %.5f before, %.5f after", count, was, after[count])
        write_text(self.file, text.getvalue())

    @staticmethod
    def _wanted(trainer: Trainer) -> bool:
        return trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False)

    @torch.no_grad()
    def measure(self, pl_module: LightningModule, datamodule: object) -> dict[int, float]:
        """Mean squared error of the pose features of all evaluation clips, by length.

        Args:
            pl_module: has the network as `net`.
            datamodule: has the evaluation clips as `val_set` and knows `batch_size`.
        """
        net = cast(ActorCVAE, pl_module.net)
        training = net.training
        net.eval()
        result = {}
        for count in self.frames:
            # Pairs of actions that are classes of their own are left out.
            val_set = datamodule.val_set  # type: ignore[attr-defined]
            clips = copy.copy(getattr(val_set, "originals", val_set))
            clips.sampling = dataclasses.replace(clips.sampling, num_frames=count, min_len=-1, max_len=-1)
            total = 0.0
            for rows in torch.arange(len(clips)).split(datamodule.batch_size):  # type: ignore[attr-defined]
                batch = collate_motions([clips[int(row)] for row in rows])
                motion, mask, action, second = (
                    batch[key].to(pl_module.device)  # type: ignore[literal-required]
                    for key in ("motion", "mask", "action", "second_action")
                )
                noise = motion.new_zeros(len(motion), net.sizes.latent_dim)
                made = net(motion, mask, action, second, noise=noise).motion
                errors = (made.float() - motion).square().mean(dim=(1, 2)) * mask  # [B, T]
                total += float((errors.sum(1) / mask.sum(1)).sum())
            result[count] = total / max(len(clips), 1)
        net.train(training)
        return result
