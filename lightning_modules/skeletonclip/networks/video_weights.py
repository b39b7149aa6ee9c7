"""Trainings that start from a published backbone."""

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.upstream import Published, backbone_sizes, below, read_published

if TYPE_CHECKING:
    from lightning_modules.skeletonclip.networks.video_encoder import VideoEncoder

log = logging.getLogger(__name__)


def load_backbone(backbone: nn.Module, path: str, key: str) -> Published:
    """Load the backbone of a file of pyskl, of the published code or of a run of ours; all of it must fit.

    Args:
        backbone: a `ResNet3dSlowOnly`.
        path: the file.
        key: config key that named it, for messages.

    Raises:
        InputError: see `read_published`, or a parameter is missing or of another shape.
    """
    published = read_published(path)
    backbone.load_state_dict(fitting(published, backbone.state_dict(), key))
    others = [name for name in published.state if not name.startswith(published.prefix)]
    log.info("%s=%s: backbone taken over, %d other entries left out", key, path, len(others))
    return published


def load_encoder(encoder: "VideoEncoder", path: str, key: str) -> None:
    """`load_backbone`, and the linear layer behind it where the file has one of the same shape.

    Raises:
        InputError: as `load_backbone`.
    """
    published = load_backbone(encoder.resnet, path, key)
    if encoder.linear is None:
        return
    linear = below(published.state, "video_encoder.linear.")
    wanted = encoder.linear.state_dict()
    if {name: value.shape for name, value in linear.items()} == {name: value.shape for name, value in wanted.items()}:
        encoder.linear.load_state_dict(linear)
        log.info("%s=%s: linear layer taken over too", key, path)
    else:
        log.info("%s=%s has no linear layer of this shape; it starts at random", key, path)


def fitting(published: Published, wanted: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    """The backbone's weights that a network with the state `wanted` takes.

    Raises:
        InputError: one is missing or of another shape, or a layer of the file has no place.
    """
    found = published.backbone
    taken, missing, different = {}, [], []
    for name, value in wanted.items():
        if name in found:
            taken[name] = found[name]
            if found[name].shape != value.shape:
                different.append(f"{name} is {tuple(found[name].shape)}, expected {tuple(value.shape)}")
        elif name.endswith("num_batches_tracked"):
            taken[name] = torch.zeros_like(value)
        else:
            missing.append(name)
    surplus = [name for name in found if name not in wanted and name.startswith(("conv1.", "layer"))]
    if not missing and not different and not surplus:
        return taken
    first = (different or [f"{name} is missing in the file" for name in missing]
             or [f"{name} has no place" for name in surplus])[0]  # fmt: skip
    raise InputError(
        f"{key}={published.path} does not fit the backbone: {first}.\n"
        f"The file's backbone is {backbone_sizes(published).overrides()}"
    )
