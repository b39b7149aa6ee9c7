"""Names and files of the published recognisers: Action2Motion's GRU and the ST-GCN of ACTOR's authors, as ours.

Nothing outside of this file knows the published names.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from components.body.skeleton import SMPL_JOINTS
from components.errors import InputError
from components.files.checkpoint_entry import imported_checkpoint
from components.files.tensor_files import read_tensors
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer
from lightning_modules.actor.networks.stgcn import STGCNRecognizer, spatial_partitions
from lightning_modules.actor.rotation2xyz import JOINT_ROWS
from lightning_modules.actor.upstream import data_set_config, imported_facts
from lightning_modules.actor.upstream_files import check_shapes

Kind = Literal["gru", "stgcn"]

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
# A training of theirs on several GPUs leaves this before every name.
_PARALLEL = "module."
_FILES = "humanact12_gru.tar, ntu13_gru.tar or uestc_rot6d_stgcn.tar"
# Experiment and data set that a kind with so many classes was published for.
_PUBLISHED: dict[tuple[str, int], tuple[str, str]] = {
    ("gru", 12): ("actor_recognizer_gru_humanact12", "humanact12"),
    ("gru", 13): ("actor_recognizer_gru_ntu13", "ntu13"),
    ("stgcn", 40): ("actor_recognizer_stgcn_uestc", "uestc"),
}


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


def read_recognizer(path: Path) -> tuple[Kind, dict[str, Tensor], int]:
    """Kind, bare state dict under the published names, and training iteration (0 where unknown) of a published file.

    Raises:
        InputError: missing, damaged, hostile, or no recogniser.
    """
    content = read_tensors(path, _FILES)
    iteration = 0
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        found = content.get("iteration")
        iteration = int(found) if isinstance(found, int) else 0
        content = content["model"]
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"checkpoint={path} holds no state dict, neither bare nor under 'model'; expected {_FILES}")
    state = {str(key).removeprefix(_PARALLEL): value for key, value in content.items()}
    if "recurrent.weight_ih_l0" in state:
        return "gru", state, iteration
    if "data_bn.weight" in state:
        return "stgcn", state, iteration
    raise InputError(
        f"checkpoint={path} is no recogniser (its first entry is '{next(iter(state))}'); expected {_FILES}.\n"
        "Generators are imported with source=actor"
    )


def _shape(path: Path, state: Mapping[str, Tensor], key: str, dims: int) -> tuple[int, ...]:
    if key not in state or state[key].dim() != dims:
        found = tuple(state[key].shape) if key in state else "nothing"
        raise InputError(f"checkpoint={path} has {found} for '{key}'; expected a tensor of {dims} dimensions")
    return tuple(state[key].shape)


def _network(path: Path, kind: Kind, state: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """`_target_` node of the network that these weights belong to, and the weights under our names."""
    networks = "lightning_modules.actor.networks"
    make: type[nn.Module]
    if kind == "gru":
        classes, features = _shape(path, state, "linear2.weight", 2)
        layers = sum(key.startswith("recurrent.weight_ih_l") for key in state)
        hidden = _shape(path, state, "recurrent.weight_hh_l0", 2)[1]
        sizes: dict[str, Any] = {
            "input_size": _shape(path, state, "recurrent.weight_ih_l0", 2)[1],
            "hidden_size": hidden, "num_layers": layers, "feature_size": features, "num_classes": classes,
        }  # fmt: skip
        make, target, ours = GRURecognizer, f"{networks}.gru_recognizer.GRURecognizer", gru_from_upstream(state)
    else:
        blocks = {int(match[1]) for match in map(_BLOCK.match, state) if match}
        temporal = [_shape(path, state, f"st_gcn_networks.{i}.tcn.2.weight", 4) for i in range(len(blocks))]
        if not temporal:
            raise InputError(f"checkpoint={path} has no 'st_gcn_networks'; expected {_FILES}")
        numbers = _shape(path, state, "data_bn.weight", 1)[0]
        if numbers % len(SMPL_JOINTS):
            raise InputError(f"checkpoint={path} reads {numbers} numbers per frame, no multiple of 24 SMPL joints")
        sizes = {
            "in_channels": numbers // len(SMPL_JOINTS),
            "num_classes": _shape(path, state, "fcn.weight", 4)[0],
            "edge_importance": "edge_importance.0" in state,
            "channels": [shape[0] for shape in temporal],
            "temporal_kernel": temporal[0][2],
        }
        make, target, ours = STGCNRecognizer, f"{networks}.stgcn.STGCNRecognizer", stgcn_from_upstream(state)
        adjacency = state.get(ADJACENCY)
        graph = spatial_partitions()
        if adjacency is not None and (adjacency.shape != graph.shape or not torch.allclose(adjacency, graph)):
            raise InputError(f"checkpoint={path} has another graph in '{ADJACENCY}' than that of the 24 SMPL joints")
    with torch.device("meta"):
        check_shapes(path, ours, make(**sizes).state_dict())
    return {"_target_": target, **sizes}, ours


def convert_recognizer(checkpoint: str | Path, body: str | None = None) -> dict[str, Any]:
    """A published recogniser as a checkpoint of ours.

    Kind and sizes come from the weights. What it reads follows from them as published: 72 numbers are the 24 SMPL
    joints with the root's way (HumanAct12), 54 the 18 joints of `a2m` without it (NTU13), rotations have neither.

    Args:
        checkpoint: the published file.
        body: the user's SMPL file for the joints; None = the packaged body.

    Raises:
        InputError: see `read_recognizer`; weights that fit no recogniser.
    """
    path = Path(checkpoint)
    kind, state, iteration = read_recognizer(path)
    net, ours = _network(path, kind, state)
    classes = net["num_classes"]
    experiment, data_set = _PUBLISHED.get((kind, classes), (f"actor_recognizer_{kind}", ""))
    pose: dict[str, Any] = {
        "pose_rep": "rot6d", "translation": False, "glob": True, "glob_rot": [math.pi, 0.0, 0.0],
    }  # fmt: skip
    positions: dict[str, Any] | None = None
    if kind == "gru":
        joint_sets = {3 * len(rows): name for name, rows in JOINT_ROWS.items() if name in ("smpl", "a2m", "a2mpl")}
        if net["input_size"] not in joint_sets:
            raise InputError(
                f"checkpoint={path} reads {net['input_size']} numbers per frame; expected 72 (24 SMPL joints), "
                "54 (18 joints of a2m) or 84 (28 of a2mpl)"
            )
        joints = joint_sets[net["input_size"]]
        pose["translation"] = joints == "smpl"
        positions = {
            "_target_": "lightning_modules.actor.rotation2xyz.Rotation2XYZ",
            "jointstype": joints, "vertstrans": joints == "smpl", "source": body, **pose,
        }  # fmt: skip
    elif net["in_channels"] != 6:
        raise InputError(f"checkpoint={path} reads {net['in_channels']} features per joint; expected 6 (rot6d)")
    optimizer = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-4}
    data: dict[str, Any] = {"num_classes": classes, "num_frames": 60, **pose, **data_set_config(data_set)}
    config = {
        "model": {
            "_target_": "lightning_modules.actor.recognizer.RecognizerModule",
            "net": net,
            "num_classes": classes,
            "positions": positions,
            **pose,
            "shortest": 1.0,
            "label_smoothing": 0.0,
            "optimizer": optimizer,
            "scheduler": None,
            "scheduler_interval": "epoch",
        },
        "data": data,
        "optimizer": optimizer,
        "scheduler": None,
    }
    facts = imported_facts(path, data_set, classes)
    return imported_checkpoint("actor", experiment, config, facts, ours, step=iteration)
