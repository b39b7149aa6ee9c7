"""Ablation `average_encoder` of ACTOR (Petrovich et al. 2021, table of architectures): no learned tokens."""

import torch
from torch import Tensor, nn

from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.positions import PositionalEncoding
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import EncoderLayer


class AverageEncoder(nn.Module):
    """The transformer encoder over frames alone; two linear layers read mu and log-variance from the mean frame.

    As published, it does not see the action.

    Args:
        sizes: of the model.
        average_padding: as published, padded frames count in the mean: a motion's latent then depends on the length of
            its neighbours in the batch.
    """

    def __init__(self, sizes: NetworkSizes, average_padding: bool = False) -> None:
        super().__init__()
        self.average_padding = average_padding
        self.mu_head = Linear(sizes.latent_dim, sizes.latent_dim)
        self.logvar_head = Linear(sizes.latent_dim, sizes.latent_dim)
        self.pose_embedding = Linear(sizes.pose_size, sizes.latent_dim)
        self.position = PositionalEncoding(sizes.latent_dim, sizes.dropout)
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_layers))

    def forward(self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> tuple[Tensor, Tensor]:
        """Motion `[B, J, F, T]` and mask bool `[B, T]` to mu and logvar `[B, D]`; the labels are not read."""
        x = self.position(self.pose_embedding(motion.permute(0, 3, 1, 2).flatten(2)))
        for layer in self.layers:
            x = layer(x, mask)
        counted = torch.ones_like(mask) if self.average_padding else mask
        mean = torch.where(counted.unsqueeze(-1), x, 0.0).sum(dim=1) / counted.sum(dim=1, keepdim=True).clamp(min=1)
        return self.mu_head(mean), self.logvar_head(mean)
