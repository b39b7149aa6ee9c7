"""Files of the published ACTOR code: checkpoints `checkpoint_XXXX.pth.tar` and the `opt.yaml` beside them."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml
from torch import Tensor

from components.errors import InputError


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
    if not path.is_file():
        raise InputError(f"checkpoint={path} does not exist; expected ACTOR's checkpoint_XXXX.pth.tar")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's advice here is to read the file without protection: not repeated.
        raise InputError(
            f"checkpoint={path} is refused: it holds more than tensors and plain data, or is no checkpoint.\n"
            "Expected ACTOR's checkpoint_XXXX.pth.tar, a state dict of tensors only"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise InputError(
            f"checkpoint={path} cannot be read (truncated or no checkpoint): {str(error).splitlines()[0][:100]}\n"
            "Expected ACTOR's checkpoint_XXXX.pth.tar, a state dict of tensors only"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"checkpoint={path} is not a bare state dict; expected ACTOR's checkpoint_XXXX.pth.tar")
    return state
