"""Names and files of the published ACTOR code (Mathux/ACTOR): its parameters as ours, its checkpoints as ours.

Nothing outside of this file knows the published names.
"""

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import yaml
from torch import Tensor

from components.body.pose_format import POSE_REP_FEATS, PoseFormat
from components.errors import InputError
from components.files.checkpoint_entry import CHECKPOINT_KEY, troupe_entry
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.positions import MAX_POSITIONS, sinusoidal_positions
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder

# Our name -> theirs, for everything that is renamed as a whole. `{i}` is the layer.
_ENCODER = {
    "mu_token.table": "muQuery",
    "logvar_token.table": "sigmaQuery",
    "pose_embedding.weight": "skelEmbedding.weight",
    "pose_embedding.bias": "skelEmbedding.bias",
}
_DECODER = {
    "action_bias.table": "actionBiases",
    "pose_head.weight": "finallayer.weight",
    "pose_head.bias": "finallayer.bias",
}
_ATTENTION = {
    "attention.in_proj.weight": "self_attn.in_proj_weight",
    "attention.in_proj.bias": "self_attn.in_proj_bias",
    "attention.out_proj.weight": "self_attn.out_proj.weight",
    "attention.out_proj.bias": "self_attn.out_proj.bias",
}
_MEMORY = {
    "memory_attention.out_proj.weight": "multihead_attn.out_proj.weight",
    "memory_attention.out_proj.bias": "multihead_attn.out_proj.bias",
}
_FEED_FORWARD = {
    "feed_forward.expand.weight": "linear1.weight",
    "feed_forward.expand.bias": "linear1.bias",
    "feed_forward.contract.weight": "linear2.weight",
    "feed_forward.contract.bias": "linear2.bias",
}


def _norms(*names: str) -> dict[str, str]:
    return {f"{name}.{kind}": f"norm{i}.{kind}" for i, name in enumerate(names, 1) for kind in ("weight", "bias")}


_ENCODER_LAYER = _ATTENTION | _FEED_FORWARD | _norms("attention_norm", "feed_forward_norm")
_DECODER_LAYER = _ATTENTION | _MEMORY | _FEED_FORWARD | _norms("attention_norm", "memory_norm", "feed_forward_norm")
# Of the fused projection of a decoder's cross-attention only the last third, the values, has an effect: there is one
# memory token.
_VALUE = {
    "memory_attention.value_proj.weight": "multihead_attn.in_proj_weight",
    "memory_attention.value_proj.bias": "multihead_attn.in_proj_bias",
}
_PARTS = {
    "encoder": (_ENCODER, "seqTransEncoder", _ENCODER_LAYER),
    "decoder": (_DECODER, "seqTransDecoder", _DECODER_LAYER | _VALUE),
}
_LAYER = re.compile(r"^layers\.(\d+)\.(.+)$")
_POSITIONS = "sequence_pos_encoder.pe"

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


def upstream_name(name: str, part: str) -> str:
    """Their name of one of our parameters, e.g. `layers.0.attention_norm.weight` of the `encoder`.

    Raises:
        KeyError: no such parameter.
    """
    whole, stack, layer_map = _PARTS[part]
    match = _LAYER.match(name)
    return whole[name] if match is None else f"{stack}.layers.{match[1]}.{layer_map[match[2]]}"


