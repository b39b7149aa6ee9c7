"""When a frame is: sinusoidal positions, and the share of the motion that has passed."""

import math

import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.actor.networks.dropout import Dropout

MAX_POSITIONS = 5000


def sinusoidal_positions(count: int, width: int, base: float = 10000.0) -> Tensor:
    """`[count, width]`: sin(p w_i) and cos(p w_i) alternate, w_i = base^(-2i / width) (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.arange(0, width, 2).float() * (-math.log(base) / width))
    angles = torch.arange(count).float().unsqueeze(1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def relative_time(mask: Tensor) -> Tensor:
    """Frame t of a motion of n frames to t / (n - 1), the published time feature.

    Args:
        mask: bool `[B, T]`, True = real frame; real frames come first.

    Returns:
        float32 `[B, T]` in [0, 1]; 0 for padded frames, and for the only frame of a motion of one (where the published
        formula divides by 0).
    """
    last = (mask.sum(dim=1, keepdim=True) - 1).clamp(min=1)
    return torch.arange(mask.shape[1], device=mask.device) * mask / last


class PositionalEncoding(nn.Module):
    """Adds the position of each token, then drops out.

    Args:
        width: D.
        dropout: probability.
        base: frequencies go from 1 down to 1 / base radians per frame. With the usual 10000 a sixth of the features
            swings as fast as people do, with 100 a third.

    Raises:
        InputError: the base is not above 1.
    """

    positions: Tensor

    def __init__(self, width: int, dropout: float, base: float = 10000.0) -> None:
        super().__init__()
        if not base > 1:
            raise InputError(f"model.net: the base of the positions, {base}, must be above 1 (published: 10000)")
        self.dropout = Dropout(dropout)
        # A constant of the architecture: not in the checkpoints.
        self.register_buffer("positions", sinusoidal_positions(MAX_POSITIONS, width, base), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """`[B, T, D]` to `[B, T, D]`; the mask makes no difference.

        Raises:
            InputError: more tokens than positions.
        """
        return self.dropout(x + self.first(x.shape[1]))

    def first(self, count: int) -> Tensor:
        """The first positions, `[count, D]`.

        Raises:
            InputError: there are fewer.
        """
        if count > MAX_POSITIONS:
            raise InputError(f"{count} tokens asked for; the positions end at {MAX_POSITIONS}")
        return self.positions[:count]


class TimeEncoding(nn.Module):
    """Ablation `time_encoding`: adds `relative_time` to every feature of a frame, then drops out."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`[B, T, D]` and the frames' mask `[B, T]` to `[B, T, D]`."""
        return self.dropout(x + relative_time(mask).to(x.dtype).unsqueeze(-1))
