"""The fully connected encoder and decoder that ACTOR is compared with; motions have one length.

The hidden widths are those of the published code.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.actor.networks.actions import ActionOneHot
from lightning_modules.actor.networks.sizes import NetworkSizes

_WIDTHS = (512, 256)


def _fixed_frames(sizes: NetworkSizes) -> int:
    if sizes.num_frames < 1:
        raise InputError(
            "data.num_frames lets the length of clips vary, and fully connected networks take one length only.\n"
            "Expected a number of frames, e.g. data.num_frames=60, or another architecture: model=actor_gru"
        )
    return sizes.num_frames


def _check_frames(found: int, expected: int) -> None:
    if found != expected:
        raise InputError(
            f"motions of {found} frames; this fully connected model takes the {expected} of its training only"
        )


class FCEncoder(nn.Module):
    """The whole motion and its labels through two layers to mu and log-variance.

    Raises:
        InputError: the sizes fix no number of frames.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.fixed_frames = _fixed_frames(sizes)
        self.one_hot = ActionOneHot(sizes)
        wide, narrow = _WIDTHS
        self.layers = nn.Sequential(
            nn.Linear(sizes.pose_size * self.fixed_frames + sizes.label_size, wide),
            nn.GELU(),
            nn.Linear(wide, narrow),
            nn.GELU(),
        )
        self.mu_head = nn.Linear(narrow, sizes.latent_dim)
        self.logvar_head = nn.Linear(narrow, sizes.latent_dim)

    def forward(self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; arguments and results as `TransformerEncoder.forward`. Padded frames count as zeros.

        Raises:
            InputError: another number of frames than `fixed_frames`.
        """
        _check_frames(motion.shape[-1], self.fixed_frames)
        flat = motion.masked_fill(~mask[:, None, None], 0.0).flatten(1)
        hidden = self.layers(torch.cat([flat, self.one_hot(action, second_action, flat.dtype)], dim=-1))
        return self.mu_head(hidden), self.logvar_head(hidden)


class FCDecoder(nn.Module):
    """Latent and labels through three layers to the whole motion.

    Args:
        sizes: of the model.
        final_activation: `gelu` as published keeps every output above -0.17, which no rotation does; `none` has no such
            bound.

    Raises:
        InputError: an unknown activation, or the sizes fix no number of frames.
    """

    def __init__(self, sizes: NetworkSizes, final_activation: Literal["none", "gelu"] = "none") -> None:
        super().__init__()
        if final_activation not in ("none", "gelu"):
            raise InputError(f"model.net.decoder.final_activation='{final_activation}' is not one of none, gelu")
        self.fixed_frames = _fixed_frames(sizes)
        self.motion_shape = (sizes.num_joints, sizes.num_feats, self.fixed_frames)
        self.one_hot = ActionOneHot(sizes)
        wide, narrow = _WIDTHS
        self.layers = nn.Sequential(
            nn.Linear(sizes.latent_dim + sizes.label_size, narrow),
            nn.GELU(),
            nn.Linear(narrow, wide),
            nn.GELU(),
            nn.Linear(wide, sizes.pose_size * self.fixed_frames),
            nn.GELU() if final_activation == "gelu" else nn.Identity(),
        )

    def forward(self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Decode; arguments and result as `TransformerDecoder.forward`.

        Raises:
            InputError: another number of frames than `fixed_frames`.
        """
        _check_frames(mask.shape[1], self.fixed_frames)
        flat = self.layers(torch.cat([z, self.one_hot(action, second_action, z.dtype)], dim=-1))
        return flat.unflatten(-1, self.motion_shape).masked_fill(~mask[:, None, None], 0.0)
