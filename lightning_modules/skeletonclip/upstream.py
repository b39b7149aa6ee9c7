"""Checkpoints of pyskl and of the published SkeletonCLIP++ code: their layouts, and the sizes that their weights tell.

| layout | where the backbone is | what else there is |
|---|---|---|
| slowonly (pyskl `Recognizer3D`) | `backbone.*` | `cls_head.fc_cls.*` |
| skeletonclip | `video_encoder.resnet.*` | see below |
| backbone alone | the file itself, or behind `resnet.` | |

SkeletonCLIP has `video_encoder.linear.*`, `text_encoder.*`, `text_proj.*`, `vision_proj.*` or `video_embed_*`, `temp`,
and by variant `itm_head.*`, or copies `*_m.*` with `video_queue`, `text_queue`, `idx_queue`, `ptr_queue`.
Our own runs have the names of the published code behind `net.`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from components.errors import InputError
from components.files.tensor_files import read_tensors

EXPECTED = "a checkpoint of pyskl (backbone.*) or of SkeletonCLIP (video_encoder.resnet.*)"
_STEM = "conv1.conv.weight"
# What stands before the backbone's names; the empty prefix fits everything and comes last.
_BACKBONES = ("video_encoder.resnet.", "backbone.", "resnet.", "")
_WRAPPERS = ("module.", "net.")
_LAYER = re.compile(r"layer(\d)\.(\d+)\.")


@dataclass(frozen=True)
class Published:
    """A file's weights.

    Args:
        path: the file.
        state: weights under the published names.
        prefix: what stands before the backbone's.
        epoch: of the training, None where unknown.
    """

    path: Path
    state: dict[str, Tensor]
    prefix: str
    epoch: int | None = None

    @property
    def backbone(self) -> dict[str, Tensor]:
        """Weights of the video backbone under its own names."""
        return below(self.state, self.prefix)


@dataclass(frozen=True)
class BackboneSizes:
    """Arguments of `ResNet3dSlowOnly` that weights tell."""

    in_channels: int
    base_channels: int
    stage_blocks: list[int]
    inflate: list[int] = field(default_factory=list)

    def overrides(self) -> str:
        """As settings of a command line."""
        return " ".join(f"{name}={str(value).replace(' ', '')}" for name, value in vars(self).items())


def read_published(path: str | Path, expected: str = EXPECTED) -> Published:
    """Read a file.

    Raises:
        InputError: missing, damaged, hostile, or without a video backbone.
    """
    path = Path(path).expanduser()
    content = read_tensors(path, expected)
    if not isinstance(content, dict):
        raise InputError(f"checkpoint={path} holds a {type(content).__name__}; expected {expected}")
    inner = content.get("state_dict")
    state = {bare(str(name)): value for name, value in (inner if isinstance(inner, dict) else content).items()
             if isinstance(value, Tensor)}  # fmt: skip
    prefix = next((prefix for prefix in _BACKBONES if f"{prefix}{_STEM}" in state), None)
    if prefix is None:
        raise InputError(
            f"checkpoint={path} holds no video backbone ({_STEM}); "
            f"its first entries are {', '.join(list(state)[:3]) or 'no weights'}.\nExpected {expected}"
        )
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"checkpoint={path}: '{name}' holds numbers that are not finite; give an earlier epoch")
    meta = content.get("meta")
    epoch = (meta if isinstance(meta, dict) else content).get("epoch")
    return Published(path, state, prefix, epoch if isinstance(epoch, int) else None)


def bare(name: str) -> str:
    """A name without what wrappers put before it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries behind a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def backbone_sizes(published: Published) -> BackboneSizes:
    """Sizes of the backbone in a file.

    Raises:
        InputError: it is no SlowOnly of bottlenecks.
    """
    weights = published.backbone
    stem = weights[_STEM]
    found = [_LAYER.match(name) for name in weights]
    blocks: dict[int, set[int]] = {}
    for match in filter(None, found):
        blocks.setdefault(int(match[1]), set()).add(int(match[2]))
    stages = sorted(blocks)
    whole = stages == list(range(1, len(stages) + 1)) and all(
        own == set(range(len(own))) and len(own) <= 100 for own in blocks.values()
    )
    first = [weights.get(f"layer{stage}.0.conv1.conv.weight") for stage in stages]
    if stem.ndim != 5 or stem.shape[2:] != (1, 7, 7) or not stages or not whole or any(
        each is None or each.ndim != 5 for each in first
    ):  # fmt: skip
        raise InputError(
            f"checkpoint={published.path}: {published.prefix}{_STEM} is {tuple(stem.shape)} with stages {stages}; "
            "expected a SlowOnly of PoseConv3D, (width, joints, 1, 7, 7) and bottlenecks in layer1, layer2, ..."
        )
    inflate = [int(each.shape[2] == 3) for each in first if each is not None]
    return BackboneSizes(stem.shape[1], stem.shape[0], [len(blocks[stage]) for stage in stages], inflate)


def text_sizes(published: Published, heads: int | None) -> dict[str, Any]:
    """Arguments of `TextEncoder` that weights tell; heads have 64 channels where their number is not given.

    Raises:
        InputError: no BERT in the file, or its number of heads is needed.
    """
    weights = below(published.state, "text_encoder.")
    names = ("embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight",
             "encoder.layer.0.intermediate.dense.weight")  # fmt: skip
    if any(name not in weights or weights[name].ndim != 2 for name in names):
        raise InputError(
            f"checkpoint={published.path} holds no text encoder (text_encoder.{names[0]}); give a whole file"
        )
    words, positions, intermediate = (weights[name].shape for name in names)
    hidden = words[1]
    if heads is None and hidden % 64:
        raise InputError(
            f"checkpoint={published.path}: weights of a text encoder do not tell its attention heads, and {hidden} "
            "channels are no multiple of 64.\nSay them: source.text_heads=<number>"
        )
    layers = {int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")}
    return {
        "vocab_size": words[0], "hidden_size": hidden, "num_layers": len(layers), "num_heads": heads or hidden // 64,
        "intermediate_size": intermediate[0], "max_positions": positions[0],
    }  # fmt: skip