def from_upstream(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """State dict of their encoder or decoder (names without the part's prefix) under our names.

    Args:
        state: their parameters; positions are ignored, as they are constants.
        part: `encoder` or `decoder`.

    Raises:
        InputError: an unknown name.
    """
    whole, stack, layer_map = _PARTS[part]
    ours = {theirs: name for name, theirs in whole.items()}
    ours_of_layer = {theirs: name for name, theirs in layer_map.items()}
    prefix = f"{stack}."
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        if key == _POSITIONS:
            continue
        match = _LAYER.match(key.removeprefix(prefix)) if key.startswith(prefix) else None
        name = ours.get(key) if match is None else ours_of_layer.get(match[2])
        if name is None:
            raise InputError(f"'{part}.{key}' is no parameter of ACTOR's transformer")
        if name in _VALUE:
            value = value[2 * len(value) // 3 :].clone()
        result[name if match is None else f"layers.{match[1]}.{name}"] = value
    return result


def to_upstream(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Inverse of `from_upstream`: the published names, positions included.

    The queries and keys of the cross-attention, which have no effect, are 0.
    """
    result = {}
    width = 0
    for name, value in state.items():
        match = _LAYER.match(name)
        if match is not None and match[2] in _VALUE:
            value = torch.cat([torch.zeros_like(value), torch.zeros_like(value), value])
        if match is not None and match[2] == "attention.out_proj.bias":
            width = len(value)
        result[upstream_name(name, part)] = value
    result[_POSITIONS] = sinusoidal_positions(MAX_POSITIONS, width).unsqueeze(1)
    return result


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
        InputError: missing, damaged, hostile, or of another system.
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
    needed = ("encoder.muQuery", "encoder.skelEmbedding.weight", "decoder.actionBiases", "decoder.finallayer.weight")
    missing = [key for key in needed if key not in state]
    if missing:
        found = ", ".join(list(state)[:3]) or "nothing"
        raise InputError(
            f"checkpoint={path} is no transformer checkpoint of ACTOR: it has no {', '.join(missing)}.\n"
            f"It holds {found}, ...; other architectures (gru, fc, autotrans) and other systems cannot be imported here"
        )
    return state


def infer_sizes(state: Mapping[str, Tensor], options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `ActorCVAE` that fit a checkpoint: sizes and conditioning from shapes, the rest from options.

    Raises:
        InputError: the poses' size fits no pose format, or the options contradict the shapes.
    """
    classes, token_width = state["encoder.muQuery"].shape
    latent_dim, pose_size = state["encoder.skelEmbedding.weight"].shape
    if token_width not in (latent_dim, latent_dim // 2):
        raise InputError(
            f"encoder.muQuery is {token_width} wide; expected {latent_dim} (ACTOR) or half of it (actor_mix)"
        )
    layers = 1 + max(int(key.split(".")[3]) for key in state if key.startswith("encoder.seqTransEncoder.layers."))
    pose_format = _pose_format(pose_size, options)
    num_heads = int(options.get("num_heads") or 4)
    if latent_dim % num_heads:
        raise InputError(
            f"opt.yaml says num_heads={num_heads}, which does not divide the checkpoint's width {latent_dim}"
        )
    return {
        "num_classes": classes,
        "num_frames": int(options.get("num_frames") or 60),
        "pose_rep": pose_format.pose_rep,
        "translation": pose_format.translation,
        "glob": pose_format.glob,
        "latent_dim": latent_dim,
        "ff_size": state["encoder.seqTransEncoder.layers.0.linear1.weight"].shape[0],
        "num_layers": layers,
        "num_heads": num_heads,
        "dropout": float(options.get("dropout", 0.1)),
        "activation": str(options.get("activation") or "gelu"),
        "conditioning": "single" if token_width == latent_dim else "pair",
    }


def _pose_format(pose_size: int, options: Mapping[str, Any]) -> PoseFormat:
    """The pose format of the options, or without them the first of the usual ones that has the right size."""
    if "pose_rep" in options:
        pose_rep, translation = str(options["pose_rep"]), bool(options.get("translation", True))
        formats = [PoseFormat(pose_rep, translation, bool(options.get("glob", True)))]
    else:
        formats = [
            PoseFormat(pose_rep, translation, glob)
            for pose_rep in ("rot6d", *POSE_REP_FEATS)
            for glob in (True, False)
            for translation in (True, False)
        ]
    for pose_format in formats:
        if pose_format.num_joints * pose_format.num_feats == pose_size:
            return pose_format
    tried = "opt.yaml's pose format has another size" if "pose_rep" in options else "no pose format has this size"
    raise InputError(f"the checkpoint's poses have {pose_size} numbers, and {tried} (25 x 6 = 150 with translation)")


def import_checkpoint(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read an upstream checkpoint and the `opt.yaml` beside it.

    Returns:
        The arguments of `ActorCVAE` (without the two networks) and its state dict.

    Raises:
        InputError: see `read_state`, `read_options` and `infer_sizes`, or a parameter is unknown.
    """
    path = Path(path)
    state = read_state(path)
    sizes = infer_sizes(state, read_options(path.parent / "opt.yaml"))
    result: dict[str, Tensor] = {}
    for part in _PARTS:
        own = {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}
        result |= {f"{part}.{name}": value for name, value in from_upstream(own, part).items()}
    _check_complete(path, sizes, result)
    return sizes, result


def _check_complete(path: Path, sizes: dict[str, Any], state: Mapping[str, Tensor]) -> None:
    """Compare with the parameters that a network of these sizes has."""
    with torch.device("meta"):
        expected = ActorCVAE(TransformerEncoder, TransformerDecoder, **sizes).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    wanted = {name: tuple(value.shape) for name, value in expected.items()}
    if shapes != wanted:
        name = min(name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name))
        found, expected_shape = shapes.get(name, "nothing"), wanted.get(name, "nothing")
        raise InputError(f"checkpoint={path} has {found} for '{name}' (our name); expected {expected_shape}")


def convert_actor(checkpoint: str | Path) -> dict[str, Any]:
    """An upstream checkpoint as one of ours: Lightning's layout with the key `troupe` to rebuild the model from.

    Args:
        checkpoint: `checkpoint_XXXX.pth.tar`; `opt.yaml` is read from the same folder where it exists.

    Raises:
        InputError: see `import_checkpoint`.
    """
    path = Path(checkpoint)
    sizes, state = import_checkpoint(path)
    options = read_options(path.parent / "opt.yaml")
    pair = sizes["conditioning"] == "pair"
    names = ACTION_NAMES.get(str(options.get("dataset")), ())
    if not names and sizes["num_classes"] == 12:
        names = ACTION_NAMES["humanact12"]
    if len(names) != sizes["num_classes"]:
        names = tuple(f"action_{label:02d}" for label in range(sizes["num_classes"]))
    facts = {
        "action_names": names,
        "fps": 20.0,
        "num_classes": sizes["num_classes"],
        "synthetic": False,
        "imported_from": path.name,
    }
    epoch = re.search(r"(\d+)", path.name)
    return {
        "state_dict": {f"net.{name}": value for name, value in state.items()},
        "epoch": int(epoch[1]) if epoch else 0,
        "global_step": 0,
        "pytorch-lightning_version": version("lightning"),
        "loops": {},
        "optimizer_states": [],
        "lr_schedulers": [],
        CHECKPOINT_KEY: troupe_entry("actor", "actor_mix" if pair else "actor", _config(sizes, options), facts),
    }


def _config(sizes: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What `conf/model/actor.yaml` resolves to for a checkpoint, with the data facts it interpolates."""
    networks = "lightning_modules.actor.networks"
    lambdas = options.get("lambdas") or {}
    used = [name for name in ("rc", "rcxyz", "kl", "vel", "velxyz") if name in lambdas]
    weights = {name: float(lambdas[name]) for name in used} or {"rc": 1.0, "rcxyz": 1.0, "kl": 1e-5}
    pose = {key: sizes[key] for key in ("pose_rep", "translation", "glob")}
    glob_rot = [float(angle) for angle in options.get("glob_rot") or (3.141592653589793, 0.0, 0.0)]
    optimizer = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": float(options.get("lr") or 1e-4)}
    encoder = {"_target_": f"{networks}.transformer.TransformerEncoder", "_partial_": True}
    decoder = {"_target_": f"{networks}.transformer.TransformerDecoder", "_partial_": True}
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
            "net": {"_target_": f"{networks}.cvae.ActorCVAE", "encoder": encoder, "decoder": decoder, **sizes},
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
