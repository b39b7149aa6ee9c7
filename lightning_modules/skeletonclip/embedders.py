"""From an encoder's width to the space that clips and texts meet in. Parameters have the published names."""

from typing import Literal

from torch import Tensor, nn

from components.errors import InputError

EmbedderKind = Literal["linear", "residual_mlp"]


class LinearEmbedder(nn.Module):
    """One linear layer, `vision_proj`.

    Args:
        width: D of the input `[..., D]`.
        embed_dim: E of the output `[..., E]`.
    """

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.vision_proj = nn.Linear(width, embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """`[..., D]` -> `[..., E]`."""
        embedded: Tensor = self.vision_proj(features)
        return embedded


class ResidualEmbedder(nn.Module):
    """Linear - GELU - Linear beside a linear skip (the notes say ReLU, the published code has GELU).

    Args:
        width: D of the input `[..., D]`.
        embed_dim: E of the output `[..., E]`.
    """

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.video_embed_linear = nn.Sequential(nn.Linear(width, embed_dim), nn.GELU(), nn.Linear(embed_dim, embed_dim))
        self.video_embed_res = nn.Linear(width, embed_dim)

    def forward(self, features: Tensor) -> Tensor:
        """`[..., D]` -> `[..., E]`."""
        embedded: Tensor = self.video_embed_linear(features) + self.video_embed_res(features)
        return embedded


def build_embedder(kind: EmbedderKind, width: int, embed_dim: int) -> LinearEmbedder | ResidualEmbedder:
    """The embedder of a name.

    Raises:
        InputError: an unknown name, or a width below 1.
    """
    if embed_dim < 1:
        raise InputError(f"model.embed_dim={embed_dim} must be at least 1")
    if kind == "linear":
        return LinearEmbedder(width, embed_dim)
    if kind == "residual_mlp":
        return ResidualEmbedder(width, embed_dim)
    raise InputError(f"model.embedder='{kind}' is not one of linear, residual_mlp")
