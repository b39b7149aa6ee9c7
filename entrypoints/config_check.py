"""Finds every fault of a command line and its configuration at once, before anything heavy is imported.

Three looks: the overrides (unknown groups, options and keys), the composed tree (missing values, broken interpolations,
keys that no file declares) and each `_target_` node against the signature of its class.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from components.errors import InputError
from components.spelling import did_you_mean, nearest
from entrypoints.annotations import mismatch
from entrypoints.signatures import Signature, TargetError, read_signature

CONF = Path(__file__).resolve().parents[1] / "conf"
# Keys with a meaning for hydra.utils.instantiate itself.
_INSTANTIATE_KEYS = {"_target_", "_partial_", "_recursive_", "_convert_", "_args_"}
# Stands for a value whose fault is reported already.
_MISSING = object()
# Groups whose choices bring options of their own at the top level; elsewhere such a key is a typing error.
_OWN_KEYS = ("task", "dataset", "source", "protocol")


class ConfigError(InputError):
    """One or more config faults, printed together."""


@dataclass(frozen=True)
class Fault:
    """One thing to mend: the config key and what is wrong with it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


def available(group: str) -> list[str]:
    """Names that our packaged configs offer for a group; empty for a plain key."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def check(config_name: str, overrides: list[str], config_dir: str | None = None) -> DictConfig:
    """Compose the configuration of an entry point and check it.

    Args:
        config_name: root config, e.g. `"train"`.
        overrides: the command line without flags; of a sweep's values each one is checked.
        config_dir: the user's own folder of configs (`--config-dir`), searched first.

    Returns:
        The composed config, run-time values of Hydra filled with stand-ins.

    Raises:
        ConfigError: everything found wrong, one line per fault.
    """
    with _composer(config_name, config_dir) as loader:
        return _check(loader, config_name, overrides)


def compose_unchecked(config_name: str, overrides: list[str], config_dir: str | None = None) -> DictConfig | None:
    """What a command line composes to, of a sweep's values the first ones; None where it does not compose."""
    with _composer(config_name, config_dir) as loader:
        parsed, faults = _parse(overrides, loader)
        return None if faults else _compose(config_name, _texts(parsed))[0]


def _check(loader: ConfigLoader, config_name: str, overrides: list[str]) -> DictConfig:
    faults: list[Fault] = []
    parsed, found = _parse(overrides, loader)
    faults += found
    base = compose(config_name)
    choices, values = _split(parsed, loader)
    sound_choices, found = _sound(choices, loader)
    faults += found
    composed = _composed(config_name, sound_choices, faults, overrides)
    # A sweep file brings overrides of its own.
    params = OmegaConf.to_container(composed.hydra.sweeper, resolve=False).get("params") or {}  # type: ignore[union-attr]
    if params:
        extra, found = _parse([f"{key}={value}" for key, value in params.items()], loader)
        more_choices, more_values = _split(extra, loader)
        more_sound, more_faults = _sound(more_choices, loader)
        faults += [*found, *more_faults]
        values += more_values
        if not faults:
            sound_choices += more_sound
            composed = _composed(config_name, sound_choices, faults, overrides)
    sound_values = []
    for override in values:
        fault = _key_fault(override, composed)
        if fault is None:
            sound_values.append(override)
        elif override.key_or_group.split(".")[0] in composed or sound_choices == choices:
            # Below a group whose choice is wrong every key looks unknown; that is one fault, not two.
            faults.append(fault)
    sound = [*sound_choices, *sound_values]
    final = _composed(config_name, sound, faults, overrides)
    own = [override for override in sound_choices if override.key_or_group in _OWN_KEYS]
    declared = {*map(str, base), *loader.list_groups(""), *map(str, compose(config_name, _texts(own)))}
    faults += check_tree(final, declared)
    for text in _other_values(sound_values):
        variant, found = _compose(config_name, [*_texts(sound), text])
        faults += found
        if variant is not None:
            key = text.split("=")[0].lstrip("+~")
            faults += [f for f in check_tree(variant, declared) if f.key.startswith(key) and f not in faults]
    if faults:
        raise _error(faults, overrides)
    return final


