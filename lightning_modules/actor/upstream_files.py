"""Files of the published ACTOR code, generators and recognisers: read without trust, rebuilt as checkpoints of ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from components.errors import InputError
from components.files.tensor_files import read_tensors


class _PlainLoader(yaml.SafeLoader):
    """Safe loader for which a value of a Python type (upstream may write its torch device) is None."""


_PlainLoader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def read_options(path: Path) -> dict[str, Any]:
    """The options file `opt.yaml` that upstream writes beside its checkpoints; empty where there is none.

    Raises:
        InputError: not a yaml mapping.
    """
    if not path.is_file():
        return {}
    try:
        options = _PlainLoader(path.read_text(encoding="utf-8")).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as yaml: {str(error).splitlines()[0]}") from error
    if not isinstance(options, dict):
        raise InputError(f"{path} holds a {type(options).__name__}; expected ACTOR's options as a mapping")
    return options


def read_state(path: Path) -> dict[str, Tensor]:
    """The bare state dict of an upstream checkpoint.

    Raises:
        InputError: missing, damaged, hostile, or no state dict.
    """
    state = read_tensors(path, "ACTOR's checkpoint_XXXX.pth.tar, a state dict of tensors only")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"checkpoint={path} is not a bare state dict; expected ACTOR's checkpoint_XXXX.pth.tar")
    return state


def check_shapes(path: Path, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Compare weights of a file, under our names, with those of a network of ours.

    Raises:
        InputError: one is missing, too much or of another shape.
    """
    found, wanted = ({name: tuple(value.shape) for name, value in each.items()} for each in (state, expected))
    for name in sorted(found.keys() | wanted.keys()):
        if found.get(name) != wanted.get(name):
            raise InputError(
                f"checkpoint={path} has {found.get(name, 'nothing')} for '{name}' (our name); "
                f"expected {wanted.get(name, 'nothing')}"
            )
