"""How actions enter the networks: learned vectors, one-hot labels, and the memory that decoders read.

Labels are `[B]` int64, or weights over the classes `[B, C]` float (soft labels). With pair conditioning two of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.sizes import NetworkSizes


class ActionEmbedding(nn.Module):
    """A learned vector per action, or for a pair of actions the vectors of both side by side."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.pair = sizes.conditioning == "pair"
        width = sizes.latent_dim // 2 if self.pair else sizes.latent_dim
        self.table = nn.Parameter(torch.randn(sizes.num_classes, width))

    def forward(self, action: Tensor, second_action: Tensor) -> Tensor:
        """Labels `[B]` int64, or weights over the classes `[B, C]` float (soft labels), to `[B, D]`."""
        first = self._look_up(action)
        return torch.cat([first, self._look_up(second_action)], dim=-1) if self.pair else first

    def _look_up(self, action: Tensor) -> Tensor:
        return action @ self.table if action.is_floating_point() else F.embedding(action, self.table)


class ActionOneHot(nn.Module):
    """Labels as numbers: one-hot, or as they are where they are soft; of a pair of actions both side by side."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.pair = sizes.conditioning == "pair"
        self.num_classes = sizes.num_classes

    def forward(self, action: Tensor, second_action: Tensor, dtype: torch.dtype) -> Tensor:
        """To `[B, sizes.label_size]` of the given type."""
        first = self._weights(action)
        both = torch.cat([first, self._weights(second_action)], dim=-1) if self.pair else first
        return both.to(dtype)

    def _weights(self, action: Tensor) -> Tensor:
        return action if action.is_floating_point() else F.one_hot(action, self.num_classes).float()


class AddedAction(ActionEmbedding):
    """The published memory of the decoder: one token, the latent plus a learned vector of the action."""

    num_tokens = 1

    def memory(self, z: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Latents `[B, D]` and labels to memory `[B, 1, D]`."""
        return (z + self(action, second_action)).unsqueeze(1)


class ConcatenatedAction(ActionEmbedding):
    """Ablation `concat_bias`: the latent and the learned vector of the action are two tokens."""

    num_tokens = 2

    def memory(self, z: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Latents `[B, D]` and labels to memory `[B, 2, D]`."""
        bias = self(action, second_action)
        return torch.stack([z.to(bias.dtype), bias], dim=1)


class ProjectedAction(nn.Module):
    """Ablation `zandtime`: a linear layer mixes the latent and the one-hot label into one token."""

    num_tokens = 1

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.one_hot = ActionOneHot(sizes)
        self.linear = Linear(sizes.latent_dim + sizes.label_size, sizes.latent_dim)

    def memory(self, z: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Latents `[B, D]` and labels to memory `[B, 1, D]`."""
        return self.linear(torch.cat([z, self.one_hot(action, second_action, z.dtype)], dim=-1)).unsqueeze(1)
