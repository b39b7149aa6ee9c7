"""The recurrent encoder and decoder that ACTOR is compared with (Petrovich et al. 2021, table of architectures)."""

import torch
from torch import Tensor, nn

from lightning_modules.actor.networks.actions import ActionOneHot
from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.positions import relative_time
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import unflatten_poses


class ConditionedFrames(nn.Module):
    """Puts the labels and the relative time beside the features of each frame."""

    def __init__(self, sizes: NetworkSizes, num_feats: int) -> None:
        super().__init__()
        self.one_hot = ActionOneHot(sizes)
        self.size = num_feats + sizes.label_size + 1

    def forward(self, feats: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Features `[B, T, N]` to `[B, T, size]`: features, one-hot labels, time."""
        labels = self.one_hot(action, second_action, feats.dtype).unsqueeze(1).expand(-1, feats.shape[1], -1)
        return torch.cat([feats, labels, relative_time(mask).to(feats.dtype).unsqueeze(-1)], dim=-1)


class Recurrence(nn.GRU):
    """A batch-first GRU from width D to width D, in the precision of its weights whatever autocast says."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__(sizes.latent_dim, sizes.latent_dim, num_layers=sizes.num_layers, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """`[B, T, D]` to `[B, T, D]`, from a hidden state of zeros."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(next(self.parameters()).dtype))[0]


class GRUEncoder(nn.Module):
    """Motion and labels, frame by frame, through a GRU; mu and log-variance are read from the last real frame."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.condition = ConditionedFrames(sizes, sizes.pose_size)
        self.frame_embedding = Linear(self.condition.size, sizes.latent_dim)
        self.gru = Recurrence(sizes)
        self.mu_head = Linear(sizes.latent_dim, sizes.latent_dim)
        self.logvar_head = Linear(sizes.latent_dim, sizes.latent_dim)

    def forward(self, motion: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> tuple[Tensor, Tensor]:
        """Encode; arguments and results as `TransformerEncoder.forward`, real frames first in each motion."""
        poses = motion.permute(0, 3, 1, 2).flatten(2)
        hidden = self.gru(self.frame_embedding(self.condition(poses, mask, action, second_action)))
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        final = hidden[torch.arange(len(hidden), device=hidden.device), last]
        return self.mu_head(final), self.logvar_head(final)


class GRUDecoder(nn.Module):
    """Latent, labels and time of each frame through a GRU to its pose."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.pose_shape = (sizes.num_joints, sizes.num_feats)
        self.condition = ConditionedFrames(sizes, sizes.latent_dim)
        self.frame_embedding = Linear(self.condition.size, sizes.latent_dim)
        self.gru = Recurrence(sizes)
        self.pose_head = Linear(sizes.latent_dim, sizes.pose_size)

    def forward(self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """Decode; arguments and result as `TransformerDecoder.forward`."""
        latents = z.unsqueeze(1).expand(-1, mask.shape[1], -1)
        hidden = self.gru(self.frame_embedding(self.condition(latents, mask, action, second_action)))
        return unflatten_poses(self.pose_head(hidden), mask, self.pose_shape)
