"""The transformer encoder and decoder of ACTOR (Petrovich et al. 2021, figure 2), for one action or a pair of actions.

Post-norm layers, batch first. Motion is `batch joints feats frames`, hidden states are `batch frames width`. Parameters
stand in the order of the published code; `upstream.py` knows their names there.
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.actor.networks.actions import ActionEmbedding, AddedAction
from lightning_modules.actor.networks.alpha import AlphaFilm
from lightning_modules.actor.networks.attention import CrossAttention, SelfAttention, SingleTokenAttention
from lightning_modules.actor.networks.dropout import Dropout
from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.positions import PositionalEncoding
from lightning_modules.actor.networks.sizes import NetworkSizes


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
    """Self-attention, attention to the memory and feed-forward, each with a residual path and a layer norm."""

    def __init__(self, sizes: NetworkSizes, memory_tokens: int = 1) -> None:
        super().__init__()
        self.attention = SelfAttention(sizes.latent_dim, sizes.num_heads, sizes.dropout)
        to_memory = SingleTokenAttention if memory_tokens == 1 else CrossAttention
        self.memory_attention = to_memory(sizes.latent_dim, sizes.num_heads, sizes.dropout)
        self.feed_forward = FeedForward(sizes)
        self.attention_norm = nn.LayerNorm(sizes.latent_dim)
        self.memory_norm = nn.LayerNorm(sizes.latent_dim)
        self.feed_forward_norm = nn.LayerNorm(sizes.latent_dim)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """Frames `[B, T, D]`, or `[1, T, D]` where all motions share them, and memory `[B, M, D]` to `[B, T, D]`."""
        x = self.attention_norm(x + self.dropout(self.attention(x, mask))).expand(len(memory), -1, -1)
        received = self.memory_attention(x, memory)
        if self.training:
            received = received.expand_as(x)  # each frame drops elements of its own
        x = self.memory_norm(x + self.dropout(received))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class TransformerEncoder(nn.Module):
    """Motion and labels to the mean and log-variance of the latent vector.

    Two learned tokens per action are put before the frames; what the last layer makes of them are mu and log-variance.

    Args:
        sizes: of the model.
        position: called with width and dropout; `tokens [B, 2 + T, D] -> tokens`.
    """

    def __init__(self, sizes: NetworkSizes, position: Callable[[int, float], nn.Module] = PositionalEncoding) -> None:
        super().__init__()
        self.mu_token = ActionEmbedding(sizes)
        self.logvar_token = ActionEmbedding(sizes)
        self.pose_embedding = Linear(sizes.pose_size, sizes.latent_dim)
        self.position = position(sizes.latent_dim, sizes.dropout)
        self.layers = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_layers))
        self.alpha_film = AlphaFilm(sizes) if sizes.alpha_embedding else None

    def forward(
        self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode.

        Args:
            motion: `[B, J, F, T]`.
            mask: bool `[B, T]`, True = real frame.
            action, second_action: `[B]` int64 or soft labels `[B, C]`; the second is read with pair conditioning only.
            alpha: `[B]` share of the first motion, with `sizes.alpha_embedding`.

        Returns:
            mu and logvar, `[B, D]` each.
        """
        frames = self.pose_embedding(motion.permute(0, 3, 1, 2).flatten(2))
        tokens = torch.stack([self.mu_token(action, second_action), self.logvar_token(action, second_action)], dim=1)
        if self.alpha_film is not None and alpha is not None:
            tokens = self.alpha_film(tokens, alpha)
        x = self.position(torch.cat([tokens.to(frames.dtype), frames], dim=1))
        token_mask = torch.cat([mask.new_ones(len(mask), 2), mask], dim=1)
        for layer in self.layers[:-1]:
            x = layer(x, token_mask)
        # Nobody reads the frames of the last layer.
        mu, logvar = self.layers[-1](x, token_mask, num_queries=2).unbind(dim=1)
        return mu, logvar


class Memory(Protocol):
    """What a decoder needs of the part that makes its memory; see `actions.py`."""

    num_tokens: int

    def memory(self, z: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Latents `[B, D]` and labels to `[B, num_tokens, D]`."""


def _all_real(mask: Tensor) -> bool:
    """Whether a mask is True everywhere, as far as the host can tell: elsewhere than on a CPU asking would wait."""
    return mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all())


class TransformerDecoder(nn.Module):
    """Latent vector and labels to motion; the queries are the times of the frames, so any duration will do.

    Args:
        sizes: of the model.
        memory: called with the sizes; makes the memory of latents and labels, see `Memory`.
        position: called with width and dropout; `(zeros [B, T, D], mask [B, T]) -> queries`.
    """

    def __init__(
        self,
        sizes: NetworkSizes,
        memory: Callable[[NetworkSizes], Memory] = AddedAction,
        position: Callable[[int, float], nn.Module] = PositionalEncoding,
    ) -> None:
        super().__init__()
        self.pose_shape = (sizes.num_joints, sizes.num_feats)
        self.action_bias = memory(sizes)
        self.position = position(sizes.latent_dim, sizes.dropout)
        tokens = self.action_bias.num_tokens
        self.layers = nn.ModuleList(DecoderLayer(sizes, tokens) for _ in range(sizes.num_layers))
        self.pose_head = Linear(sizes.latent_dim, sizes.pose_size)
        self.alpha_film = AlphaFilm(sizes) if sizes.alpha_embedding else None

    def forward(
        self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
    ) -> Tensor:
        """Decode.

        Args:
            z: `[B, D]`.
            mask: bool `[B, T]`, True = frame wanted; at least one per motion.
            action, second_action, alpha: as for the encoder.

        Returns:
            Motion `[B, J, F, T]`, zero where the mask is False.
        """
        memory = self.action_bias.memory(z, action, second_action)
        if self.alpha_film is not None and alpha is not None:
            memory = self.alpha_film(memory, alpha)
        # Without a mask and without dropout the first self-attention has one result for all motions: one row will do.
        shared = not self.training and _all_real(mask)
        asked = mask[:1] if shared else mask
        x = self.position(z.new_zeros(*asked.shape, z.shape[-1]), asked)
        for layer in self.layers:
            x = layer(x, memory, None if shared else mask)
        return unflatten_poses(self.pose_head(x), mask, self.pose_shape)


def unflatten_poses(poses: Tensor, mask: Tensor, pose_shape: tuple[int, int]) -> Tensor:
    """Poses `[B, T, J * F]` to motion `[B, J, F, T]`, zero where the mask `[B, T]` is False."""
    return poses.masked_fill(~mask.unsqueeze(-1), 0.0).unflatten(-1, pose_shape).permute(0, 2, 3, 1)
