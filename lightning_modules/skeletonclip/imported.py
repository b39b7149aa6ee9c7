"""Published checkpoints as checkpoints of ours, from which evaluation, prediction and training start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from components.errors import InputError
from components.files.checkpoint_entry import imported_checkpoint
from lightning_modules.skeletonclip.networks.text_sources import fold_token_types
from lightning_modules.skeletonclip.upstream import Published, backbone_sizes, read_published, text_sizes

Variant = Literal["auto", "slowonly", "visece", "itm", "momentum", "pacl", "plus"]
_PACKAGE = "lightning_modules.skeletonclip"
_QUEUES = ("video_queue", "text_queue", "idx_queue", "ptr_queue")


@dataclass(frozen=True)
class ImportedClip:
    """What was made of a file.

    Attributes:
        checkpoint: in Lightning's layout, with the entry that the model is rebuilt from.
        variant: which model it is.
        taken: names in the file that were taken over.
        ignored: names in the file that the model does not need.
        missing: parameters and queues that the file has not, which start afresh.
    """

    checkpoint: dict[str, Any]
    variant: str
    taken: list[str]
    ignored: list[str]
    missing: list[str]


def import_clip(
    path: str | Path,
    variant: Variant = "auto",
    tokenizer: str = "package",
    text_heads: int | None = None,
    texts: Sequence[Sequence[str]] | None = None,
    data: Mapping[str, Any] | None = None,
) -> ImportedClip:
    """Read a published file and rebuild its model; strides, which no weight tells, are the published ones.

    Args:
        path: the file.
        variant: which model it is; `auto` tells by the layers that are there.
        tokenizer: source of the vocabulary that the text encoder was trained with.
        text_heads: attention heads of the text encoder; None = one per 64 channels.
        texts: of the classes; None = not known yet.
        data: what is known of the data, keys of `data`.

    Raises:
        InputError: see `read_published`, the variant needs layers that are not there, or the vocabulary does not fit.
    """
    if variant not in get_args(Variant):
        raise InputError(f"variant={variant}: expected one of {', '.join(get_args(Variant))}")
    published = read_published(path)
    found = _variant(published) if variant == "auto" else variant
    model = _classifier(published) if found == "slowonly" else _matcher(published, found, tokenizer, text_heads)
    module = _build(model)
    wanted = module.state_dict()
    state, taken, missing = _state(published, wanted)
    if texts is not None and hasattr(module, "texts"):
        module.set_texts(texts)
        state |= {name: value for name, value in module.state_dict().items() if name.endswith("_extra_state")}
    optimizer = {"_target_": "torch.optim.AdamW", "_partial_": True, "lr": 1e-3, "weight_decay": 0.01}
    config = {
        "model": model | {"optimizer": optimizer, "scheduler": None},
        "data": {"root": None, **(data or {})},
        "optimizer": optimizer,
        "scheduler": None,
    }
    facts = {"imported_from": Path(path).name, "variant": found, "synthetic": False}
    checkpoint = imported_checkpoint("skeletonclip", f"skeletonclip_{found}", config, facts, {}, published.epoch or 0)
    checkpoint["state_dict"] = state
    ignored = [name for name in published.state if name not in taken]
    return ImportedClip(checkpoint, found, taken, ignored, missing)


def _variant(published: Published) -> str:
    names = published.state
    if published.prefix == "backbone.":
        return "slowonly"
    if published.prefix != "video_encoder.resnet." or "text_proj.weight" not in names:
        raise InputError(
            f"checkpoint={published.path} holds a backbone and no classifier or texts; a training starts from it with "
            f"model.video_encoder.checkpoint={published.path}"
        )
    if "video_queue" in names or any(name.startswith("video_encoder_m.") for name in names):
        return "momentum"
    if "video_encoder.linear.weight" in names:
        return "itm" if "itm_head.weight" in names else "visece"
    return "pacl" if "video_embed_res.weight" in names else "plus"


def _resnet(published: Published) -> dict[str, Any]:
    sizes = backbone_sizes(published)
    stages = len(sizes.stage_blocks)
    return {
        "_target_": f"{_PACKAGE}.networks.slowonly.ResNet3dSlowOnly",
        **vars(sizes),
        "spatial_strides": [2] * stages,
        "temporal_strides": [1] * (stages - 1) + [2],
    }


def _classifier(published: Published) -> dict[str, Any]:
    head = _needed(published, "cls_head.fc_cls.weight", "slowonly")
    return {
        "_target_": f"{_PACKAGE}.classifier_module.SkeletonClassifierModule",
        "backbone": _resnet(published),
        "num_classes": len(head),
        "dropout": 0.5,
    }


def _matcher(published: Published, variant: str, tokenizer: str, heads: int | None) -> dict[str, Any]:
    """The model's config; values that weights do not tell are those of the published configs."""
    names = published.state
    residual = "video_embed_res.weight" in names
    if not residual:
        _needed(published, "vision_proj.weight", variant)
    linear = names.get("video_encoder.linear.weight")
    weighted = variant in ("pacl", "plus")
    text = {
        "_target_": f"{_PACKAGE}.networks.text_encoder.TextEncoder",
        "source": "random",
        **text_sizes(published, heads),
        "cross_attention": variant == "itm",
    }
    model = {
        "_target_": f"{_PACKAGE}.module.SkeletonClipModule",
        "video_encoder": {
            "_target_": f"{_PACKAGE}.networks.video_encoder.VideoEncoder",
            "resnet": _resnet(published),
            "bottleneck_dim": None if linear is None else len(linear),
        },
        "text_encoder": text,
        "tokenizer": {"_target_": f"{_PACKAGE}.networks.tokenizer.ClassTokenizer", "source": tokenizer},
        "embed_dim": len(_needed(published, "text_proj.weight", variant)),
        "embedder": "residual_mlp" if residual else "linear",
        "pooling": "text_weighted" if weighted else "mean_then_embed",
        "objective": "all_class" if weighted else "in_batch",
    }
    if weighted:
        # As the released classes weigh frames.
        model["alignment"] = {
            "_target_": f"{_PACKAGE}.alignment.Alignment", "weighting": "sigmoid", "scale": 10.0, "apply_to": "raw",
            "renormalise": True,
        }  # fmt: skip
    if variant == "itm":
        model["matching"] = {"_target_": f"{_PACKAGE}.matching.Matching", "_partial_": True}
    if variant == "momentum":
        queue = names.get("video_queue")
        size = 4096 if queue is None else queue.shape[-1]
        model["momentum"] = {"_target_": f"{_PACKAGE}.momentum.Momentum", "_partial_": True, "queue_size": size}
    return model


