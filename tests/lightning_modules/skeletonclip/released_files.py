"""Checkpoints in the layouts that pyskl and SkeletonCLIP++ release, written here at small sizes."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder
from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer

BACKBONE: dict[str, Any] = {"in_channels": 17, "base_channels": 4, "stage_blocks": (1, 2, 1)}
EMBED = 8


def backbone(**settings: Any) -> ResNet3dSlowOnly:
    """A small backbone with statistics that are not those of a fresh one."""
    torch.manual_seed(3)
    net = ResNet3dSlowOnly(**BACKBONE | settings)
    for name, value in net.state_dict().items():
        if name.endswith("running_mean"):
            value.uniform_(-0.1, 0.1)
    return net


def text_encoder() -> TextEncoder:
    """All published files have cross-attention, whether matching used it or not."""
    torch.manual_seed(4)
    return TextEncoder(
        "random", ClassTokenizer().vocab_size, 16, 1, 4, 24, max_positions=12, dropout=0.0, cross_attention=True
    )


def pyskl_content(net: ResNet3dSlowOnly, classes: int = 5) -> dict[str, Any]:
    """What mmcv's runner saves of pyskl's `Recognizer3D`."""
    state = below("backbone.", net) | {
        "cls_head.fc_cls.weight": torch.randn(classes, net.channels), "cls_head.fc_cls.bias": torch.randn(classes),
    }  # fmt: skip
    meta = {"epoch": 24, "iter": 100, "mmcv_version": "1.5.0", "hook_msgs": {"best_score": np.float64(0.9)}}
    return {"meta": meta, "state_dict": state, "optimizer": {"param_groups": [{"lr": 0.1}]}}


def skeletonclip_content(variant: str, net: ResNet3dSlowOnly, texts: TextEncoder) -> dict[str, Any]:
    """What mmcv's runner saves of the recogniser of a variant."""
    torch.manual_seed(5)
    width = net.channels
    state = {"temp": torch.tensor(0.05)} | below("video_encoder.resnet.", net)
    if variant in ("visece", "itm", "momentum"):
        state |= linear("video_encoder.linear", width, texts.width)
        width = texts.width
    state |= below("text_encoder.", texts) | {"text_encoder.embeddings.position_ids": torch.arange(12)[None]}
    state |= linear("text_proj", texts.width, EMBED)
    if variant == "pacl":
        state |= linear("video_embed_linear.0", width, EMBED) | linear("video_embed_linear.2", EMBED, EMBED)
        state |= linear("video_embed_res", width, EMBED)
    else:
        state |= linear("vision_proj", width, EMBED)
    if variant in ("itm", "plus"):  # the latter has it without using it
        state |= linear("itm_head", texts.width, 2)
    if variant == "momentum":
        parts = ("video_encoder.", "text_encoder.", "text_proj.", "vision_proj.")
        state |= {name.replace(".", "_m.", 1): value + 0 for name, value in state.items() if name.startswith(parts)}
        state |= {"video_queue": torch.randn(EMBED, 6), "text_queue": torch.randn(EMBED, 6)}
        state |= {"idx_queue": torch.full((1, 6), -100), "ptr_queue": torch.zeros(1, dtype=torch.int64)}
    return {"meta": {"epoch": 23}, "state_dict": state}


def below(prefix: str, module: torch.nn.Module) -> dict[str, Tensor]:
    return {prefix + name: value.clone() for name, value in module.state_dict().items()}


def linear(name: str, inputs: int, outputs: int) -> dict[str, Tensor]:
    return {f"{name}.weight": torch.randn(outputs, inputs), f"{name}.bias": torch.randn(outputs)}


def write(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path
