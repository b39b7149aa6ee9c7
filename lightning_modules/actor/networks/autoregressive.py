"""The autoregressive transformer decoder that ACTOR is compared with (`autotrans`): each pose follows from the last.

Pre-norm layers after those of Joey NMT (Kreutzer et al. 2019), ReLU in the feed-forward blocks. Frames attend to the
frames before them and to a source of one token per frame: latent, labels and time.
"""

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lightning_modules.actor.networks.attention import CrossAttention
from lightning_modules.actor.networks.dropout import Dropout
from lightning_modules.actor.networks.gru import ConditionedFrames
from lightning_modules.actor.networks.linear import Linear
from lightning_modules.actor.networks.positions import PositionalEncoding
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import unflatten_poses

_EPSILON = 1e-6


class KeysValues(NamedTuple):
    """What attention reads of other tokens."""

    keys: Tensor  # [B, H, T, D / H]
    values: Tensor  # [B, H, T, D / H]


class AutoregressiveLayer(nn.Module):
    """Attention to earlier frames, attention to the source and feed-forward, each on the normed residual stream."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.latent_dim
        self.frame_attention = CrossAttention(width, sizes.num_heads, sizes.dropout)
        self.source_attention = CrossAttention(width, sizes.num_heads, sizes.dropout)
        self.expand = Linear(width, sizes.ff_size)
        self.contract = Linear(sizes.ff_size, width)
        self.frame_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.source_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.feed_forward_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.dropout = Dropout(sizes.dropout)

    def read_source(self, source: Tensor) -> KeysValues:
        """What this layer attends to of the source `[B, T, D]`."""
        return KeysValues(*self.source_attention.keys_values(source))

    def forward(
        self,
        x: Tensor,
        source: KeysValues,
        past: KeysValues | None,
        frame_mask: Tensor | None,
        source_mask: Tensor,
    ) -> tuple[Tensor, KeysValues]:
        """One layer.

        Args:
            x: frames `[B, Q, D]`.
            source: of `read_source`.
            past: keys and values of the frames before x; None = there are none.
            frame_mask, source_mask: bool, broadcast to `[B, H, Q, T]`, True = may be attended; None = all.

        Returns:
            Frames `[B, Q, D]`, and keys and values of all frames so far.
        """
        normed = self.frame_norm(x)
        frames = KeysValues(*self.frame_attention.keys_values(normed))
        if past is not None:
            frames = KeysValues(*(torch.cat(parts, dim=2) for parts in zip(past, frames, strict=True)))
        x = x + self.dropout(self.frame_attention.receive(normed, *frames, frame_mask))
        x = x + self.dropout(self.source_attention.receive(self.source_norm(x), *source, source_mask))
        hidden = self.dropout(F.relu(self.expand(self.feed_forward_norm(x))))
        return x + self.dropout(self.contract(hidden)), frames


class AutoregressiveDecoder(nn.Module):
    """Latent and labels to motion, one frame after the other.

    With the true motion at hand (training) all frames are computed at once, each from the true frame before it. Without
    it each frame follows from the decoder's own last one; keys and values of earlier frames are kept, so T frames take
    T passes through the layers.
    """

    teacher_forcing = True

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.pose_shape = (sizes.num_joints, sizes.num_feats)
        self.condition_source = ConditionedFrames(sizes, sizes.latent_dim)
        self.condition_pose = ConditionedFrames(sizes, sizes.pose_size)
        self.source_embedding = Linear(self.condition_source.size, sizes.latent_dim)
        self.pose_embedding = Linear(self.condition_pose.size, sizes.latent_dim)
        self.layers = nn.ModuleList(AutoregressiveLayer(sizes) for _ in range(sizes.num_layers))
        self.position = PositionalEncoding(sizes.latent_dim, sizes.dropout)
        self.norm = nn.LayerNorm(sizes.latent_dim, eps=_EPSILON)
        self.pose_head = nn.Linear(sizes.latent_dim, sizes.pose_size, bias=False)

    def forward(
        self, z: Tensor, mask: Tensor, action: Tensor, second_action: Tensor, target: Tensor | None = None
    ) -> Tensor:
        """Decode.

        Args:
            z, mask, action, second_action: as for `TransformerDecoder.forward`.
            target: the true motion `[B, J, F, T]` for teacher forcing; None runs free.

        Returns:
            Motion `[B, J, F, T]`, zero where the mask is False.
        """
        latents = z.unsqueeze(1).expand(-1, mask.shape[1], -1)
        source = self.source_embedding(self.condition_source(latents, mask, action, second_action))
        sources = [layer.read_source(source) for layer in cast(list[AutoregressiveLayer], self.layers)]
        if target is None:
            poses = self._run_free(sources, mask, action, second_action)
        else:
            poses = self._follow(target, sources, mask, action, second_action)
        return unflatten_poses(poses, mask, self.pose_shape)

    def _follow(
        self, target: Tensor, sources: list[KeysValues], mask: Tensor, action: Tensor, second_action: Tensor
    ) -> Tensor:
        """All poses `[B, T, J * F]` at once, each from the true ones before it."""
        before = F.pad(target.permute(0, 3, 1, 2).flatten(2)[:, :-1], (0, 0, 1, 0))
        x = self.position(self.pose_embedding(self.condition_pose(before, mask, action, second_action)))
        count = mask.shape[1]
        # Real frames come first, so no real frame sees a padded one.
        earlier = torch.ones(count, count, dtype=torch.bool, device=mask.device).tril()
        for layer, source in zip(self.layers, sources, strict=True):
            x, _ = layer(x, source, None, earlier, mask[:, None, None])
        return self.pose_head(self.norm(x))

    @torch.compiler.disable
    def _run_free(self, sources: list[KeysValues], mask: Tensor, action: Tensor, second_action: Tensor) -> Tensor:
        """All poses `[B, T, J * F]`, each from the one made before it."""
        batch, count = mask.shape
        pose = sources[0].keys.new_zeros(batch, 1, self.pose_head.out_features)
        # Labels and times of all frames; the poses come one by one.
        conditions = self.condition_pose(pose.expand(-1, count, -1), mask, action, second_action)[..., pose.shape[-1] :]
        positions = self.position.first(count)
        past: list[KeysValues | None] = [None] * len(self.layers)
        poses = []
        for frame in range(count):
            given = torch.cat([pose, conditions[:, frame : frame + 1]], dim=-1)
            x = self.position.dropout(self.pose_embedding(given) + positions[frame])
            for index, layer in enumerate(self.layers):
                x, past[index] = layer(x, sources[index], past[index], None, mask[:, None, None])
            pose = self.pose_head(self.norm(x))
            poses.append(pose)
        return torch.cat(poses, dim=1)
