"""The entry that makes a checkpoint of ours self-contained: from it alone model and data can be rebuilt."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from components.files.plain_data import plain

CHECKPOINT_KEY = "troupe"
# Of checkpoints written inside an epoch: which one, how many of its batches are done, and the sums that are logged when
# it ends. Epochs and batches count per process.
INSIDE_EPOCH_KEY = "inside_epoch"
# Raise it when a file of another layout could be misread.
CHECKPOINT_FORMAT = 1


def troupe_entry(system: str, experiment: str, config: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a checkpoint, as plain data.

    Args:
        system: the paper, e.g. "actor".
        experiment: name of the experiment.
        config: the resolved run config.
        facts: facts of the data.

    Raises:
        TypeError: a value has no plain form.
    """
    return {
        "format": CHECKPOINT_FORMAT,
        "system": system,
        "experiment": experiment,
        "config": plain(config),
        "facts": plain(facts),
    }


def imported_checkpoint(
    system: str, experiment: str, config: Mapping[str, Any], facts: Mapping[str, Any], state: Mapping[str, Any],
    epoch: int = 0, step: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Weights of somebody else as a checkpoint in Lightning's layout; a training starts afresh from it.

    Args:
        system: the paper.
        experiment: the one that comes nearest.
        config: its resolved config with the sizes of the file.
        facts: what is known of the data.
        state: weights of `module.net`.
        epoch, step: how long it was trained, 0 where unknown.
    """
    return {
        "state_dict": {f"net.{name}": value for name, value in state.items()},
        "epoch": epoch,
        "global_step": step,
        "pytorch-lightning_version": version("lightning"),
        "loops": {},
        "optimizer_states": [],
        "lr_schedulers": [],
        CHECKPOINT_KEY: troupe_entry(system, experiment, config, facts),
    }
