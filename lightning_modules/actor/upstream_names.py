"""Names of the published ACTOR code (Mathux/ACTOR) for the parameters of each of its networks, and ours.

Nothing outside of the `upstream*` files knows the published names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.networks.positions import MAX_POSITIONS, sinusoidal_positions

Part = Literal["encoder", "decoder"]

_INDEX = re.compile(r"(?<=layers\.)\d+(?=\.\w+\.)")


@dataclass(frozen=True)
class Layout:
    """How one published network names its parameters.

    Args:
        renamed: our name -> theirs; `{i}` stands for the number of a layer.
        fused: our name -> the three of theirs (queries, keys, values) that it holds one below the other.
        value_only: our name -> theirs, of which ours is the last third: with one memory token the queries and keys of
            the cross-attention have no effect.
        kept: beginning of names that are the same on both sides.
        positions: their name of the sinusoidal positions, constants that we do not store.
        positions_shape: of that constant.
    """

    renamed: Mapping[str, str]
    fused: Mapping[str, tuple[str, str, str]]
    value_only: Mapping[str, str]
    kept: str | None = None
    positions: str | None = None
    positions_shape: tuple[int, ...] = (MAX_POSITIONS, 1, -1)

    def ours(self, state: Mapping[str, Tensor], part: Part) -> dict[str, Tensor]:
        """Their state dict (names without the part's prefix) under our names.

        Raises:
            InputError: an unknown name, or queries, keys and values that are not all there.
        """
        renamed = {theirs: name for name, theirs in self.renamed.items()}
        sliced = {theirs: name for name, theirs in self.value_only.items()}
        pieces = {theirs: (name, i) for name, names in self.fused.items() for i, theirs in enumerate(names)}
        result: dict[str, Tensor] = {}
        gathered: dict[str, dict[int, Tensor]] = {}
        for key, value in state.items():
            if key == self.positions:
                continue
            pattern, index = _pattern(key)
            if self.kept is not None and key.startswith(self.kept):
                result[key] = value
            elif pattern in renamed:
                result[_numbered(renamed[pattern], index)] = value
            elif pattern in sliced:
                result[_numbered(sliced[pattern], index)] = value[2 * len(value) // 3 :].clone()
            elif pattern in pieces:
                name, place = pieces[pattern]
                gathered.setdefault(_numbered(name, index), {})[place] = value
            else:
                raise InputError(f"'{part}.{key}' is no parameter of this {part} of ACTOR")
        for name, three in gathered.items():
            if len(three) != 3:
                raise InputError(
                    f"of '{part}.{name}' (our name) only {len(three)} of queries, keys and values are there"
                )
            result[name] = torch.cat([three[place] for place in range(3)])
        return result

    def theirs(self, state: Mapping[str, Tensor], width: int) -> dict[str, Tensor]:
        """Inverse of `ours`: the published names, positions of the given width included.

        The queries and keys of a cross-attention to one token, which have no effect, are 0.
        """
        result: dict[str, Tensor] = {}
        for name, value in state.items():
            pattern, index = _pattern(name)
            if self.kept is not None and name.startswith(self.kept):
                result[name] = value
            elif pattern in self.value_only:
                whole = torch.cat([torch.zeros_like(value), torch.zeros_like(value), value])
                result[_numbered(self.value_only[pattern], index)] = whole
            elif pattern in self.fused:
                for theirs, third in zip(self.fused[pattern], value.chunk(3), strict=True):
                    result[_numbered(theirs, index)] = third.clone()
            else:
                result[_numbered(self.renamed[pattern], index)] = value
        if self.positions is not None:
            result[self.positions] = sinusoidal_positions(MAX_POSITIONS, width).reshape(self.positions_shape)
        return result

    def use_of(self, key: str) -> Literal["whole", "part", "constant"]:
        """Whether one of their parameters is taken over whole, in part, or not at all as it is a constant."""
        if key == self.positions:
            return "constant"
        return "part" if _pattern(key)[0] in self.value_only.values() else "whole"


def _pattern(name: str) -> tuple[str, str]:
    """A name with `{i}` for the number of its layer, and that number."""
    found = _INDEX.search(name)
    return (name, "") if found is None else (_INDEX.sub("{i}", name, count=1), found[0])


def _numbered(pattern: str, index: str) -> str:
    return pattern.replace("{i}", index)


def _pairs(**names: str) -> dict[str, str]:
    """Weight and bias of layers: our name (`__` for a dot) -> theirs."""
    return {
        f"{ours.replace('__', '.')}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }


def _stacked(ours: Mapping[str, str], stack: str) -> dict[str, str]:
    """Names within one layer as names of all layers of a stack."""
    return {f"layers.{{i}}.{name}": f"{stack}layers.{{i}}.{theirs}" for name, theirs in ours.items()}


_SELF_ATTENTION = {
    "attention.in_proj.weight": "self_attn.in_proj_weight",
    "attention.in_proj.bias": "self_attn.in_proj_bias",
    **_pairs(attention__out_proj="self_attn.out_proj"),
}
_CROSS_ATTENTION = {
    "memory_attention.in_proj.weight": "multihead_attn.in_proj_weight",
    "memory_attention.in_proj.bias": "multihead_attn.in_proj_bias",
}
_FEED_FORWARD = _pairs(feed_forward__expand="linear1", feed_forward__contract="linear2")
_ENCODER_LAYERS = _stacked(
    _SELF_ATTENTION | _FEED_FORWARD | _pairs(attention_norm="norm1", feed_forward_norm="norm2"), "seqTransEncoder."
)
_DECODER_LAYERS = _stacked(
    _SELF_ATTENTION
    | _pairs(memory_attention__out_proj="multihead_attn.out_proj")
    | _FEED_FORWARD
    | _pairs(attention_norm="norm1", memory_norm="norm2", feed_forward_norm="norm3"),
    "seqTransDecoder.",
)
_VALUES = _stacked(
    {
        "memory_attention.value_proj.weight": "multihead_attn.in_proj_weight",
        "memory_attention.value_proj.bias": "multihead_attn.in_proj_bias",
    },
    "seqTransDecoder.",
)
_POSITIONS = "sequence_pos_encoder.pe"
_BIASES = {"action_bias.table": "actionBiases"}
_POSE_HEAD = _pairs(pose_head="finallayer")


def _joey_attention(ours: str, theirs: str) -> dict[str, tuple[str, str, str]]:
    """Their separate queries, keys and values of one attention."""
    prefix = f"layers.{{i}}.{theirs}"
    return {
        f"layers.{{i}}.{ours}.in_proj.{kind}": (
            f"{prefix}.q_layer.{kind}",
            f"{prefix}.k_layer.{kind}",
            f"{prefix}.v_layer.{kind}",
        )
        for kind in ("weight", "bias")
    }


ENCODERS: dict[str, Layout] = {
    "transformer": Layout(
        {
            "mu_token.table": "muQuery",
            "logvar_token.table": "sigmaQuery",
            **_pairs(pose_embedding="skelEmbedding"),
            **_ENCODER_LAYERS,
        },
        {},
        {},
        positions=_POSITIONS,
    ),
    "average_encoder": Layout(
        _pairs(mu_head="mu_layer", logvar_head="sigma_layer", pose_embedding="skelEmbedding") | _ENCODER_LAYERS,
        {},
        {},
        positions=_POSITIONS,
    ),
    "gru": Layout(_pairs(frame_embedding="feats_embedding", mu_head="mu", logvar_head="var"), {}, {}, kept="gru."),
    "fc": Layout(
        _pairs(layers__0="fully_connected.0", layers__2="fully_connected.2", mu_head="mu", logvar_head="var"),
        {},
        {},
    ),
}

DECODERS: dict[str, Layout] = {
    "transformer": Layout(_BIASES | _DECODER_LAYERS | _POSE_HEAD, {}, _VALUES, positions=_POSITIONS),
    "zandtime": Layout(
        _pairs(action_bias__linear="ztimelinear") | _DECODER_LAYERS | _POSE_HEAD, {}, _VALUES, positions=_POSITIONS
    ),
    "concat_bias": Layout(
        _BIASES | _DECODER_LAYERS | _stacked(_CROSS_ATTENTION, "seqTransDecoder.") | _POSE_HEAD,
        {},
        {},
        positions=_POSITIONS,
    ),
    "time_encoding": Layout(_BIASES | _DECODER_LAYERS | _POSE_HEAD, {}, _VALUES),
    "gru": Layout(_pairs(frame_embedding="feats_embedding", pose_head="final_layer"), {}, {}, kept="gru."),
    "fc": Layout(
        _pairs(layers__0="fully_connected.0", layers__2="fully_connected.2", layers__4="fully_connected.4"), {}, {}
    ),
    "autotrans": Layout(
        {
            **_pairs(source_embedding="embedding", pose_embedding="embedding_x", norm="layer_norm"),
            "pose_head.weight": "output_layer.weight",
            **_stacked(
                _pairs(
                    frame_attention__out_proj="trg_trg_att.output_layer",
                    source_attention__out_proj="src_trg_att.output_layer",
                    expand="feed_forward.pwff_layer.0",
                    contract="feed_forward.pwff_layer.3",
                    frame_norm="x_layer_norm",
                    source_norm="dec_layer_norm",
                    feed_forward_norm="feed_forward.layer_norm",
                ),
                "",
            ),
        },
        {
            **_joey_attention("frame_attention", "trg_trg_att"),
            **_joey_attention("source_attention", "src_trg_att"),
        },
        {},
        positions="pe.pe",
        positions_shape=(1, MAX_POSITIONS, -1),
    ),
}


def layout_of(part: Part, network: str) -> Layout:
    """The layout of a published network, e.g. the `zandtime` decoder."""
    return (ENCODERS if part == "encoder" else DECODERS)[network]


def from_upstream(state: Mapping[str, Tensor], part: Part, network: str = "transformer") -> dict[str, Tensor]:
    """State dict of their encoder or decoder (names without the part's prefix) under our names.

    Args:
        state: their parameters; positions are ignored, as they are constants.
        part: `encoder` or `decoder`.
        network: name in `ENCODERS` or `DECODERS`.

    Raises:
        InputError: an unknown name.
    """
    return layout_of(part, network).ours(state, part)


def to_upstream(state: Mapping[str, Tensor], part: Part, network: str = "transformer") -> dict[str, Tensor]:
    """Inverse of `from_upstream`: the published names, positions included.

    The queries and keys of a cross-attention to one token, which have no effect, are 0.
    """
    norms = [value for name, value in state.items() if name.endswith("norm.weight")]
    return layout_of(part, network).theirs(state, len(norms[0]) if norms else 0)
