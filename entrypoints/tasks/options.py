"""Options of tasks: checked against their dataclass before anything heavy is imported, and where results go."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.files.atomic import check_writable, staging_folder
from components.spelling import did_you_mean
from entrypoints.annotations import mismatch
from entrypoints.config_check import ConfigError, Fault
from entrypoints.signatures import read_signature

log = logging.getLogger(__name__)

# Without actions=... a run of a data set with more classes shows only so many.
_MOST_ACTIONS = 24


def check_types(target: str, options: Mapping[str, Any], where: str) -> None:
    """Hold option values against the annotations of a dataclass, which is read, not imported.

    Raises:
        ConfigError: all faults together.
    """
    known = read_signature(target).parameters
    faults = []
    for key, value in options.items():
        if key not in known:
            faults.append(Fault(key, f"unknown key{did_you_mean(key, known)}"))
            continue
        annotation = known[key].annotation
        problem = mismatch(value, annotation) if annotation is not None else None
        if problem:
            faults.append(Fault(key, problem))
    raise_faults(faults, where)


def raise_faults(faults: list[Fault], where: str) -> None:
    """Raise what was found, if anything was.

    Raises:
        ConfigError: at least one fault.
    """
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigError("\n".join([f"ConfigError: {count} in {where}", *(f"  {fault}" for fault in faults)]))


def wanted_actions(actions: Sequence[str] | str | None, names: Sequence[str]) -> list[str]:
    """The actions that were asked for; without `actions=...` the first ones of the run."""
    if actions is not None:
        return [actions] if isinstance(actions, str) else list(actions)
    if len(names) > _MOST_ACTIONS:
        log.info("the run has %d actions; showing the first %d (choose with actions=[...])", len(names), _MOST_ACTIONS)
    return list(names[:_MOST_ACTIONS])


def choose_device(name: str) -> Any:
    """The torch device of `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        InputError: no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = f"{torch.cuda.device_count()} CUDA devices" if torch.cuda.is_available() else "no CUDA device"
        raise InputError(
            f"device={name} cannot be used here ({found}); expected auto, cpu, cuda, cuda:1, mps"
        ) from error
    return device


def stamped_folder(parent: Path) -> Path:
    """A folder that is not there yet, named after the time; the second one within a second gets a number."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names = (stamp, *(f"{stamp}_{number}" for number in range(2, 1000)))
    return next(parent / name for name in names if not (parent / name).exists())


@contextmanager
def result_folder(target: Path, force: bool = False) -> Iterator[Path]:
    """A folder to write into that becomes `target` when all is done; on an error nothing is left of it.

    Args:
        target: where the results belong.
        force: a target with files may be written into; files of the same names are replaced, others stay.

    Raises:
        InputError: the target has files and `force` is false, or cannot be written.
    """
    if target.exists() and not target.is_dir():
        raise InputError(f"output={target} is a file; expected a folder")
    if target.is_dir() and any(target.iterdir()) and not force:
        raise InputError(f"output={target} holds files already; choose another folder or add force=true")
    check_writable(target.parent, "output")
    try:
        with staging_folder(target) as staging:
            yield staging
            _merge(staging, target)
    except OSError as error:
        raise InputError(
            f"output={target}: cannot write there ({error.strerror or error}); choose another folder or free some space"
        ) from error


def _merge(source: Path, target: Path) -> None:
    if not target.exists():
        source.replace(target)
        return
    for item in sorted(source.iterdir()):
        if item.is_dir() and (target / item.name).is_dir():
            _merge(item, target / item.name)
        else:
            item.replace(target / item.name)
