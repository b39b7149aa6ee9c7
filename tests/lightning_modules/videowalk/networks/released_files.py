"""Writes files in the layouts of published encoders, from a small ResNet of ours with known weights."""

import argparse
import re
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_modules.videowalk.networks.resnet import ResNet

WIDTH = 4


def resnet(depth: Literal[18, 50] = 18, width: int = WIDTH, **options: Any) -> ResNet:
    """A narrow network of seeded random weights; its statistics are random too."""
    torch.manual_seed(7)
    net = ResNet(depth, width=width, **options)
    for name, buffer in net.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
        elif name.endswith("running_mean"):
            buffer.normal_()
    return net


def videowalk_content(net: ResNet, head: list[tuple[int, int]], older: bool = False, **options: Any) -> dict[str, Any]:
    """What `train.py` saves: weights, optimizer, schedule, epoch and its options as a Namespace."""
    state = {f"encoder.model.{name}": value for name, value in net.state_dict().items()}
    if older:
        state = {re.sub(r"(?<!downsample)\.(conv\d)\.weight$", r".\1.1.weight", name): v for name, v in state.items()}
    for number, (inputs, outputs) in enumerate(head):
        state[f"selfsim_fc.{2 * number}.weight"] = torch.randn(outputs, inputs)
        state[f"selfsim_fc.{2 * number}.bias"] = torch.randn(outputs)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))], lr=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 4])
    arguments = {"temp": 0.07, "dropout": 0.1, "featdrop": 0.0, "flip": False, "model_type": "scratch",
                 "head_depth": len(head) - 1, "device": "cuda", "patch_size": [64, 64, 3]}  # fmt: skip
    return {
        "model": state,
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 24,
        "args": argparse.Namespace(**{**arguments, **options}),
    }


def torchvision_content(net: ResNet) -> dict[str, Tensor]:
    """An old file of torchvision: a classifier, no counts of batches."""
    state = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    return {**state, "fc.weight": torch.zeros(10, 8), "fc.bias": torch.zeros(10)}


def moco_content(net: ResNet) -> dict[str, Any]:
    """MoCo v2: the query encoder with its classifier, the key encoder, the queue."""
    state = {f"module.encoder_q.{name}": value for name, value in net.state_dict().items()}
    state |= {f"module.encoder_k.{name}": torch.zeros_like(value) for name, value in net.state_dict().items()}
    state |= {"module.encoder_q.fc.0.weight": torch.zeros(3, 3), "module.queue": torch.zeros(2, 5)}
    return {"epoch": 800, "arch": "resnet50", "state_dict": state}


def timecycle_content(net: ResNet) -> dict[str, Any]:
    """TimeCycle: kernels over a time of one frame, no fourth layer."""
    state = {f"module.encoderVideo.{name}": value.unsqueeze(2) if value.ndim == 4 else value
             for name, value in net.state_dict().items() if not name.startswith("layer4")}  # fmt: skip
    return {"epoch": 16, "state_dict": {**state, "module.afterconv1.weight": torch.zeros(2, 2, 1, 1)}}


def uvc_content(net: ResNet) -> dict[str, Any]:
    """UVC: an encoder of grey and one of coloured pictures."""
    state = {f"module.gray_encoder.{name}": value for name, value in net.state_dict().items()}
    return {"epoch": 3, "state_dict": {**state, "module.rgb_encoder.conv1.weight": torch.zeros(1)}}


def write(file: Path, content: Any) -> Path:
    """Save as torch does; returns the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, file)
    return file
