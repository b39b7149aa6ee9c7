"""Stops a training whose loss is no longer a number."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from components.errors import FailedJob, InputError


class TrainingDiverged(FailedJob):
    """The loss became infinite or NaN. A failure of the run, not of its input."""


class DivergenceGuard(Callback):
    """Stops the run within `every_n_steps` steps of the first non-finite loss, naming that step and the terms.

    Steps are judged on the device; the answer is fetched every `every_n_steps` batches and at the end of an epoch, so
    no step waits for the device. All processes stop together.

    Args:
        every_n_steps: batches between two looks; 1 looks after every batch.
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise InputError(f"callbacks.divergence_guard.every_n_steps={every_n_steps}: expected 1 or more")
        self.every_n_steps = every_n_steps
        # Per term of the loss: the first step at which it was not finite, or the sentinel; on the training device.
        self._first_bad: dict[str, Tensor] = {}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        for name, value in _loss_terms(outputs).items():
            first = self._first_bad.get(name)
            if first is None:
                first = torch.full((), _NEVER, dtype=torch.int64, device=value.device)
            here = torch.where(torch.isfinite(value).all(), _NEVER, step)
            self._first_bad[name] = torch.minimum(first, here)
        if (batch_idx + 1) % self.every_n_steps == 0:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        bad = {name: int(first) for name, first in self._first_bad.items() if int(first) != _NEVER}
        # A rank that stops alone would leave the others waiting for it.
        if not trainer.strategy.reduce_boolean_decision(bool(bad), all=False):
            return
        raise TrainingDiverged(_message(trainer, bad))


_NEVER = torch.iinfo(torch.int64).max


def _loss_terms(outputs: Any) -> dict[str, Tensor]:
    """Scalar terms of what `training_step` returned: a loss, or a dict with the key `loss` and named terms."""
    if isinstance(outputs, Tensor):
        return {"loss": outputs.detach()}
    if isinstance(outputs, Mapping):
        return {str(k): v.detach() for k, v in outputs.items() if isinstance(v, Tensor) and v.is_floating_point()}
    return {}


def _message(trainer: Trainer, bad: Mapping[str, int]) -> str:
    remedies = ["a smaller optimizer.lr", "trainer.gradient_clip_val=1"]
    if str(trainer.precision).startswith("16"):
        remedies.append("trainer.precision=bf16-mixed")
    advice = f"Try {', '.join(remedies)}; trainer.detect_anomaly=true finds the operation. last.ckpt is kept"
    if not bad:
        return f"the loss on another process is not finite (epoch {trainer.current_epoch})\n{advice}"
    step = min(bad.values())
    terms = sorted(name for name, first in bad.items() if first == step and name != "loss") or _logged_terms(trainer)
    return f"the loss is not finite since step {step} (epoch {trainer.current_epoch}): {', '.join(terms)}\n{advice}"


def _logged_terms(trainer: Trainer) -> list[str]:
    """Logged training quantities that are not finite, for modules that return the loss alone."""
    results = getattr(trainer, "_results", None) or {}
    logged = {metric.meta.name: metric.value for metric in results.values() if isinstance(metric.value, Tensor)}
    names = sorted(name for name, value in logged.items() if name.startswith("train/") and not value.isfinite().all())
    return [name for name in names if name != "train/loss"] or ["loss"]
