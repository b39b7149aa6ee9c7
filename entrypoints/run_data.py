"""The data of a run, or others in the same layout that the user names, and its actions."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun

# The data of imported checkpoints.
DATAMODULES: dict[str, str] = {
    "actor": "datamodules.actor.ActorDataModule",
    "skeletonclip": "datamodules.skeletonclip.SkeletonDataModule",
}


def with_data(run: "LoadedRun", data: Mapping[str, Any]) -> dict[str, Any]:
    """The run's config with the data keys that were given; None counts as not given.

    Raises:
        InputError: an imported checkpoint, and `root` is not given.
    """
    stored = dict(run.config.get("data") or {})
    given = {key: value for key, value in data.items() if value is not None}
    if "_target_" not in stored:  # imported: it knows the layout of its motions, not where they are
        if "root" not in given:
            raise InputError(
                f"{run.checkpoint_path} was imported and knows no data.\nSay where they are: data.root=<folder>"
            )
        stored["_target_"] = DATAMODULES[run.system]
    return {**run.config, "data": {**stored, **given}}


def action_names(run: "LoadedRun") -> list[str]:
    """Names of the run's labels; `action_0`, ... where the checkpoint does not carry any."""
    named = run.facts.get("action_names")
    if named:
        return list(named)
    return [f"action_{label}" for label in range(run.config["model"]["net"]["num_classes"])]


def single_actions(names: Sequence[str]) -> list[str]:
    """Without the classes that stand for two actions at once (`walk+drink`); those come last."""
    return [name for name in names if "+" not in name]


def check_actions(run: "LoadedRun", datamodule: Any, trained: list[str]) -> None:
    """Raise where the data have other actions than the run was trained on.

    Raises:
        InputError: they differ; imported checkpoints have names by convention only and are not judged.
    """
    names = list(datamodule.action_names)
    if "imported_from" not in run.facts and trained != names:
        raise InputError(
            f"data.root={datamodule.root}: its actions are {', '.join(names)},\n"
            f"and the run was trained on {', '.join(trained)}.\nGive a folder with the same actions"
        )
