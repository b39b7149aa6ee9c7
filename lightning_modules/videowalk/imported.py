"""Published encoders as checkpoints of ours, from which evaluation, prediction and training start."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from components.errors import InputError
from components.files.checkpoint_entry import imported_checkpoint
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.networks.weight_files import EncoderWeights, Layout, fitting, read_weights

_PUBLISHED = "videowalk_kinetics400"


@dataclass(frozen=True)
class ImportedWalk:
    """What was made of a file.

    Attributes:
        checkpoint: in Lightning's layout, with the entry that model and data are rebuilt from.
        title: the network in words.
        layout: how the file named its parameters.
        taken: names of ours that the file gave.
        ignored: names in the file that nothing takes.
        missing: parts of a walk's network that the file has not, in words; features do not need them.
    """

    checkpoint: dict[str, Any]
    title: str
    layout: str
    taken: list[str]
    ignored: list[str]
    missing: list[str]


def import_walk(path: str | Path, layout: Layout = "auto") -> ImportedWalk:
    """Read a published file and rebuild its network.

    Layers that the file has not are left out of the network, and so is the head; options of the training that it does
    not state are the published ones.

    Args:
        path: the file.
        layout: how it names its parameters; `auto` recognises that.

    Raises:
        InputError: see `read_weights`, or a parameter of the encoder or head is missing or of another shape.
    """
    path = Path(path).expanduser()
    weights = read_weights(path, layout)
    encoder = encoder_settings(weights)
    depth = _head_depth(weights.head, path)
    network = WalkNetwork(ResNet(**{key: value for key, value in encoder.items() if key != "_target_"}), depth)
    state = {f"encoder.{name}": value
             for name, value in fitting(weights, network.encoder.state_dict(), path).items()}  # fmt: skip
    state |= _head_state(weights.head, network.selfsim_fc.state_dict(), path)
    title = f"ResNet-{weights.depth}, {encoder['padding_mode']} padding"
    missing = list(weights.absent_layers)
    missing += [] if weights.head else ["the head"]
    facts = {"imported_from": path.name, "layout": weights.layout, "architecture": title, "synthetic": False}
    checkpoint = imported_checkpoint(
        "videowalk", _PUBLISHED, _config(encoder, depth, weights.options), facts, state, epoch=weights.epoch or 0
    )
    surplus = [name for name in weights.encoder if f"encoder.{name}" not in state]
    return ImportedWalk(checkpoint, title, weights.layout, list(state), [*weights.ignored, *surplus], missing)


def encoder_settings(weights: EncoderWeights) -> dict[str, Any]:
    """The `model.encoder` of a config for these weights."""
    scratch = weights.layout == "videowalk" and str(weights.options.get("model_type") or "scratch") == "scratch"
    return {
        "_target_": "lightning_modules.videowalk.networks.resnet.ResNet",
        "depth": weights.depth,
        # The paper's own network mirrors pictures at their border; all others go on with zeros.
        "padding_mode": "reflect" if scratch else "zeros",
        "remove_layers": weights.absent_layers,
        "width": weights.width,
        "normalization": "gray_lab" if weights.layout == "uvc" else "imagenet",
    }


def _config(encoder: dict[str, Any], head_depth: int, options: dict[str, Any]) -> dict[str, Any]:
    """What the experiment of the published recipe resolves to for these weights."""
    optimizer = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": _number(options, "lr", 1e-4)}
    return {
        "model": {
            "_target_": "lightning_modules.videowalk.module.VideoWalkModule",
            "encoder": encoder,
            "walk": {
                "_target_": "lightning_modules.videowalk.walk.Walk",
                "temperature": _number(options, "temp", 0.05) or 0.05,
                "edge_dropout": _number(options, "dropout", 0.1),
                "edge_dropout_mode": "upstream_union",
                "flip": bool(options.get("flip", False)),
            },
            "optimizer": optimizer,
            "head_depth": head_depth,
            "featdrop": _number(options, "featdrop", 0.0),
            "scheduler": None,
            "scheduler_interval": "epoch",
        },
        "data": {"root": None},
        "optimizer": optimizer,
        "scheduler": None,
    }


def _number(options: dict[str, Any], name: str, default: float) -> float:
    value = options.get(name, default)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1 else default


def _head_depth(head: dict[str, Tensor], path: Path) -> int:
    layers = sorted(int(name.split(".")[0]) for name in head if name.endswith(".weight") and name[0].isdigit())
    if layers != list(range(0, 2 * len(layers), 2)):
        raise InputError(f"checkpoint={path} has a head of layers {layers}; expected 0, 2, 4, ... as published")
    return len(layers) - 1


def _head_state(head: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name in sorted(head.keys() | wanted.keys()):
        found, expected = (tuple(each[name].shape) if name in each else "nothing" for each in (head, wanted))
        if found != expected:
            raise InputError(f"checkpoint={path} has {found} for 'selfsim_fc.{name}'; expected {expected}")
    return {f"selfsim_fc.{name}": head[name] for name in wanted}
