"""Callbacks, loggers and the Trainer of a resolved config; what Lightning refuses becomes an `InputError`."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError, MissingPackageError

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.loggers import Logger

log = logging.getLogger(__name__)


def build_callbacks(config: dict[str, Any]) -> list["Callback"]:
    """The callbacks of a config, without the bar and the summary that `trainer.enable_...=false` switches off.

    Raises:
        InputError: a callback refuses its arguments.
    """
    from lightning.pytorch.callbacks import ModelSummary, ProgressBar

    from entrypoints.runs import build

    callbacks = [build(node) for node in (config["callbacks"] or {}).values() if node]
    unwanted: list[type] = []
    # Lightning itself ends with an error when its own switch is off and a bar is among the callbacks.
    if not config["trainer"]["enable_progress_bar"]:
        unwanted.append(ProgressBar)
    if not config["trainer"]["enable_model_summary"]:
        unwanted.append(ModelSummary)
    return [callback for callback in callbacks if not isinstance(callback, tuple(unwanted))]


def check_optimizer(node: dict[str, Any]) -> None:
    """Try the optimizer's settings on one number: its class judges them only when it is made, deep inside the fit.

    Raises:
        InputError: it refuses a value.
    """
    import torch
    from hydra.errors import InstantiationException

    from entrypoints.runs import build

    try:
        build({**node, "_partial_": False}, params=[torch.nn.Parameter(torch.zeros(1))])
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise InputError(f"optimizer: {error.__cause__}; set optimizer.<key>=...") from error
        raise


def build_loggers(config: dict[str, Any]) -> list["Logger"]:
    """The loggers of a config.

    Raises:
        InputError: a logger refuses its arguments, or its package is not installed.
    """
    from hydra.errors import InstantiationException

    from entrypoints.runs import build

    loggers = []
    for name, node in (config["logger"] or {}).items():
        if not node:
            continue
        try:
            loggers.append(build(node))
        except InstantiationException as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                raise MissingPackageError(
                    f"logger.{name} needs a package that is not installed ({name}).\n"
                    f"Install it with: pip install {name} (or, in a checkout: pip install -e '.[{name}]'); "
                    "logger=csv needs none"
                ) from error
            raise
    return loggers


def build_trainer(
    config: dict[str, Any], callbacks: list["Callback"], loggers: list["Logger"], run_dir: Path
) -> "Trainer":
    """Lightning's Trainer.

    Raises:
        InputError: the machine or Lightning does not allow these settings, e.g. a GPU where there is none.
    """
    from hydra.errors import InstantiationException
    from lightning.pytorch.utilities.exceptions import MisconfigurationException

    from entrypoints.runs import build

    node = config["trainer"]
    for key in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        # Lightning takes a zero and divides by it later.
        if isinstance(node.get(key), int) and node[key] < 1:
            raise InputError(f"trainer.{key}={node[key]} must be at least 1")
    try:
        trainer: Trainer = build(node, callbacks=callbacks, logger=loggers or False, default_root_dir=str(run_dir))
    except InstantiationException as error:
        cause = error.__cause__
        if not isinstance(cause, MisconfigurationException | ValueError):
            raise
        chosen = ", ".join(f"{key}={node[key]}" for key in ("accelerator", "devices", "strategy", "precision"))
        raise InputError(
            f"trainer: {' '.join(str(cause).split())[:300]}\nFound {chosen}; trainer=cpu runs on any machine"
        ) from error
    if node.get("sync_batchnorm"):
        _check_batchnorm(trainer)
    return trainer


def _check_batchnorm(trainer: "Trainer") -> None:
    """Synchronised batch normalisation works between GPUs alone; elsewhere torch ends deep inside, or does nothing."""
    if trainer.strategy.root_device.type != "cuda":
        raise InputError(
            f"trainer.sync_batchnorm=true on {trainer.strategy.root_device.type}: torch synchronises batch "
            "normalisation between CUDA devices alone.\n"
            "Leave it false; processes then normalise by their own batches, as published"
        )
    if trainer.world_size == 1:
        log.info("trainer.sync_batchnorm=true changes nothing on one device")


def close_loggers() -> None:
    """The second job of a sweep must not write into the first one's wandb run."""
    wandb = sys.modules.get("wandb")
    if wandb is not None and getattr(wandb, "run", None) is not None:
        wandb.finish()
