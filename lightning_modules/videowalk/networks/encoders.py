"""What every encoder of pictures offers, whatever network stands behind it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from torch import Tensor, nn

from components.media.normalization import PictureNormalization


class Encoder(nn.Module, ABC):
    """Maps of features from normalised pictures.

    Attributes:
        channels: C of the map.
        stride: pixels of the picture per cell of the map, odd sizes rounded up.
        normalization: what brings pictures 0..1 to the network's input at evaluation. Training data are normalised by
            the data module, with statistics of its own.
    """

    channels: int
    stride: int
    normalization: PictureNormalization

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Maps `[B, C, h, w]` of normalised pictures `[B, 3, H, W]`."""

    def without(self, layers: Sequence[str]) -> Self:
        """This encoder without some of its layers, weights shared.

        Label propagation reads earlier features than the walk is trained on. An encoder that has no layer of such a
        name returns itself, so that one setting serves all encoders.
        """
        return self
