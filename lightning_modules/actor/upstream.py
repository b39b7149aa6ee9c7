"""Checkpoints of the published ACTOR code (Mathux/ACTOR) as checkpoints of ours, whatever their architecture."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from components.files.checkpoint_entry import imported_checkpoint
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.upstream_files import check_shapes, read_options, read_state
from lightning_modules.actor.upstream_names import Part, from_upstream, layout_of
from lightning_modules.actor.upstream_networks import Architecture, infer_sizes, part_of, recognise

_PARTS: tuple[Part, ...] = ("encoder", "decoder")

ACTION_NAMES: dict[str, tuple[str, ...]] = {
    "humanact12": (
        "warm_up", "walk", "run", "jump", "drink", "lift_dumbbell", "sit", "eat", "turn_steering_wheel", "phone",
        "boxing", "throw",
    ),
    "ntu13": (
        "pickup", "throw", "sitting_down", "standing_up", "cheer_up", "hand_waving", "kicking", "salute", "squat_down",
        "shake_fist", "running_on_the_spot", "butt_kicks", "side_kick",
    ),
}  # fmt: skip


# Of a data set by its number of classes, where nothing else tells.
_BY_CLASSES = {12: "humanact12", 13: "ntu13", 40: "uestc"}


def data_set_config(data_set: str) -> dict[str, Any]:
    """What a data config needs to read a published data set; HumanAct12 is what is read without."""
    if data_set not in ("ntu13", "uestc"):
        return {}
    reader = {"_target_": f"datamodules.actor.{data_set}.open_{data_set}", "_partial_": True}
    # The published rule: training clips of UESTC have 3/4 of the frames.
    return {"dataset": reader, **({"min_share": 0.75} if data_set == "uestc" else {})}


def imported_facts(path: Path, data_set: str, num_classes: int) -> dict[str, Any]:
    """What is known of the data behind a published file; actions of data that we do not know have numbers for names."""
    names = ACTION_NAMES.get(data_set, ())
    if len(names) != num_classes:
        names = tuple(f"action_{label:02d}" for label in range(num_classes))
    return {
        "action_names": names,
        "fps": 30.0 if data_set in ("ntu13", "uestc") else 20.0,
        "num_classes": num_classes,
        "synthetic": False,
        "imported_from": path.name,
    }


def import_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read an upstream checkpoint and the `opt.yaml` beside it.

    Returns:
        The arguments of `ActorCVAE` (without the two networks) and its state dict.

    Raises:
        InputError: see `read_state`, `read_options`, `recognise` and `infer_sizes`, or a parameter is unknown.
    """
    _, sizes, state = _read(Path(path))
    return sizes, state


def _read(path: Path) -> tuple[Architecture, dict[str, Any], dict[str, Tensor]]:
    state, options = read_state(path), read_options(path.parent / "opt.yaml")
    architecture = recognise(state, options, str(path))
    sizes = infer_sizes(state, options, architecture)
    result: dict[str, Tensor] = {}
    for part in _PARTS:
        own = from_upstream(part_of(state, part), part, architecture.name(part))
        result |= {f"{part}.{name}": value for name, value in own.items()}
    _check_complete(path, architecture, sizes, result)
    return architecture, sizes, result


def _check_complete(path: Path, architecture: Architecture, sizes: dict[str, Any], state: Mapping[str, Tensor]) -> None:
    """Compare with the parameters that networks of these sizes have."""
    encoder, decoder = (architecture.network(part).make for part in _PARTS)
    with torch.device("meta"):
        expected = ActorCVAE(encoder, decoder, **sizes).state_dict()
    check_shapes(path, state, expected)


def key_report(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Their keys of a checkpoint that are taken over whole, in part, and not at all.

    Raises:
        InputError: see `import_checkpoint`.
    """
    state = read_state(path)
    architecture = recognise(state, read_options(path.parent / "opt.yaml"), str(path))
    used: list[str] = []
    partly: list[str] = []
    ignored: list[str] = []
    for key in state:
        part, _, name = key.partition(".")
        how = layout_of(part, architecture.name(part)).use_of(name) if part in _PARTS else "constant"
        {"whole": used, "part": partly, "constant": ignored}[how].append(key)
    return used, partly, ignored


def convert_actor(checkpoint: str | Path) -> dict[str, Any]:
    """An upstream checkpoint as one of ours: Lightning's layout with the key `troupe` to rebuild the model from.

    Args:
        checkpoint: `checkpoint_XXXX.pth.tar`; `opt.yaml` is read from the same folder where it exists.

    Raises:
        InputError: see `import_checkpoint`.
    """
    path = Path(checkpoint)
    architecture, sizes, state = _read(path)
    options = read_options(path.parent / "opt.yaml")
    pair = sizes["conditioning"] == "pair"
    data_set = str(options.get("dataset") or _BY_CLASSES.get(sizes["num_classes"], ""))
    facts = imported_facts(path, data_set, sizes["num_classes"]) | {"architecture": architecture.title}
    config = _config(architecture, sizes, options)
    config["data"] |= data_set_config(data_set)
    epoch = re.search(r"(\d+)", path.name)
    return imported_checkpoint(
        "actor", "actor_mix" if pair else "actor", config, facts, state, epoch=int(epoch[1]) if epoch else 0
    )


def _config(architecture: Architecture, sizes: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What `conf/model/actor.yaml` resolves to for a checkpoint, with the data facts it interpolates."""
    lambdas = options.get("lambdas") or {}
    used = [name for name in ("rc", "rcxyz", "kl", "vel", "velxyz") if name in lambdas]
    weights = {name: float(lambdas[name]) for name in used} or {"rc": 1.0, "rcxyz": 1.0, "kl": 1e-5}
    pose = {key: sizes[key] for key in ("pose_rep", "translation", "glob")}
    glob_rot = [float(angle) for angle in options.get("glob_rot") or (3.141592653589793, 0.0, 0.0)]
    optimizer = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": float(options.get("lr") or 1e-4)}
    encoder, decoder = (architecture.network(part).config for part in _PARTS)
    losses: dict[str, Any] = {"_target_": "lightning_modules.actor.losses.ActorLosses"}
    for name in ("rc", "rcxyz", "kl", "vel", "velxyz"):
        losses[f"lambda_{name}"] = weights.get(name, 0.0)
    body = {
        "_target_": "lightning_modules.actor.rotation2xyz.Rotation2XYZ",
        "jointstype": str(options.get("jointstype") or "vertices"),
        "vertstrans": bool(options.get("vertstrans", False)),
        "vertex_count": None,
        "compact": True,
        "source": None,
        "glob_rot": glob_rot,
        **pose,
    }
    return {
        "model": {
            "_target_": "lightning_modules.actor.module.ActorModule",
            "net": {
                "_target_": "lightning_modules.actor.networks.cvae.ActorCVAE",
                "encoder": encoder,
                "decoder": decoder,
                **sizes,
            },
            "losses": losses,
            "body": body,
            "optimizer": optimizer,
            "scheduler": None,
            "scheduler_interval": "epoch",
        },
        "data": {"num_classes": sizes["num_classes"], "num_frames": sizes["num_frames"], "glob_rot": glob_rot, **pose},
        "optimizer": optimizer,
        "scheduler": None,
    }
