"""`inherit`: an experiment that goes on from a trained run (`ckpt`) takes sizes, pose format and data from it.

The values join the command line as overrides, before anything is checked: the run folder shows them, and the same
command with them written out does the same. What the user writes on the command line wins.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from components.errors import InputError


def inherited(overrides: list[str], config: DictConfig) -> list[str]:
    """Overrides that bring the values of `inherit.keys` from the config stored in `ckpt`.

    A value that today's config takes from another key (`${data.num_frames}`) stays so where it did in the stored run.

    Args:
        overrides: the command line.
        config: what it composes to, unchecked.

    Raises:
        InputError: the experiment inherits and `ckpt` names no run, several runs, or one of another system or model.
    """
    wanted = OmegaConf.select(config, "inherit.keys") or []
    if not wanted:
        return []
    given = {text.split("=")[0].lstrip("+~").split("@")[0] for text in overrides}
    stored = _stored_config(config)
    excepted = [*(OmegaConf.select(config, "inherit.except") or []), *given]
    plain: Any = OmegaConf.to_container(config, resolve=False)
    found = []
    for key in wanted:
        for path, text in _changes(_at(plain, key), _at(stored, key), key, stored):
            if not any(_overlaps(path, other) for other in excepted):
                found.append(text)
    return found


def differing_keys(config: Mapping[str, Any], stored: Mapping[str, Any], key: str) -> list[tuple[str, Any, Any]]:
    """Leaves below a key that two resolved configs both have and that differ: key, stored value, today's value."""
    return list(_differing(_at(config, key), _at(stored, key), key))


def _differing(now: Any, was: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(now, Mapping) and isinstance(was, Mapping):
        for key in sorted(now.keys() & was.keys()):
            yield from _differing(now[key], was[key], f"{path}.{key}")
    elif now != was and was is not None:
        yield path, was, now


def _stored_config(config: DictConfig) -> dict[str, Any]:
    from entrypoints.runs import load_run  # heavy

    checkpoint, experiment = config.get("ckpt"), OmegaConf.select(config, "hydra.runtime.choices.experiment")
    if checkpoint is None:
        raise InputError(
            f"experiment={experiment} goes on from a trained run, and ckpt names none.\n"
            "Set ckpt=<run folder or checkpoint>, e.g. the folder that experiment=actor wrote"
        )
    wanted = str(OmegaConf.select(config, "model._target_"))
    try:
        run = load_run(checkpoint, wanted.split(".")[1])
    except InputError as error:
        raise InputError(str(error).replace("run=", "ckpt=", 1)) from error
    found = str(run.config["model"]["_target_"])
    if found != wanted:
        raise InputError(
            f"ckpt={checkpoint} is a run of experiment={run.experiment} ({found.rsplit('.', 1)[-1]}), and "
            f"experiment={experiment} goes on from one of {wanted.rsplit('.', 1)[-1]}.\n"
            "Set ckpt=<run folder or checkpoint> of such a training"
        )
    return run.config


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def _overlaps(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.") or other.startswith(f"{path}.")


def _changes(node: Any, stored: Any, path: str, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys and overrides that turn today's raw node into the stored one."""
    if isinstance(node, Mapping) and isinstance(stored, Mapping):
        for key, value in stored.items():
            inner = f"{path}.{key}"
            if key in node:
                yield from _changes(node[key], value, inner, run)
            else:
                yield inner, f"+{inner}={_literal(value)}"
        if node.get("_target_") != stored.get("_target_") and "_target_" in stored:
            # Another class need not know these.
            yield from ((f"{path}.{key}", f"~{path}.{key}") for key in node if key not in stored)
    elif node != stored and not _same(node, stored, run):
        yield path, f"{path}={_literal(stored)}"


def _same(node: Any, stored: Any, run: Mapping[str, Any]) -> bool:
    """Whether an interpolation gave the stored value in the stored run."""
    if not (isinstance(node, str) and "${" in node):
        return False
    try:
        tree = OmegaConf.create({**run, "_value_": node})
        return bool(tree._value_ == stored)
    except OmegaConfBaseException:
        return False


def _literal(value: Any) -> str:
    """A value in the grammar of overrides."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_literal, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)
