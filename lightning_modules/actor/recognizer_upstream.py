"""Names of the published recognisers: Action2Motion's GRU and the ST-GCN that ACTOR's authors trained on UESTC.

Nothing outside of this file knows the published names.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from components.errors import InputError

# Their name -> ours, by what the name starts with.
_GRU = {"recurrent.": "gru.", "linear1.": "feature_head.", "linear2.": "class_head."}
_STGCN = {"data_bn.": "input_norm.", "edge_importance.": "edge_importance.", "fcn.": "class_head."}
_STGCN_BLOCK = {
    "gcn.conv.": "gather.",
    "tcn.0.": "gather_norm.",
    "tcn.2.": "temporal.",
    "tcn.3.": "temporal_norm.",
    "residual.0.": "shortcut.",
    "residual.1.": "shortcut_norm.",
}
_BLOCK = re.compile(r"^st_gcn_networks\.(\d+)\.(.+)$")
# Constant, and the same in ours: the adjacency of the SMPL tree.
ADJACENCY = "A"


def _renamed(name: str, prefixes: Mapping[str, str]) -> str | None:
    for theirs, ours in prefixes.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return None


def gru_from_upstream(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of Action2Motion's recogniser under the names of `GRURecognizer`.

    Raises:
        InputError: an unknown name.
    """
    result = {}
    for key, value in state.items():
        name = _renamed(key, _GRU)
        if name is None:
            raise InputError(f"'{key}' is no parameter of the GRU recogniser")
        result[name] = value
    return result


def stgcn_from_upstream(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the published ST-GCN under the names of `STGCNRecognizer`; the constant adjacency is left out.

    Raises:
        InputError: an unknown name.
    """
    result = {}
    for key, value in state.items():
        if key == ADJACENCY:
            continue
        match = _BLOCK.match(key)
        name = _renamed(key, _STGCN) if match is None else _renamed(match[2], _STGCN_BLOCK)
        if name is None:
            raise InputError(f"'{key}' is no parameter of the ST-GCN recogniser")
        if match is not None:
            name = f"blocks.{match[1]}.{name}"
        if name == "class_head.weight":
            # A convolution with a kernel of 1 x 1 over one pooled value: a linear layer.
            value = value.flatten(1)
        result[name] = value
    return result
