"""Plain data: what json files and checkpoints may hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Turn a value into json-able and `weights_only`-loadable data: containers, numbers, strings, None.

    Numpy and torch scalars become numbers, arrays become lists, paths become strings, tuples and sets become lists.

    Raises:
        TypeError: the value has no plain form (an object, a function); the message names its type.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key if isinstance(key, str | int) else str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if callable(getattr(value, "tolist", None)):  # numpy and torch
        return plain(value.tolist())
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} cannot be stored as plain data")
