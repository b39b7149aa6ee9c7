"""Parameter names of the published code (ajabri/videowalk) and ours, `WalkNetwork`'s."""

import re
from collections.abc import Mapping

from torch import Tensor

_THEIRS, _OURS = "encoder.model.", "encoder."
_HEAD = "selfsim_fc."
# Older files hold each padded convolution in a sequence behind its padding.
_WRAPPED = re.compile(r"(conv\d+)\.1\.(weight|bias)$")


def to_ours(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """A published state dict under our names, and the names in it that a walk's network does not know.

    Reads files of all ages: convolutions named `conv1.1.weight` are those named `conv1.weight` today.

    Args:
        state: the file's `model` entry.
    """
    ours: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, value in state.items():
        name = _WRAPPED.sub(r"\1.\2", key)
        if name.startswith(_THEIRS):
            ours[_OURS + name.removeprefix(_THEIRS)] = value
        elif name.startswith(_HEAD):
            ours[name] = value
        else:
            unknown.append(key)
    return ours, unknown


def to_upstream(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `WalkNetwork` with a `ResNet` under the published names."""
    return {key if key.startswith(_HEAD) else _THEIRS + key.removeprefix(_OURS): value for key, value in state.items()}
