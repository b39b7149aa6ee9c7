"""The ST-GCN recogniser (Yan et al. 2018) on joint rotations, which ACTOR is judged with on UESTC."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from components.body.skeleton import SMPL_PARENTS
from components.errors import InputError
from datamodules.actor.batch import frame_mask
from lightning_modules.actor.networks.recognition import Recognition

# 10 blocks; the frame rate is halved wherever the width grows.
CHANNELS: tuple[int, ...] = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)


def spatial_partitions(parents: Sequence[int] = SMPL_PARENTS) -> Tensor:
    """Adjacency of a joint tree in the three parts of the spatial strategy (Yan et al. 2018, section 3.3).

    The strategy sorts neighbours by their distance to the root. The published graph measures it up to one step only:
    all joints beyond the root's neighbours count as equally far, so edges among them are in the middle part both ways.

    Args:
        parents: parent of each joint, -1 for the root.

    Returns:
        `[3, J, J]`, `[k, sender, receiver]`: a joint to itself; to neighbours equally far from the root or closer to
        it; to farther ones. What a joint receives in all adds up to 1.
    """
    joints = range(len(parents))
    # Distance to the root: 0, 1, or 2 for anything farther.
    steps = torch.tensor([0 if parent < 0 else 1 if parents[parent] < 0 else 2 for parent in parents])
    own = torch.eye(len(parents), dtype=torch.bool)
    linked = torch.tensor([[parents[v] == w or parents[w] == v for w in joints] for v in joints]) | own
    outward = steps[:, None] < steps[None, :]
    weights = linked / linked.sum(dim=0)
    return torch.stack([weights * own, weights * ~(own | outward), weights * outward])


def _keep(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Zero the frames of `[B, C, T, J]` from `lengths` on."""
    if lengths is None:
        return x
    return x.masked_fill(~frame_mask(lengths, x.shape[2])[:, None, :, None], 0.0)


class STGCNBlock(nn.Module):
    """A graph convolution over joints, then a convolution over frames, around them a shortcut."""

    def __init__(
        self, in_channels: int, channels: int, partitions: int, kernel: int, stride: int, dropout: float, shortcut: bool
    ) -> None:
        super().__init__()
        self.partitions = partitions
        self.stride = stride
        self.gather = nn.Conv2d(in_channels, partitions * channels, 1)
        self.gather_norm = nn.BatchNorm2d(channels)
        self.temporal = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), ((kernel - 1) // 2, 0))
        self.temporal_norm = nn.BatchNorm2d(channels)
        self.dropout = nn.Dropout(dropout)
        self.has_shortcut = shortcut
        self.shortcut: nn.Conv2d | None = None
        self.shortcut_norm: nn.BatchNorm2d | None = None
        if shortcut and (in_channels != channels or stride != 1):
            self.shortcut = nn.Conv2d(in_channels, channels, 1, (stride, 1))
            self.shortcut_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, adjacency: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """`[B, C, T, J]` with `lengths` real frames to `[B, C', ceil(T / stride), J]` and its lengths."""
        gathered = self.gather(x).unflatten(1, (self.partitions, -1))  # batch partitions channels frames joints
        gathered = torch.einsum("bkctv,kvw->bctw", gathered, adjacency)
        # Zeros in place of padding: the last real frames see what they would see at the end of a clip of that length.
        gathered = _keep(torch.relu(self.gather_norm(gathered)), lengths)
        out = self.dropout(self.temporal_norm(self.temporal(gathered)))
        if self.shortcut is not None and self.shortcut_norm is not None:
            out = out + self.shortcut_norm(self.shortcut(x))
        elif self.has_shortcut:
            out = out + x
        if lengths is not None:
            lengths = torch.div(lengths + self.stride - 1, self.stride, rounding_mode="floor")
        return torch.relu(out), lengths


class STGCNRecognizer(nn.Module):
    """Spatial-temporal graph convolutions over the SMPL tree; the mean over frames and joints gives the features.

    The published network averages all frames, repeated padding too. With `masked` a motion that is padded gets the
    answer of the motion alone; motions as long as the batch have the published answer either way. While training,
    batch normalisation still counts padded frames, so train on clips of one length.

    Args:
        in_channels: features of one joint (6 for rot6d).
        num_classes: C.
        edge_importance: learn one weight per edge and block.
        masked: leave frames after a motion's length out.
        channels: width of each block; the frame rate is halved wherever it grows.
        temporal_kernel: frames of a convolution, odd.
        dropout: probability after each block, in [0, 1); 0 as published.

    Raises:
        InputError: a size out of range.
    """

    adjacency: Tensor

    def __init__(
        self,
        in_channels: int = 6,
        num_classes: int = 40,
        edge_importance: bool = True,
        masked: bool = True,
        channels: Sequence[int] = CHANNELS,
        temporal_kernel: int = 9,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if in_channels < 1 or num_classes < 1:
            raise InputError(f"model.net.in_channels={in_channels} and num_classes={num_classes} must be at least 1")
        if not channels or min(channels) < 1:
            raise InputError(f"model.net.channels={list(channels)} must list the width of each block, each at least 1")
        if temporal_kernel < 1 or temporal_kernel % 2 == 0:
            raise InputError(f"model.net.temporal_kernel={temporal_kernel} must be odd")
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"model.net.dropout={dropout} must lie in [0, 1)")
        self.in_channels = in_channels
        self.masked = masked
        self.register_buffer("adjacency", spatial_partitions(), persistent=False)
        partitions, joints = self.adjacency.shape[:2]
        self.input_norm = nn.BatchNorm1d(joints * in_channels)
        blocks = []
        for i, width in enumerate(channels):
            before = channels[i - 1] if i else in_channels
            stride = 2 if i and width > before else 1
            blocks.append(STGCNBlock(before, width, partitions, temporal_kernel, stride, dropout, shortcut=i > 0))
        self.blocks = nn.ModuleList(blocks)
        self.edge_importance: nn.ParameterList | None = None
        if edge_importance:
            self.edge_importance = nn.ParameterList(nn.Parameter(torch.ones_like(self.adjacency)) for _ in blocks)
        self.class_head = nn.Linear(channels[-1], num_classes)

    def forward(self, rotations: Tensor, lengths: Tensor | None = None) -> Recognition:
        """Recognise motions.

        Args:
            rotations: `[B, 24, F, T]`, global orientation first, no translation row.
            lengths: `[B]` real frames, 1..T; None = T.

        Returns:
            Features `[B, D]`, D = width of the last block, and logits `[B, C]`.

        Raises:
            ValueError: not 24 rows.
        """
        joints = self.adjacency.shape[-1]
        if rotations.shape[1] != joints:
            raise ValueError(f"rotations of shape {tuple(rotations.shape)}: expected {joints} rows")
        if not self.masked:
            lengths = None
        x = self.input_norm(rotations.flatten(1, 2)).unflatten(1, (joints, -1))
        x = x.permute(0, 2, 3, 1)  # batch channels frames joints
        for i, block in enumerate(self.blocks):
            weight = 1.0 if self.edge_importance is None else self.edge_importance[i]
            x, lengths = block(x, self.adjacency * weight, lengths)
        if lengths is None:
            features = x.mean(dim=(2, 3))
        else:
            features = _keep(x, lengths).sum(dim=(2, 3)) / (lengths[:, None] * joints)
        return Recognition(features, self.class_head(features))
