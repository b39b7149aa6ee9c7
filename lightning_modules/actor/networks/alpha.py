"""How much of either motion a mixture holds, as a condition of the networks."""

import torch
from torch import Tensor, nn

from lightning_modules.actor.networks.sizes import NetworkSizes


class AlphaFilm(nn.Module):
    """Scales and shifts tokens by the share of the first motion (FiLM, Perez et al. 2018).

    Zero at the start: a network with it begins exactly as one without.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.modulation = nn.Linear(1, 2 * sizes.latent_dim)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, tokens: Tensor, alpha: Tensor) -> Tensor:
        """Tokens `[B, M, D]` and shares `[B]` to `[B, M, D]`."""
        scale, shift = self.modulation(2 * alpha.unsqueeze(-1).to(tokens.dtype) - 1).unsqueeze(1).chunk(2, dim=-1)
        return tokens * (1 + scale) + shift


def share_of_labels(action: Tensor, second_action: Tensor) -> Tensor:
    """Share of the first motion `[B]` where none is given: all of a single action, half of a pair.

    Args:
        action, second_action: `[B]` int64 or soft labels `[B, C]`.
    """
    same = action == second_action
    if same.dim() == 2:
        same = same.all(dim=1)
    return torch.where(same, 1.0, 0.5)
