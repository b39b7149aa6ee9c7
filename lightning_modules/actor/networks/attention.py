"""Attention of the ACTOR transformer: over the frames of a motion, and from every frame to the memory.

Shapes: `batch frames width`; H heads of width `width / H`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.actor.networks.dropout import dropout, dropout_mask
from lightning_modules.actor.networks.linear import Linear, linear


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """Scaled dot-product attention, `[B, H, Q, d]` and `[B, H, T, d]` to `[B, H, Q, d]`.

    Args:
        q, k, v: queries, keys and values.
        mask: bool, broadcast to `[B, H, Q, T]`, True = may be attended; None = all.
        p: dropout probability of the attention weights, 0 outside of training.
    """
    if p == 0.0 or q.device.type != "cpu" or torch.compiler.is_compiling():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
    # With dropout torch has no fused CPU kernel either; written out, the mask comes from the cheap generator.
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return dropout(scores.softmax(dim=-1), p, training=True) @ v


class _Heads(nn.Module):
    """Parameters of multi-head attention with one fused input projection (torch's `nn.MultiheadAttention` layout)."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj = Linear(width, 3 * width)
        self.out_proj = Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class SelfAttention(_Heads):
    """Multi-head self-attention."""

    def forward(self, x: Tensor, mask: Tensor | None, num_queries: int | None = None) -> Tensor:
        """Attend over frames.

        Args:
            x: `[B, T, D]`.
            mask: bool `[B, T]`, True = real frame; None = all real.
            num_queries: compute the result of the first tokens only; None = of all.

        Returns:
            `[B, num_queries or T, D]`.
        """
        width = x.shape[-1]
        if num_queries is None:
            q, k, v = (self._split(part) for part in self.in_proj(x).chunk(3, dim=-1))
        else:
            weight, bias = self.in_proj.weight, self.in_proj.bias
            q = self._split(linear(x[:, :num_queries], weight[:width], bias[:width]))
            k, v = (self._split(part) for part in linear(x, weight[width:], bias[width:]).chunk(2, dim=-1))
        key_mask = None if mask is None else mask[:, None, None, :]
        attended = attend(q, k, v, key_mask, self.dropout if self.training else 0.0)
        return self.out_proj(attended.transpose(1, 2).flatten(-2))


class CrossAttention(_Heads):
    """Multi-head attention from frames to other tokens.

    The steps are open to callers that keep keys and values.
    """

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Frames `[B, Q, D]` and memory `[B, M, D]` to `[B, Q, D]`; mask as in `attend`."""
        return self.receive(x, *self.keys_values(memory), mask)

    def keys_values(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Memory `[B, M, D]` to keys and values `[B, H, M, D / H]`."""
        width = memory.shape[-1]
        k, v = linear(memory, self.in_proj.weight[width:], self.in_proj.bias[width:]).chunk(2, dim=-1)
        return self._split(k), self._split(v)

    def receive(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """What frames `[B, Q, D]` receive from keys and values of `keys_values`: `[B, Q, D]`."""
        width = x.shape[-1]
        q = self._split(linear(x, self.in_proj.weight[:width], self.in_proj.bias[:width]))
        attended = attend(q, keys, values, mask, self.dropout if self.training else 0.0)
        return self.out_proj(attended.transpose(1, 2).flatten(-2))


class SingleTokenAttention(nn.Module):
    """Cross-attention to a memory of exactly one token.

    The softmax over one key is 1 whatever the query says: every frame receives `out_proj(value_proj(memory))`, queries
    and keys have no effect and no gradient, and so they are left out. What remains of the frame is attention dropout,
    which drops whole heads per frame: the output projection is applied per head and motion, and each frame sums the
    heads that it kept.
    """

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.value_proj = Linear(width, width)
        self.out_proj = Linear(width, width)
        # Xavier bound of the fused (3 * width, width) matrix of which this is a third.
        bound = (6.0 / (4 * width)) ** 0.5
        nn.init.uniform_(self.value_proj.weight, -bound, bound)
        nn.init.zeros_(self.value_proj.bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """What the frames receive.

        Args:
            x: frames `[B, T, D]`; only their number matters.
            memory: `[B, 1, D]`.

        Returns:
            `[B, T, D]`, or `[B, 1, D]` where all frames agree.
        """
        num_frames = x.shape[1]
        values = self.value_proj(memory.squeeze(1))
        if not self.training and torch.is_grad_enabled():
            # Frame by frame, like attention over several tokens: gradients of a network in evaluation mode then agree
            # with it to the last bit. Training and generation need the speed instead.
            return self.out_proj(values.unsqueeze(1).expand(-1, num_frames, -1))
        if not self.training or self.dropout == 0.0:
            return self.out_proj(values).unsqueeze(1)
        per_head = values.unflatten(-1, (self.num_heads, -1)).transpose(0, 1)  # heads batch d
        weight = self.out_proj.weight.unflatten(-1, (self.num_heads, -1)).permute(1, 2, 0)  # heads d width
        messages = torch.bmm(per_head, weight).transpose(0, 1)  # batch heads width
        kept = dropout_mask((len(memory), num_frames, self.num_heads), self.dropout, messages.dtype, messages.device)
        return torch.bmm(kept, messages) + self.out_proj.bias
