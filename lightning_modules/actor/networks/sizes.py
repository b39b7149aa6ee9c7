"""The sizes that the encoder and the decoder of one model share."""

from dataclasses import dataclass
from typing import Literal

from components.errors import InputError


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of one model, checked once; `ActorCVAE` builds them from its config and hands them to both networks.

    Args:
        num_joints: rows of one pose, the translation row included.
        num_feats: features of one row.
        num_classes: rows of the action tables.
        num_frames: frames of a training clip; 0 where the length varies.
        latent_dim: width of the latent vector and of every layer, D.
        ff_size: width inside the feed-forward blocks.
        num_layers: layers of the encoder and of the decoder.
        num_heads: attention heads; divides `latent_dim`.
        dropout: probability, in [0, 1).
        activation: of the feed-forward blocks.
        conditioning: `single` reads one action (table width D); `pair` reads two (two halves of width D/2 each).
        alpha_embedding: the share of the first motion in a mixture is a condition too (transformer only).

    Raises:
        InputError: a size out of range, or sizes that do not fit each other.
    """

    num_joints: int
    num_feats: int
    num_classes: int
    num_frames: int = 0
    latent_dim: int = 256
    ff_size: int = 1024
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.1
    activation: Literal["gelu", "relu"] = "gelu"
    conditioning: Literal["single", "pair"] = "single"
    alpha_embedding: bool = False

    def __post_init__(self) -> None:
        for key in ("num_joints", "num_feats", "num_classes", "latent_dim", "ff_size", "num_layers", "num_heads"):
            if getattr(self, key) < 1:
                raise InputError(f"model.net.{key}={getattr(self, key)} must be at least 1")
        if not 0.0 <= self.dropout < 1.0:
            raise InputError(f"model.net.dropout={self.dropout} must lie in [0, 1)")
        if self.activation not in ("gelu", "relu"):
            raise InputError(f"model.net.activation='{self.activation}' is not one of gelu, relu")
        if self.conditioning not in ("single", "pair"):
            raise InputError(f"model.net.conditioning='{self.conditioning}' is not one of single, pair")
        if self.latent_dim % 2:
            # Sine and cosine positions alternate, and a pair of actions shares the width half and half.
            raise InputError(f"model.net.latent_dim={self.latent_dim} must be even")
        if self.latent_dim % self.num_heads:
            raise InputError(
                f"model.net.latent_dim={self.latent_dim} is not a multiple of model.net.num_heads={self.num_heads}"
            )

    @property
    def pose_size(self) -> int:
        """Numbers of one pose, `num_joints * num_feats`."""
        return self.num_joints * self.num_feats

    @property
    def usual_frames(self) -> int:
        """Frames of a motion where nobody says how many: those of training, or the published 60 where these vary."""
        return self.num_frames or 60

    @property
    def label_size(self) -> int:
        """Numbers of a one-hot label; of a pair both labels stand side by side."""
        return self.num_classes * (2 if self.conditioning == "pair" else 1)
