"""Which published networks a checkpoint of ACTOR holds, their sizes by its shapes, the configs that rebuild them."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from components.body.pose_format import POSE_REP_FEATS, PoseFormat
from components.errors import InputError
from lightning_modules.actor.networks.actions import ConcatenatedAction, ProjectedAction
from lightning_modules.actor.networks.autoregressive import AutoregressiveDecoder
from lightning_modules.actor.networks.average_encoder import AverageEncoder
from lightning_modules.actor.networks.fully_connected import FCDecoder, FCEncoder
from lightning_modules.actor.networks.gru import GRUDecoder, GRUEncoder
from lightning_modules.actor.networks.positions import TimeEncoding
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.upstream_names import Part

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """One published network.

    Args:
        marker: their key (without the part's prefix) that tells it from the others.
        network: our class.
        facts: the sizes that its shapes show; a name that others show too must agree in the end.
        settings: arguments of our class that give the published behaviour.
    """

    marker: str
    network: type[nn.Module]
    facts: Callable[[Shapes], dict[str, int]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def make(self) -> Callable[..., nn.Module]:
        """Called with the sizes."""
        return partial(self.network, **self.settings)

    @property
    def config(self) -> dict[str, Any]:
        """The same as a config."""
        settings = {
            name: {"_target_": _path(value), "_partial_": True} if isinstance(value, type) else value
            for name, value in self.settings.items()
        }
        return {"_target_": _path(self.network), "_partial_": True, **settings}


def _path(thing: type) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _depth(shapes: Shapes, stack: str, width: int) -> dict[str, int]:
    """Layers and feed-forward width of a stack of transformer layers."""
    numbers = {int(key.removeprefix(stack).split(".")[0]) for key in shapes if key.startswith(stack)}
    feed_forward = [shape[0] for key, shape in shapes.items() if key.startswith(stack) and shape[1:] == (width,)
                    and key.endswith(("linear1.weight", "pwff_layer.0.weight"))]  # fmt: skip
    return {"num_layers": len(numbers)} | ({"ff_size": feed_forward[0]} if feed_forward else {})


def _transformer_encoder(shapes: Shapes) -> dict[str, int]:
    width, pose_size = shapes["skelEmbedding.weight"]
    facts = {"latent_dim": width, "pose_size": pose_size, **_depth(shapes, "seqTransEncoder.layers.", width)}
    if "muQuery" in shapes:
        facts |= {"num_classes": shapes["muQuery"][0], "token_width": shapes["muQuery"][1]}
    return facts


def _gru(shapes: Shapes) -> dict[str, int]:
    layers = sum(key.startswith("gru.weight_ih_l") for key in shapes)
    return {"latent_dim": shapes["feats_embedding.weight"][0], "num_layers": layers}


def _gru_decoder(shapes: Shapes) -> dict[str, int]:
    facts = _gru(shapes)
    label_size = shapes["feats_embedding.weight"][1] - facts["latent_dim"] - 1
    return {**facts, "label_size": label_size, "pose_size": shapes["final_layer.weight"][0]}


def _fc_encoder(shapes: Shapes) -> dict[str, int]:
    return {"latent_dim": shapes["mu.weight"][0]}


def _fc_decoder(shapes: Shapes) -> dict[str, int]:
    return {
        "latent_and_label": shapes["fully_connected.0.weight"][1],
        "motion_size": shapes["fully_connected.4.bias"][0],
    }


def _transformer_decoder(shapes: Shapes) -> dict[str, int]:
    pose_size, width = shapes["finallayer.weight"]
    facts = {"latent_dim": width, "pose_size": pose_size, **_depth(shapes, "seqTransDecoder.layers.", width)}
    if "actionBiases" in shapes:
        return facts | {"num_classes": shapes["actionBiases"][0], "token_width": shapes["actionBiases"][1]}
    return facts | {"label_size": shapes["ztimelinear.weight"][1] - width}


def _autotrans(shapes: Shapes) -> dict[str, int]:
    pose_size, width = shapes["output_layer.weight"]
    label_size = shapes["embedding.weight"][1] - width - 1
    return {"latent_dim": width, "pose_size": pose_size, "label_size": label_size, **_depth(shapes, "layers.", width)}


ENCODERS: dict[str, Network] = {
    "transformer": Network("muQuery", TransformerEncoder, _transformer_encoder),
    "average_encoder": Network("mu_layer.weight", AverageEncoder, _transformer_encoder, {"average_padding": True}),
    "gru": Network("gru.weight_ih_l0", GRUEncoder, _gru),
    "fc": Network("fully_connected.0.weight", FCEncoder, _fc_encoder),
}
DECODERS: dict[str, Network] = {
    "transformer": Network("actionBiases", TransformerDecoder, _transformer_decoder),
    "concat_bias": Network("actionBiases", TransformerDecoder, _transformer_decoder, {"memory": ConcatenatedAction}),
    "time_encoding": Network("actionBiases", TransformerDecoder, _transformer_decoder, {"position": TimeEncoding}),
    "zandtime": Network("ztimelinear.weight", TransformerDecoder, _transformer_decoder, {"memory": ProjectedAction}),
    "gru": Network("gru.weight_ih_l0", GRUDecoder, _gru_decoder),
    "fc": Network("fully_connected.0.weight", FCDecoder, _fc_decoder, {"final_activation": "gelu"}),
    "autotrans": Network("embedding_x.weight", AutoregressiveDecoder, _autotrans),
}


@dataclass(frozen=True)
class Architecture:
    """Names of an encoder and a decoder of `ENCODERS` and `DECODERS`."""

    encoder: str
    decoder: str

    def network(self, part: Part) -> Network:
        """The published network of a part."""
        return ENCODERS[self.encoder] if part == "encoder" else DECODERS[self.decoder]

    def name(self, part: Part) -> str:
        """Its name."""
        return self.encoder if part == "encoder" else self.decoder

    @property
    def title(self) -> str:
        """The published name where there is one: `gru`, `grutrans`, `zandtime`..."""
        pair = (self.encoder, self.decoder)
        mixed = {("gru", "transformer"): "grutrans", ("transformer", "gru"): "transgru"}
        if pair in mixed or self.encoder == self.decoder:
            return mixed.get(pair, self.encoder)
        return next((name for name in pair[::-1] if name != "transformer"), self.encoder)


def part_of(state: Mapping[str, Tensor], part: Part) -> dict[str, Tensor]:
    """The parameters of one part, without its prefix."""
    return {key.removeprefix(f"{part}."): value for key, value in state.items() if key.startswith(f"{part}.")}


_CROSS_BIAS = "multihead_attn.in_proj_bias"


def _query_bias(fused: Tensor) -> Tensor:
    """Zero at the start of a training; with one memory token it stays so, as queries get no gradient."""
    return fused[: len(fused) // 3]


def recognise(state: Mapping[str, Tensor], options: Mapping[str, Any], file: str) -> Architecture:
    """The networks of a checkpoint.

    `concat_bias` has the same keys and shapes as the transformer: there the options decide.

    Raises:
        InputError: of no published architecture.
    """
    names = {}
    parts: tuple[tuple[Part, dict[str, Network]], ...] = (("encoder", ENCODERS), ("decoder", DECODERS))
    for part, networks in parts:
        present = [name for name, network in networks.items() if f"{part}.{network.marker}" in state]
        if not present:
            markers = ", ".join(dict.fromkeys(f"{part}.{network.marker}" for network in networks.values()))
            found = ", ".join(list(state)[:3]) or "nothing"
            raise InputError(
                f"checkpoint={file} is no checkpoint of ACTOR: it has no {markers}.\nIt holds {found}, ..."
            )
        names[part] = present[0]
    if names["decoder"] == "transformer":
        if "decoder.sequence_pos_encoder.pe" not in state:
            names["decoder"] = "time_encoding"
        elif options.get("ablation") == "concat_bias":
            names["decoder"] = "concat_bias"
        elif not options and any(_query_bias(value).any() for key, value in state.items() if key.endswith(_CROSS_BIAS)):
            warnings.warn(
                f"{file} may be of the ablation concat_bias, whose keys are those of the transformer, the architecture "
                "assumed here: an opt.yaml beside it decides (ablation: concat_bias)",
                stacklevel=2,
            )
    return Architecture(names["encoder"], names["decoder"])


def infer_sizes(state: Mapping[str, Tensor], options: Mapping[str, Any], architecture: Architecture) -> dict[str, Any]:
    """Arguments of `ActorCVAE` that fit a checkpoint: sizes and conditioning from shapes, the rest from options.

    Raises:
        InputError: the poses' size fits no pose format, or the options contradict the shapes.
    """
    facts: dict[str, int] = {}
    parts: tuple[Part, ...] = ("decoder", "encoder")
    for part in parts:
        shapes = {key: tuple(value.shape) for key, value in part_of(state, part).items()}
        try:
            facts |= architecture.network(part).facts(shapes)
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(
                f"the {part} of the checkpoint is not complete: {error} is missing or misshapen"
            ) from error
    latent_dim = facts["latent_dim"]
    token_width = facts.get("token_width", latent_dim)
    if token_width not in (latent_dim, latent_dim // 2):
        raise InputError(
            f"its action tables are {token_width} wide; expected {latent_dim} (ACTOR) or half of it (actor_mix)"
        )
    pair = token_width != latent_dim
    label_size = facts.get("label_size", facts.get("latent_and_label", 0) - latent_dim)
    num_classes = facts.get("num_classes") or (label_size // 2 if pair else label_size)
    num_frames = int(options.get("num_frames") or 60)
    motion_size = facts.get("motion_size")  # of fully connected decoders, whose shapes do not tell poses from frames
    if motion_size is not None and (num_frames < 1 or motion_size % num_frames):
        raise InputError(
            f"the checkpoint's motions have {motion_size} numbers, no multiple of {num_frames} frames.\n"
            "Expected their true number as num_frames in the opt.yaml beside it"
        )
    pose_format = _pose_format(facts["pose_size"] if motion_size is None else motion_size // num_frames, options)
    num_heads = int(options.get("num_heads") or 4)
    if latent_dim % num_heads:
        raise InputError(
            f"opt.yaml says num_heads={num_heads}, which does not divide the checkpoint's width {latent_dim}"
        )
    return {
        "num_classes": num_classes,
        "num_frames": num_frames,
        "pose_rep": pose_format.pose_rep,
        "translation": pose_format.translation,
        "glob": pose_format.glob,
        "latent_dim": latent_dim,
        "ff_size": facts.get("ff_size") or int(options.get("ff_size") or 1024),
        "num_layers": facts.get("num_layers") or int(options.get("num_layers") or 4),
        "num_heads": num_heads,
        "dropout": float(options.get("dropout", 0.1)),
        "activation": str(options.get("activation") or "gelu"),
        "conditioning": "pair" if pair else "single",
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
    frames = "" if "num_frames" in options else "; fully connected ones need num_frames in the opt.yaml beside it"
    raise InputError(
        f"the checkpoint's poses have {pose_size} numbers, and {tried} (25 x 6 = 150 with translation){frames}"
    )
