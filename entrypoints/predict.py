"""`python -m entrypoints.predict run=<run> task=<name>`: a trained model on the user's own input."""

import importlib
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.spelling import did_you_mean
from entrypoints import cli
from entrypoints.config_check import ConfigError, Fault
from entrypoints.tasks.options import check_types

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# Which module performs a task for a run of a system. Each has `Options` (a dataclass) and `perform`.
TASKS: dict[str, dict[str, str]] = {
    "generate": {"actor": "entrypoints.tasks.generate"},
    "gallery": {"actor": "entrypoints.tasks.gallery"},
    "propagate": {"videowalk": "entrypoints.tasks.propagate"},
    "classify": {"skeletonclip": "entrypoints.tasks.classify"},
}
# Keys of the root config that belong to predict itself.
_OWN_KEYS = ("run", "paths", "hydra", "task")


def main() -> None:
    """Command line."""
    # Hydra would read `source=` as a choice of the group that `convert` knows by that name.
    sys.argv[1:] = [re.sub(r"^source=", "input=", text) for text in sys.argv[1:]]
    cli.run("predict", predict, needs=("task",))


def predict(cfg: "DictConfig") -> None:
    """One job under Hydra."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    folder = run_task(str(HydraConfig.get().runtime.choices["task"]), config.pop("run"), config)
    log.info("%s", folder)


def run_task(task: str, run: str, config: dict[str, Any]) -> Path:
    """Perform a task with a run.

    Args:
        task: name of the task.
        run: run folder or checkpoint.
        config: options by key; keys of the command itself are ignored.

    Returns:
        The folder with the results.

    Raises:
        InputError: unknown task, a task that this run's system does not offer, or bad options.
    """
    if task not in TASKS:
        raise ConfigError(
            str(Fault(f"task={task}", f"no such task{did_you_mean(task, TASKS)}; known: {_listing(TASKS)}"))
        )
    options = {key: value for key, value in config.items() if key not in _OWN_KEYS}
    for module in set(TASKS[task].values()):
        check_types(f"{module}.Options", options, f"task={task}")
    from entrypoints.runs import load_run

    loaded = load_run(run)
    offered = [name for name, systems in TASKS.items() if loaded.system in systems]
    if task not in offered:
        known = f"offers: {_listing(offered)}" if offered else "offers no task yet"
        raise InputError(
            f"task={task} needs a run of {' or '.join(TASKS[task])}, and {loaded.checkpoint_path} is of "
            f"'{loaded.system}', which {known}"
        )
    if loaded.is_recognizer:
        raise InputError(
            f"task={task} needs a model that makes motions, and {loaded.checkpoint_path} is a recogniser, which judges "
            f"them:\npython -m entrypoints.evaluate run=<run of actor or actor_mix> recognizer={loaded.run_dir}"
        )
    performer = importlib.import_module(TASKS[task][loaded.system])
    return performer.perform(loaded, performer.Options(**options))


def _listing(names: Any) -> str:
    return ", ".join(names)


if __name__ == "__main__":
    main()
