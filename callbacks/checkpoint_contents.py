"""What makes our checkpoints self-contained: the key `troupe` with the run's config and data facts as plain data."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from components.errors import InputError
from components.files.checkpoint_entry import CHECKPOINT_KEY, troupe_entry
from components.files.plain_data import plain


class ConfigInCheckpoint(Callback):
    """Writes `{"format", "system", "experiment", "config", "facts"}` into every checkpoint and checks it on resume.

    With it `predict run=<file>` needs the checkpoint alone, and the file loads with `weights_only=True`.

    Args:
        system: which paper's system this is, e.g. "actor"; resuming from another system's checkpoint is refused.
        experiment: name of the experiment.
        config: the resolved run config as plain containers.
        facts: facts of the data; None = ask the datamodule's `facts()` when a checkpoint is written.
    """

    def __init__(
        self, system: str, experiment: str, config: Mapping[str, Any], facts: Mapping[str, Any] | None = None
    ) -> None:
        self.system = system
        self.experiment = experiment
        self.config = plain(config)
        self.facts = None if facts is None else plain(facts)

    def contents(self, trainer: Trainer) -> dict[str, Any]:
        """The value stored under `troupe`."""
        facts = self.facts
        if facts is None:
            ask = getattr(getattr(trainer, "datamodule", None), "facts", None)
            facts = plain(ask()) if callable(ask) else {}
        return troupe_entry(self.system, self.experiment, self.config, facts)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        for callback in trainer.checkpoint_callbacks:
            if getattr(callback, "save_weights_only", False):
                raise InputError(
                    "callbacks.*.save_weights_only=true: such files hold neither the config nor the optimiser.\n"
                    "Leave it false; `python -m entrypoints.convert source=troupe checkpoint=...` exports bare weights"
                )

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint[CHECKPOINT_KEY] = self.contents(trainer)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        found = checkpoint.get(CHECKPOINT_KEY)
        system = found.get("system") if isinstance(found, Mapping) else None
        if system != self.system:
            raise InputError(
                f"resume: the checkpoint belongs to {'the system ' + repr(system) if system else 'another program'}, "
                f"this run trains {self.system!r}.\n"
                "Name a run of the same experiment, or start afresh with resume=null"
            )