def _sound(choices: list[Override], loader: ConfigLoader) -> tuple[list[Override], list[Fault]]:
    """The group choices that exist, and the faults of the others."""
    judged = [(override, list(_choice_faults(override, loader))) for override in choices]
    return [override for override, found in judged if not found], [fault for _, found in judged for fault in found]


def _texts(overrides: list[Override]) -> list[str]:
    """Overrides as a command line that composes: of a sweep the first value."""
    return [text for override in overrides for text in _first_value(override)]


def _composed(config_name: str, sound: list[Override], faults: list[Fault], overrides: list[str]) -> DictConfig:
    """The config of overrides that were found sound; ends with all faults so far where it cannot be composed."""
    config, found = _compose(config_name, _texts(sound))
    if config is None:
        raise _error([*faults, *found], overrides)
    return config


def check_tree(config: DictConfig, declared: Collection[str] | None = None) -> list[Fault]:
    """Faults of a composed config: missing values, interpolations, undeclared keys, `_target_` nodes."""
    faults, resolved = _resolve(config)
    if declared is not None:
        faults += [
            Fault(key, f"unknown key{did_you_mean(key, declared)}, set by a config file")
            for key in resolved
            if key not in declared
        ]
    faults += list(_bind(resolved, ""))
    return faults


def _error(faults: list[Fault], overrides: list[str]) -> ConfigError:
    unique = list(dict.fromkeys(faults))
    named = next(
        (o for o in overrides if re.match(r"\+?(experiment|sweep|dataset|source|task)=", o)), "the command line"
    )
    count = "1 fault" if len(unique) == 1 else f"{len(unique)} faults"
    return ConfigError("\n".join([f"ConfigError: {count} in {named}", *(f"  {fault}" for fault in unique)]))


