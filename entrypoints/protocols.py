"""Which keys `evaluate` has: those of the protocol of the run's system, a file of `conf/protocol`."""

from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from components.errors import InputError
from components.files.checkpoint_entry import CHECKPOINT_KEY
from entrypoints.config_check import CONF, available
from entrypoints.runs import find_checkpoint, folder_of, load_checkpoint


def protocol_of_run(overrides: list[str]) -> list[str]:
    """The override that chooses the protocol of the run that a command line names; none where the user chose.

    Args:
        overrides: the command line; a sweep over runs takes the protocol of the first one.

    Raises:
        InputError: no such run, or of a system that has no protocol.
    """
    runs = [_value(text) for text in overrides if text.split("=")[0] == "run"]
    if not runs or runs[-1] is None or any(text.split("=")[0] == "protocol" for text in overrides):
        return []  # what is missing or cannot be read is said by the check of the config
    system = system_of_run(runs[-1])
    known = available("protocol")
    if system not in known:
        raise InputError(f"run={runs[-1]}: no evaluation of '{system}' yet; there is one for {', '.join(known)}")
    return [f"protocol={system}"]


def system_of_run(run: str | Path) -> str:
    """The paper that a run folder or checkpoint belongs to, from the run's config where it lies beside.

    Raises:
        InputError: no such run, or the checkpoint cannot be read.
    """
    checkpoint = find_checkpoint(run)
    try:
        config = OmegaConf.load(folder_of(checkpoint) / ".hydra" / "config.yaml")
        parts = str(OmegaConf.select(config, "model._target_")).split(".")
    except (OSError, ValueError, OmegaConfBaseException, yaml.YAMLError):
        parts = []
    if checkpoint.parent.name == "checkpoints" and parts[:1] == ["lightning_modules"] and len(parts) > 1:
        return parts[1]
    return str(load_checkpoint(checkpoint)[CHECKPOINT_KEY]["system"])


def keys_for_help(protocol: str) -> str:
    """The keys of a protocol with their comments, as `--help` prints them."""
    lines = (CONF / "protocol" / f"{protocol}.yaml").read_text(encoding="utf-8").splitlines()[1:]
    return "\n".join(lines).strip().replace("$", "$$")


OmegaConf.register_new_resolver("protocol_keys", keys_for_help, replace=True)  # conf/hydra/evaluate.yaml


def _value(override: str) -> str | None:
    try:
        parsed = OverridesParser.create().parse_override(override)
        value = next(iter(parsed.sweep_string_iterator())) if parsed.is_sweep_override() else parsed.value()
    except (HydraException, StopIteration):
        return None
    return str(value)
