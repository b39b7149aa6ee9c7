"""Skeleton clips and class texts in one space: two encoders, their projections and a learned temperature."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.alignment import Alignment, align, full_precision
from lightning_modules.skeletonclip.embedders import EmbedderKind, build_embedder

Pooling = Literal["mean_then_embed", "embed_then_mean", "text_weighted"]
POOLINGS = ("mean_then_embed", "embed_then_mean", "text_weighted")


@dataclass(frozen=True)
class Temperature:
    """The learned divisor of similarities.

    Args:
        init: first value.
        min, max: every training step begins with a clamp to these.
        use_at_test: class scores are a softmax of cosines over the temperature; as published it is left out, and
            scores are nearly uniform though their order is right.

    Raises:
        InputError: a value is out of range.
    """

    init: float = 0.07
    min: float = 0.001
    max: float = 0.5
    use_at_test: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.min <= self.init <= self.max:
            raise InputError(
                f"model.temperature: min={self.min}, init={self.init}, max={self.max}; expected 0 < min <= init <= max"
            )


class SkeletonClip(nn.Module):
    """The model without its losses. Parameters have the published names.

    These are `video_encoder.*`, `text_encoder.*`, `text_proj.*`, `temp`, and `vision_proj.*` (linear embedder) or
    `video_embed_linear.*` with `video_embed_res.*` (residual embedder).

    Args:
        video_encoder: clips `[B, V, T, H, W]` -> frame features `[B, T', D]`; has `width` D.
        text_encoder: `encode(input_ids, attention_mask)` -> `[L, width]`; has `width`.
        embed_dim: E.
        embedder: `linear` or `residual_mlp`.
        pooling: `mean_then_embed`, `embed_then_mean`, or `text_weighted` (PACL).
        alignment: how `text_weighted` weighs frames.
        temperature: its start and bounds.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        video_encoder: nn.Module,
        text_encoder: nn.Module,
        embed_dim: int = 256,
        embedder: EmbedderKind = "linear",
        pooling: Pooling = "mean_then_embed",
        alignment: Alignment | None = None,
        temperature: Temperature | None = None,
    ) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(f"model.pooling='{pooling}' is not one of {', '.join(POOLINGS)}")
        self.pooling = pooling
        self.alignment = alignment or Alignment()
        self.temperature = temperature or Temperature()
        self.embed_dim = embed_dim
        self.video_encoder: Any = video_encoder
        self.text_encoder: Any = text_encoder
        made = build_embedder(embedder, int(video_encoder.width), embed_dim)  # type: ignore[arg-type]
        self.text_proj = nn.Linear(int(text_encoder.width), embed_dim)  # type: ignore[arg-type]
        # The published names stand directly below the model: its layers are registered, the embedder itself is not.
        for name, layer in made.named_children():
            self.add_module(name, layer)
        object.__setattr__(self, "embed", made)
        self.temp = nn.Parameter(torch.tensor(float(self.temperature.init)))

    embed: nn.Module

    def forward(self, clips: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Both encoders: frames `[B, T', D]` of clips `[B, V, T, H, W]`, states `[L, width]` of texts `[L, n]`."""
        return self.video_encoder(clips), self.text_encoder.encode(input_ids, attention_mask)

    def clamp_temperature(self) -> None:
        """Bring the temperature into its bounds; every training step begins with it."""
        with torch.no_grad():
            self.temp.clamp_(self.temperature.min, self.temperature.max)

    def bounded_temperature(self) -> Tensor:
        """The temperature within its bounds, without gradient; an optimizer's step may have left them."""
        return self.temp.detach().clamp(self.temperature.min, self.temperature.max)

    def project_texts(self, states: Tensor) -> Tensor:
        """Normalised text features `[..., E]` of the text encoder's states `[..., width]`."""
        return normalised(self.text_proj(states))

    def pool(self, frames: Tensor, texts: Tensor | None = None) -> Tensor:
        """Normalised clip features.

        Args:
            frames: `[B, T', D]`.
            texts: features of each clip's own text `[B, E]`; only `text_weighted` needs them.

        Returns:
            `[B, E]`.
        """
        if self.pooling == "mean_then_embed":
            return normalised(self.embed(full_precision(frames).mean(dim=1)))
        embedded = self.embed(frames)
        if self.pooling == "embed_then_mean":
            return normalised(full_precision(embedded).mean(dim=1))
        if texts is None:
            raise ValueError("text_weighted pooling needs a text for every clip")
        return self._finish(align(embedded, texts, self.alignment, own=True))

    def class_cosines(self, frames: Tensor, class_features: Tensor) -> Tensor:
        """Cosines `[B, L]` of clips and all class texts, each clip as that text sees it, without temperature.

        Args:
            frames: `[B, T', D]`.
            class_features: `[L, E]`, normalised.
        """
        if self.pooling != "text_weighted":
            videos = self.pool(frames)
            with torch.autocast(frames.device.type, enabled=False):
                return videos @ full_precision(class_features).T
        seen = self._finish(align(self.embed(frames), class_features, self.alignment))
        with torch.autocast(frames.device.type, enabled=False):
            return torch.einsum("ble,le->bl", seen, full_precision(class_features))

    def _finish(self, videos: Tensor) -> Tensor:
        return normalised(videos) if self.alignment.renormalise else full_precision(videos)


def normalised(x: Tensor) -> Tensor:
    """Unit vectors along the last dimension, in float32 (or better) also under autocast."""
    with torch.autocast(x.device.type, enabled=False):
        return F.normalize(full_precision(x), dim=-1)


def class_scores(cosines: Tensor, temperature: Tensor | None = None) -> Tensor:
    """Class probabilities of samples from their clips: softmax over classes per clip, mean over clips.

    Args:
        cosines: `[B, N, L]`.
        temperature: divisor of the cosines; None = none, as published.

    Returns:
        `[B, L]`, rows sum to 1.
    """
    scaled = cosines if temperature is None else cosines / temperature
    return scaled.softmax(dim=-1).mean(dim=1)
