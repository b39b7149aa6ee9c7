"""Frozen features of frames, as label propagation reads them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.videowalk.networks.encoders import Encoder
from lightning_modules.videowalk.networks.walk_network import ProjectionHead, WalkNetwork


class FeatureExtractor(nn.Module):
    """Maps `[F, C, h, w]` of pictures `[F, 3, H, W]` in 0..1, RGB.

    Normalises with the encoder's own statistics and runs in evaluation mode whatever mode the network is in, without
    gradient. Weights are shared with the network they come from: it may train on between two calls.

    Args:
        encoder: maps of normalised pictures.
        head: applied to every cell of the map.
        channels: C, where the head changes it.
        whitening: applied to the encoder's maps, before the head.

    Attributes:
        channels: C.
        stride: pixels per cell.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: nn.Module | None = None,
        channels: int | None = None,
        whitening: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.whitening = whitening
        self.head = head
        self.stride = encoder.stride
        self.channels = encoder.channels if channels is None else channels

    @classmethod
    def of(cls, net: WalkNetwork, use_head: bool, remove_layers: Sequence[str]) -> "FeatureExtractor":
        """The extractor of a walk's network.

        Raises:
            InputError: the head or the whitening stands behind fewer layers than it was trained on, or a layer cannot
                be removed.
        """
        head = net.selfsim_fc if use_head else None
        encoder = net.encoder.without(remove_layers)
        if net.whitening is not None and _form(encoder) != _form(net.encoder):
            raise InputError(
                f"remove_layers={list(remove_layers)}: this network was trained with model.whitening=true, and the "
                "statistics fit the maps of all its layers.\nSet remove_layers=[]"
            )
        if isinstance(head, ProjectionHead):
            if encoder.channels != net.encoder.channels:
                raise InputError(
                    f"use_head=true with remove_layers={list(remove_layers)}: the head reads "
                    f"{net.encoder.channels} channels and finds {encoder.channels}; set remove_layers=[]"
                )
            return cls(encoder, head, head.channels, net.whitening)
        return cls(encoder, whitening=net.whitening)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        with _evaluation(self):
            maps = self.encoder(self.encoder.normalization.apply(images))
            if self.whitening is not None:
                maps = self.whitening(maps)
            if self.head is not None:
                maps = self.head(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return maps


def _form(encoder: Encoder) -> tuple[int, int]:
    return encoder.channels, encoder.stride


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    trained = [each for each in module.modules() if each.training]
    for each in trained:
        each.training = False
    try:
        yield
    finally:
        for each in trained:
            each.training = True
