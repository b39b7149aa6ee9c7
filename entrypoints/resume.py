"""`resume=auto|<path>`: which folder a run goes on in, and from which checkpoint."""

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from callbacks.run_card import process_is_gone, read_run_card
from components.errors import InputError
from entrypoints.runs import folder_of

log = logging.getLogger(__name__)
# Keys whose change does not change what a resumed run computes.
_FREE = ("resume", "paths", "logger", "callbacks", "hydra")


def redirect(overrides: list[str], config: DictConfig) -> list[str]:
    """Overrides that send a resumed run into the folder it began in; none for a new run or a sweep.

    Raises:
        InputError: `resume=<path>` leads nowhere.
    """
    given = {text.split("=")[0] for text in overrides}
    if config.resume is None or str(config.hydra.mode).endswith("MULTIRUN") or "hydra.sweep.dir" in given:
        return []
    if config.resume == "auto":
        if "hydra.run.dir" in given:
            return []
        experiment = config.hydra.runtime.choices.experiment
        folder = newest_unfinished(Path(config.paths.output_dir) / str(experiment))
        if folder is None:
            print(f"resume=auto: no unfinished run of {experiment} with a checkpoint; starting a new one")
            return []
    else:
        folder = _run_folder(Path(config.resume).expanduser())
    for line in differences(folder, config):
        print(f"resume: {line}")
    print(f"resume: continuing in {folder}")
    return [f"hydra.run.dir={folder}"]


def checkpoint_to_resume(resume: str | None, run_dir: Path) -> Path | None:
    """The checkpoint that training continues from, None for a fresh start.

    Raises:
        InputError: `resume=<path>` names no checkpoint.
    """
    if resume is None:
        return None
    last = run_dir / "checkpoints" / "last.ckpt"
    if resume == "auto":
        return last if last.is_file() else None
    path = Path(resume).expanduser()
    if path.is_file():
        return path
    found = path / "checkpoints" / "last.ckpt"
    if not found.is_file():
        raise InputError(f"resume={resume}: {found} does not exist; give a run folder, a checkpoint file or auto")
    return found


def newest_unfinished(folder: Path) -> Path | None:
    """The newest run folder that did not finish, has a checkpoint, and is not still being written."""
    runs = sorted((file.parent for file in folder.glob("*/run.json")), key=lambda path: path.name, reverse=True)
    for run_dir in runs:
        card = read_run_card(run_dir) or {}
        if card.get("status") == "finished" or not (run_dir / "checkpoints" / "last.ckpt").is_file():
            continue
        if card.get("status") == "running" and not process_is_gone(card):
            continue
        return run_dir
    return None


def differences(folder: Path, config: DictConfig) -> list[str]:
    """Keys that differ between a run's stored config and today's, `key: was -> now`."""
    file = folder / ".hydra" / "config.yaml"
    if not file.is_file():
        return []
    before = _flat(OmegaConf.to_container(OmegaConf.load(file), resolve=False))
    now = _flat(OmegaConf.to_container(config, resolve=False))
    keys = sorted(key for key in {*before, *now} if key.split(".")[0] not in _FREE)
    missing = "(absent)"
    return [
        f"{key} was {before.get(key, missing)}, is now {now.get(key, missing)}"
        for key in keys
        if before.get(key, missing) != now.get(key, missing)
    ]


def _run_folder(path: Path) -> Path:
    if path.is_file():
        return folder_of(path)
    if not path.is_dir():
        raise InputError(f"resume={path} does not exist; give a run folder, a checkpoint file or auto")
    return path


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        return {
            key: value
            for name, child in node.items()
            for key, value in _flat(child, f"{path}.{name}".strip(".")).items()
        }
    return {path: node}
