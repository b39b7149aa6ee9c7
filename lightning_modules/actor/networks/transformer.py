"""The transformer encoder and decoder of ACTOR (Petrovich et al. 2021, figure 2), for one action or a pair of actions.

Post-norm layers, batch first. Motion is `batch joints feats frames`, hidden states are `batch frames width`. Parameters
stand in the order of the published code; `upstream.py` knows their names there.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.actor.networks.attention import SelfAttention, SingleTokenAttention
from lightning_modules.actor.networks.dropout import Dropout
from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.sizes import NetworkSizes

MAX_POSITIONS = 5000


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


def sinusoidal_positions(count: int, width: int) -> Tensor:
    """`[count, width]`: sin(p w_i) and cos(p w_i) alternate, w_i = 10000^(-2i / width) (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.arange(0, width, 2).float() * (-math.log(10000.0) / width))
    angles = torch.arange(count).float().unsqueeze(1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class PositionalEncoding(nn.Module):
    """Adds the position of each token, then drops out."""

    positions: Tensor

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        # A constant of the architecture: not in the checkpoints.
        self.register_buffer("positions", sinusoidal_positions(MAX_POSITIONS, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, D]` to `[B, T, D]`.

        Raises:
            InputError: more tokens than positions.
        """
        if x.shape[1] > MAX_POSITIONS:
            raise InputError(f"{x.shape[1]} tokens asked for; the positions end at {MAX_POSITIONS}")
        return self.dropout(x + self.positions[: x.shape[1]])


class FeedForward(nn.Module):
    """Linear, activation, dropout, linear; frame by frame."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.expand = Linear(sizes.latent_dim, sizes.ff_size)
        self.contract = Linear(sizes.ff_size, sizes.latent_dim)
        self.activation = F.gelu if sizes.activation == "gelu" else F.relu
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.contract(self.dropout(self.activation(self.expand(x))))


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual path and a layer norm behind it."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.attention = SelfAttention(sizes.latent_dim, sizes.num_heads, sizes.dropout)
        self.feed_forward = FeedForward(sizes)
        self.attention_norm = nn.LayerNorm(sizes.latent_dim)
        self.feed_forward_norm = nn.LayerNorm(sizes.latent_dim)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: Tensor, mask: Tensor | None, num_queries: int | None = None) -> Tensor:
        """`[B, T, D]` to `[B, num_queries or T, D]`; see `SelfAttention.forward`."""
        attended = self.dropout(self.attention(x, mask, num_queries))
        x = self.attention_norm(x[:, :num_queries] + attended)
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class DecoderLayer(nn.Module):
    """Self-attention, attention to the memory token and feed-forward, each with a residual path and a layer norm."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.attention = SelfAttention(sizes.latent_dim, sizes.num_heads, sizes.dropout)
        self.memory_attention = SingleTokenAttention(sizes.latent_dim, sizes.num_heads, sizes.dropout)
        self.feed_forward = FeedForward(sizes)
        self.attention_norm = nn.LayerNorm(sizes.latent_dim)
        self.memory_norm = nn.LayerNorm(sizes.latent_dim)
        self.feed_forward_norm = nn.LayerNorm(sizes.latent_dim)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Frames `[B, T, D]` and memory `[B, D]` to `[B, T, D]`."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask)))
        received = self.memory_attention(memory, x.shape[1])
        if self.training:
            received = received.expand_as(x)  # each frame drops elements of its own
        x = self.memory_norm(x + self.dropout(received))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class TransformerEncoder(nn.Module):
    """Motion and labels to the mean and log-variance of the latent vector.

    Two learned tokens per action are put before the frames; what the last layer makes of them are mu and log-variance.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.mu_token = ActionEmbedding(sizes)
        self.logvar_token = ActionEmbedding(sizes)
        self.pose_embedding = Linear(sizes.pose_size, sizes.latent_dim)
        self.position = PositionalEncoding(sizes.latent_dim, sizes.dropout)
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_layers))

    def forward(self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            motion: `[B, J, F, T]`.
            mask: bool `[B, T]`, True = real frame.
            action, second_action: `[B]` int64 or soft labels `[B, C]`; the second is read with pair conditioning only.

        Returns:
            mu and logvar, `[B, D]` each.
        """
        frames = self.pose_embedding(motion.permute(0, 3, 1, 2).flatten(2))
        tokens = torch.stack([self.mu_token(action, second_action), self.logvar_token(action, second_action)], dim=1)
        x = self.position(torch.cat([tokens.to(frames.dtype), frames], dim=1))
        token_mask = torch.cat([mask.new_ones(len(mask), 2), mask], dim=1)
        for layer in self.layers[:-1]:
            x = layer(x, token_mask)
        # Nobody reads the frames of the last layer.
        mu, logvar = self.layers[-1](x, token_mask, num_queries=2).unbind(dim=1)
        return mu, logvar


class TransformerDecoder(nn.Module):
    """Latent vector and labels to motion; the queries are the positions of the frames, so any duration will do."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.pose_shape = (sizes.num_joints, sizes.num_feats)
        self.action_bias = ActionEmbedding(sizes)
        self.position = PositionalEncoding(sizes.latent_dim, sizes.dropout)
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.num_layers))
        self.pose_head = Linear(sizes.latent_dim, sizes.pose_size)

    def forward(self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Decode.

        Args:
            z: `[B, D]`.
            mask: bool `[B, T]`, True = frame wanted; at least one per motion.
            action, second_action: as for the encoder.

        Returns:
            Motion `[B, J, F, T]`, zero where the mask is False.
        """
        memory = z + self.action_bias(action, second_action)
        x = self.position(z.new_zeros(*mask.shape, z.shape[-1]))
        for layer in self.layers:
            x = layer(x, memory, mask)
        poses = self.pose_head(x).masked_fill(~mask.unsqueeze(-1), 0.0)
        return poses.unflatten(-1, self.pose_shape).permute(0, 2, 3, 1)
