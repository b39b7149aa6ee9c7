"""From clips to nodes: encoder, pooling, head (section 3 of Jabri, Owens, Efros 2020)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.videowalk.networks.encoders import Encoder
from lightning_modules.videowalk.networks.whitening import Whitening


class WalkFeatures(NamedTuple):
    """Nodes of a batch of clips.

    Args:
        q: `[B, D, T, N]`, length 1 over D. N patches, or the cells of the map in row-major order where a frame is one
            picture.
        maps: `[B, T, N, C, h, w]`, the encoder's maps of each patch; N = 1 where a frame is one picture.
    """

    q: Tensor
    maps: Tensor


class ProjectionHead(nn.Sequential):
    """Linear layers from the encoder's channels to the width in which nodes are compared.

    Args:
        inputs: channels of the encoder.
        depth: hidden layers of width `inputs` with a ReLU; 0 = one linear layer, -1 = no head.
        outputs: width of a node.

    Raises:
        InputError: depth below -1.
    """

    def __init__(self, inputs: int, depth: int = 0, outputs: int = 128) -> None:
        if depth < -1:
            raise InputError(f"model.head_depth={depth}: expected -1 (no head), 0 (one linear layer) or more")
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(inputs, inputs), nn.ReLU()]
        if depth >= 0:
            layers.append(nn.Linear(inputs, outputs))
        super().__init__(*layers)
        self.channels = outputs if depth >= 0 else inputs


class WalkNetwork(nn.Module):
    """Encoder and head over all nodes of a clip.

    Args:
        encoder: maps of pictures.
        head_depth: see `ProjectionHead`.
        featdrop: share of the map's entries that training sets to zero.
        whitening: decorrelate the encoder's channels by the statistics of training, see `Whitening`.

    Raises:
        InputError: featdrop is no share, or the head's depth is wrong.
    """

    def __init__(self, encoder: Encoder, head_depth: int = 0, featdrop: float = 0.0, whitening: bool = False) -> None:
        super().__init__()
        if not 0 <= featdrop < 1:
            raise InputError(f"model.featdrop={featdrop}: expected a share in [0, 1)")
        self.encoder = encoder
        # The published name, so that its weights need no other.
        self.selfsim_fc = ProjectionHead(encoder.channels, head_depth)
        self.featdrop = nn.Dropout(featdrop)
        self.whitening = Whitening(encoder.channels) if whitening else None

    def forward(self, clips: Tensor) -> WalkFeatures:
        """Nodes of normalised clips `[B, T, 3*N, h, w]`, channel index = node * 3 + colour.

        Raises:
            InputError: the channels are no multiple of 3.
        """
        batch, frames, channels, height, width = clips.shape
        if channels % 3:
            raise InputError(f"a clip has {channels} channels per frame; expected 3 per node")
        patches = channels // 3
        # Frames and nodes lie in this order already: pictures are a view. Their type differs from that of the weights
        # where a whole network is in float64.
        pictures = clips.reshape(-1, 3, height, width).to(next(self.encoder.parameters()).dtype)
        maps = self.encoder(pictures)
        kept = self.featdrop(maps if self.whitening is None else self.whitening(maps))
        if patches > 1:
            nodes = kept.mean((-2, -1)).unflatten(0, (batch, frames, patches))
        else:
            nodes = kept.flatten(2).transpose(1, 2).unflatten(0, (batch, frames))
        projected = self.selfsim_fc(nodes)
        with torch.autocast(clips.device.type, enabled=False):
            q = F.normalize(projected if projected.dtype == torch.float64 else projected.float(), dim=-1)
        return WalkFeatures(q.permute(0, 3, 1, 2), maps.unflatten(0, (batch, frames, patches)))


def keep_statistics(net: nn.Module) -> None:
    """Have batch normalisation in training use its running statistics and leave them as they are."""
    for each in net.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            each.eval()