@contextmanager
def _composer(config_name: str, config_dir: str | None) -> Iterator[ConfigLoader]:
    """Hydra initialised on our packaged configs for the duration of a `with` block."""
    search_path = create_config_search_path("pkg://conf")
    if config_dir is not None:
        folder = Path(config_dir).absolute()
        if not folder.is_dir():
            raise ConfigError(f"--config-dir {config_dir}: no such folder")
        search_path.prepend("command-line", f"file://{folder}", anchor=SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2(task_name=config_name, config_search_path=search_path)
    try:
        yield GlobalHydra.instance().config_loader()
    finally:
        GlobalHydra.instance().clear()


def _parse(overrides: list[str], loader: ConfigLoader) -> tuple[list[Override], list[Fault]]:
    parser = OverridesParser.create(config_loader=loader)
    parsed, faults = [], []
    for text in overrides:
        try:
            parsed.append(parser.parse_override(text))
        except HydraException as error:
            reason = str(error).splitlines()[0]
            faults.append(Fault("", f"cannot read '{text}': {reason}. Write key=value; quote spaces and commas"))
    return parsed, faults


def _is_group(override: Override, loader: ConfigLoader) -> bool:
    return loader.get_group_options(override.key_or_group) != []


def _split(parsed: list[Override], loader: ConfigLoader) -> tuple[list[Override], list[Override]]:
    """Group choices and hydra's own keys first, then value overrides."""
    groups: list[Override] = []
    values: list[Override] = []
    for override in parsed:
        is_value = not (override.key_or_group.startswith("hydra") or _is_group(override, loader))
        (values if is_value else groups).append(override)
    return groups, values


def _choice_faults(override: Override, loader: ConfigLoader) -> Iterator[Fault]:
    group = override.key_or_group
    if not _is_group(override, loader) or override.is_delete():
        return
    options = sorted(loader.get_group_options(group))
    for value in _choice_values(override):
        if value is None:
            yield Fault(f"{group}=null", f"a group is not emptied by null; leave it out, or write ~{group}")
        elif str(value) not in options:
            listing = "" if nearest(str(value), options) else f"; choose one of: {', '.join(options)}"
            yield Fault(f"{group}={value}", f"no such choice{did_you_mean(str(value), options)}{listing}")


def _choice_values(override: Override) -> list[Any]:
    if override.is_sweep_override():
        return [text.strip("'\"") for text in _sweep_texts(override)]
    value = override.value()
    return list(value) if isinstance(value, list) else [value]


def _first_value(override: Override) -> list[str]:
    """The override itself, or the first value of a swept one (none where a sweeper draws it)."""
    if not override.is_sweep_override():
        return [override.input_line or ""]
    prefix = "+" if override.is_add() else ""
    for text in _sweep_texts(override):
        return [f"{prefix}{override.get_key_element()}={text}"]
    return []


def _sweep_texts(override: Override) -> list[str]:
    """The values of a swept override; none for intervals and globs, which the sweeper or Hydra fills in."""
    if override.is_choice_sweep() or override.is_range_sweep():
        return [str(text) for text in override.sweep_string_iterator()]
    return []


def _other_values(overrides: list[Override]) -> list[str]:
    return [f"{o.get_key_element()}={text}" for o in overrides if o.is_sweep_override() for text in _sweep_texts(o)[1:]]


def _key_fault(override: Override, composed: DictConfig) -> Fault | None:
    """A value override (`a.b=1`) whose key no config file declares."""
    if override.is_add() or override.is_force_add():
        return None
    node: Any = composed
    path: list[str] = []
    for part in override.key_or_group.split("."):
        if not OmegaConf.is_config(node):
            return Fault(override.key_or_group, f"'{'.'.join(path)}' is a plain value and has no keys below it")
        if OmegaConf.is_dict(node):
            known = [str(key) for key in node if key != "hydra"]
            if part not in known:
                return _unknown_key(override.key_or_group, part, path, node, known)
        path.append(part)
        try:
            node = node[int(part)] if OmegaConf.is_list(node) else node[part]
        except (OmegaConfBaseException, ValueError, IndexError):
            return None
    return None


def _unknown_key(key: str, part: str, path: list[str], node: DictConfig, known: list[str]) -> Fault:
    place = ".".join(path)
    target = node.get("_target_") if "_target_" in node else None
    if target is not None:
        try:
            accepted = read_signature(target).parameters
        except TargetError:
            accepted = {}
        if part in accepted:
            return Fault(key, f"not in the config yet, though {target} takes it: write +{key}=...")
        known = [*known, *accepted]
    visible = [name for name in dict.fromkeys(known) if not name.startswith("_")]
    match = nearest(part, visible)
    hint = f"did you mean '{'.'.join([*path, match])}'?" if match else f"known here: {', '.join(visible[:24])}"
    return Fault(key, f"unknown key{f' in {place}' if place else ''} ({hint})")


def _compose(config_name: str, texts: list[str]) -> tuple[DictConfig | None, list[Fault]]:
    try:
        config = compose(config_name, overrides=texts, return_hydra_config=True)
    # Hydra answers some impossible choices, such as an emptied group that others need, with a ValueError.
    except (HydraException, ConfigCompositionException, OmegaConfBaseException, ValueError) as error:
        return None, [Fault("", " ".join(str(error).split())[:400])]
    OmegaConf.set_readonly(config, False)
    OmegaConf.set_struct(config, False)
    config.hydra.runtime.output_dir = "<run folder>"
    config.hydra.job.num, config.hydra.job.id, config.hydra.job.name = 0, "job", config_name
    config.hydra.job.override_dirname = ""
    return config, []


def _resolve(config: DictConfig) -> tuple[list[Fault], dict[str, Any]]:
    """Plain tree with interpolations resolved; unresolvable or missing leaves become a stand-in and a fault."""
    from hydra.core.hydra_config import HydraConfig

    HydraConfig.instance().set_config(config)
    faults: list[Fault] = []

    def walk(node: Any, path: str) -> Any:
        if OmegaConf.is_dict(node):
            return {
                key: read(node, key, f"{path}.{key}" if path else str(key)) for key in node if path or key != "hydra"
            }
        if OmegaConf.is_list(node):
            return [read(node, index, f"{path}.{index}") for index in range(len(node))]
        return node

    def read(node: Any, key: Any, path: str) -> Any:
        if OmegaConf.is_missing(node, key):
            raw = OmegaConf.to_container(node, resolve=False)[key]  # type: ignore[index,call-overload]
            if isinstance(raw, str) and raw.startswith("${"):  # the fault is reported where it points to
                return _MISSING
            faults.append(Fault(path, f"no value{_comment_of(config, path)}; set {path}=..."))
            return _MISSING
        try:
            return walk(node[key], path)
        except InterpolationToMissingValueError:
            return _MISSING  # the fault is reported where the interpolation points to
        except (OmegaConfBaseException, HydraException) as error:
            faults.append(Fault(path, " ".join(str(error).splitlines()[0].split())))
            return _MISSING

    resolved = walk(config, "")
    return faults, resolved


def _comment_of(config: DictConfig, path: str) -> str:
    """The comment above or beside a mandatory key in its config file, as a hint of what belongs there."""
    group, _, leaf = path.rpartition(".")
    folder = CONF / group.replace(".", "/") if group else CONF
    chosen = OmegaConf.select(config, f"hydra.runtime.choices.{group}") if group else config.hydra.job.name
    # The chosen file first; it may take the key from another file of its group.
    files = sorted(folder.glob("*.yaml"), key=lambda file: file.stem != chosen)
    pattern = (
        rf"(?:^[ \t]*#[ \t]*(?P<above>.+)\n)?^[ \t]*{re.escape(leaf)}:[ \t]*\?\?\?[ \t]*(?:#[ \t]*(?P<beside>.+))?$"
    )
    for file in files:
        match = re.search(pattern, file.read_text(), flags=re.MULTILINE)
        if match and (match["beside"] or match["above"]):
            return f": {(match['beside'] or match['above']).strip()}"
    return ""


def _bind(node: Any, path: str) -> Iterator[Fault]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield from _bind_target(node, path)
        for key, value in node.items():
            yield from _bind(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _bind(value, f"{path}.{index}")


def _bind_target(node: Mapping[str, Any], path: str) -> Iterator[Fault]:
    target = str(node["_target_"])
    try:
        signature = read_signature(target)
    except TargetError as error:
        yield Fault(f"{path}._target_", f"{error}{did_you_mean(error.part, error.names)}")
        return
    given = [str(key) for key in node if key not in _INSTANTIATE_KEYS]
    yield from _unexpected(signature, given, path)
    if not node.get("_partial_") and "_args_" not in node:
        for parameter in signature.parameters.values():
            if parameter.required and parameter.name not in given:
                yield Fault(path, f"missing '{parameter.name}', which {target} needs")
    for key in given:
        taken = signature.parameters.get(key)
        builds_object = isinstance(node[key], Mapping) and "_target_" in node[key]
        if taken is None or taken.annotation is None or builds_object or node[key] is _MISSING:
            continue
        problem = mismatch(node[key], taken.annotation)
        if problem:
            yield Fault(f"{path}.{key}", problem)


def _unexpected(signature: Signature, given: list[str], path: str) -> Iterator[Fault]:
    if signature.open_ended:
        return
    for key in given:
        if key not in signature.parameters:
            free = [name for name in signature.parameters if name not in given]
            hint = did_you_mean(key, free) or did_you_mean(key, signature.parameters)
            yield Fault(path, f"unexpected '{key}'{hint} for {signature.target}")
