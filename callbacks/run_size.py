"""What a training amounts to, said before it begins, and where that is not what the paper's run had."""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.run_card import update_run_card
from components.errors import InputError

log = logging.getLogger(__name__)

# Keys of `reported` that are compared, with what changes each.
COMPARED = {
    "effective_batch": "data.batch_size, trainer.devices, trainer.accumulate_grad_batches",
    "repeat": "data.repeat",
    "epochs": "trainer.max_epochs",
}


class RunSize(Callback):
    """Logs effective batch, repeats, epochs and optimizer steps as the fit begins and writes them into `run.json`.

    Where the config says what a published run had (`reported`), every difference is a warning: learning rates of a
    table belong to its batch.

    Args:
        run_dir: folder of `run.json`.
        reported: what is known of the published run: `effective_batch`, `repeat`, `epochs`; a key that is missing or
            None is not compared. Other keys (its results) are for tables.

    Raises:
        InputError: `reported` has text where a number belongs.
    """

    def __init__(self, run_dir: str, reported: dict[str, Any] | None = None) -> None:
        self.run_dir = Path(run_dir)
        self.reported = dict(reported or {})
        for key in COMPARED:
            value = self.reported.get(key)
            if value is not None and not isinstance(value, int | float):
                raise InputError(f"reported.{key}={value}: expected a number, or null where it is not known")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        size = run_size(trainer)
        log.info("%s", describe(size))
        different = differences(size, self.reported)
        for key, (found, expected) in different.items():
            log.warning(
                "%s is %s, and %s in the published run; learning rates belong to it (%s)",
                key.replace("_", " "), found, expected, COMPARED[key],
            )  # fmt: skip
        fields: dict[str, Any] = {"repeat": size["repeat"], "planned_steps": size["steps"]}
        if size["effective_batch"] is not None:
            fields["effective_batch"] = size["effective_batch"]
        if self.reported:
            fields["reported"] = self.reported
            fields["differs_from_reported"] = {
                key: {"this_run": found, "reported": expected} for key, (found, expected) in different.items()
            }
        update_run_card(self.run_dir, fields)


def run_size(trainer: Trainer) -> dict[str, int | None]:
    """Numbers of a fit that is about to begin; None for what cannot be known.

    `batch` is that of one process, `effective_batch` that of one optimizer step, `repeat` how often an epoch goes over
    the data, `epochs` and `steps` what the trainer will do.
    """
    batch = _batch_size(trainer)
    steps = trainer.estimated_stepping_batches
    repeat = getattr(getattr(trainer, "datamodule", None), "repeat", None)
    return {
        "batch": batch,
        "devices": trainer.world_size,
        "accumulate": trainer.accumulate_grad_batches,
        "effective_batch": None if batch is None else batch * trainer.world_size * trainer.accumulate_grad_batches,
        "repeat": repeat if isinstance(repeat, int) else 1,
        "epochs": trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else None,
        "steps": int(steps) if math.isfinite(steps) and steps >= 0 else None,
    }


def describe(size: Mapping[str, int | None]) -> str:
    """One line for the log."""
    batch = "unknown batch" if size["batch"] is None else f"effective batch {size['effective_batch']}"
    parts = [f"{size['batch']} x {_counted(size['devices'] or 1, 'device')}"]
    if size["accumulate"] != 1:
        parts.append(f"{size['accumulate']} accumulated")
    epochs = "no number of epochs" if size["epochs"] is None else _counted(size["epochs"], "epoch")
    passes = epochs if size["repeat"] in (1, None) else f"{size['repeat']} repeats x {epochs}"
    inside = "" if size["batch"] is None else f" ({' x '.join(parts)})"
    return f"{batch}{inside}, {passes}, {'endless steps' if size['steps'] is None else _counted(size['steps'], 'step')}"


def differences(size: Mapping[str, int | None], reported: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What is known of both and not the same: `{key: (this run, reported)}`."""
    pairs = {key: (size[key], reported.get(key)) for key in COMPARED}
    return {key: pair for key, pair in pairs.items() if None not in pair and pair[0] != pair[1]}


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _batch_size(trainer: Trainer) -> int | None:
    """Samples of one batch of one process, by the training loader or else by the datamodule."""
    loader = trainer.train_dataloader
    for holder in (loader, getattr(loader, "batch_sampler", None), getattr(trainer, "datamodule", None)):
        value = getattr(holder, "batch_size", None)
        if isinstance(value, int):
            return value
    return None