def _build(model: Mapping[str, Any]) -> Any:
    """The module of a config made above, without Hydra."""
    from functools import partial
    from importlib import import_module

    def make(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        arguments = {key: make(value) for key, value in node.items() if not key.startswith("_")}
        place, _, name = node["_target_"].rpartition(".")
        target = getattr(import_module(place), name)
        return partial(target, **arguments) if node.get("_partial_") else target(**arguments)

    return make(dict(model) | {"optimizer": None})


def _state(published: Published, wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Weights under our names; names in the file that gave them; names of ours that it has not."""
    theirs = dict(published.state)
    for part in ("text_encoder.", "text_encoder_m."):
        own = {name: theirs.pop(name) for name in list(theirs) if name.startswith(part)}
        folded = fold_token_types({name.removeprefix(part): value for name, value in own.items()})
        theirs |= {part + name: value for name, value in folded.items()}
    state: dict[str, Tensor] = {}
    taken, missing, different = [], [], []
    for name, value in wanted.items():
        if name.endswith("_extra_state"):
            state[name] = value
            continue
        source = _theirs(name)
        if source in theirs:
            taken.append(source)
            state[name] = theirs[source]
            if theirs[source].shape != value.shape:
                different.append(f"'{source}' is {tuple(theirs[source].shape)}, expected {tuple(value.shape)}")
            continue
        state[name] = torch.zeros_like(value) if name.endswith("num_batches_tracked") else value
        if not name.endswith("num_batches_tracked"):
            missing.append(source)
    if different:
        raise InputError(f"checkpoint={published.path}: {different[0]}; it is no file of this layout")
    needed = [name for name in missing if name not in _QUEUES and "_m." not in name and name != "temp"]
    if needed:
        raise InputError(
            f"checkpoint={published.path} lacks {len(needed)} parameter(s): {', '.join(needed[:3])}"
            f"{', ...' if len(needed) > 3 else ''}.\nGive a whole file, or another variant: source.variant=<name>"
        )
    return state, taken, missing


def _theirs(name: str) -> str:
    """The published name of an entry of ours."""
    for prefix in ("net.", "matching.", "momentum."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _needed(published: Published, name: str, variant: str) -> Tensor:
    if name not in published.state:
        raise InputError(
            f"checkpoint={published.path} has no '{name}', which variant={variant} needs.\n"
            "Give a whole file, or leave the choice to source.variant=auto"
        )
    return published.state[name]
