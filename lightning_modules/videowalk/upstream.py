"""Parameter names of the published code (ajabri/videowalk) and ours, `WalkNetwork`'s."""

import re
from collections.abc import Mapping

from torch import Tensor

# What stands before the names of the encoder, and before those of the head (the same with us).
ENCODER, HEAD = "encoder.model.", "selfsim_fc."
_OURS = "encoder."
_WRAPPED = re.compile(r"\b(conv\d+)\.1\.(weight|bias)$")


def of_today(name: str) -> str:
    """`conv1.weight` for `conv1.1.weight`: in older files each convolution lies in a sequence behind its padding."""
    return _WRAPPED.sub(r"\1.\2", name)


def to_ours(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """A published state dict under our names, and the names in it that a walk's network does not know.

    Reads files of all ages.

    Args:
        state: the file's `model` entry.
    """
    ours: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, value in state.items():
        name = of_today(key)
        if name.startswith(ENCODER):
            ours[_OURS + name.removeprefix(ENCODER)] = value
        elif name.startswith(HEAD):
            ours[name] = value
        else:
            unknown.append(key)
    return ours, unknown


def to_upstream(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `WalkNetwork` with a `ResNet` under the published names."""
    return {key if key.startswith(HEAD) else ENCODER + key.removeprefix(_OURS): value for key, value in state.items()}
