"""Does this text fit this clip? A second loss with hard negatives (BLIP's ITM; Contrastive Sample Identification)."""

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError


class MultimodalEncoder(Protocol):
    """What reads a text together with a clip."""

    def match(self, input_ids: Tensor, attention_mask: Tensor, video: Tensor) -> Tensor:
        """Text tokens `[P, n]` and frames `[P, T, D]` -> features of the pairs `[P, D]`."""


class Negatives(NamedTuple):
    """Sample numbers `[B]`: an unfitting clip for every text, an unfitting text for every clip."""

    video_of_text: Tensor
    text_of_video: Tensor


def negative_weights(similarities: Tensor, labels: Tensor, floor: float = 0.0) -> Tensor:
    """How likely each candidate is drawn as a negative; those of the same class never.

    Args:
        similarities: `[B, B]` over the temperature; a row is what candidates are drawn for.
        labels: `[B]`.
        floor: added before candidates of the same class are struck out (BLIP: 1e-4).

    Returns:
        `[B, B]` float32, rows not normalised.
    """
    weights = similarities.detach().float().softmax(dim=1) + floor
    return weights.masked_fill(labels.unsqueeze(1) == labels.unsqueeze(0), 0.0)


def draw_negatives(weights: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One candidate per row `[B]`, drawn for all rows at once and without a look at the values from the host.

    Where all weights of a row have vanished (a low temperature puts everything on the same class), every sample of
    another class is as likely. A batch of one class has no negatives: what is drawn then is arbitrary.
    """
    others = (labels.unsqueeze(1) != labels.unsqueeze(0)).to(weights.dtype)
    vanished = weights.sum(dim=1, keepdim=True) <= torch.finfo(weights.dtype).tiny
    weights = torch.where(vanished, others, weights)
    no_negative = others.sum(dim=1, keepdim=True) == 0
    weights = torch.where(no_negative, torch.ones_like(weights), weights)
    # `torch.multinomial` with one draw per row does just this, but first looks at the values from the host.
    waits = torch.empty_like(weights).exponential_(generator=generator)
    return (weights / waits).argmax(dim=1)


class Matching(nn.Module):
    """Tells pairs of clip and text that belong together from those that do not.

    B fitting pairs and 2 B unfitting ones: per text a clip, per clip a text of another class, drawn by similarity. In a
    batch of one class the loss is 0 times what it would be, so that the graph is the same on all ranks.

    Args:
        width: D, of the text encoder and of the video frames.
        weight: of this loss in the sum.
        negative_floor: see `negative_weights`; 0 as published.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(self, width: int, weight: float = 1.0, negative_floor: float = 0.0) -> None:
        super().__init__()
        if weight <= 0 or negative_floor < 0:
            raise InputError(
                f"model.matching: weight={weight} must be above 0 and negative_floor={negative_floor} at least 0.\n"
                "model.matching=null leaves this loss out"
            )
        self.weight = weight
        self.negative_floor = negative_floor
        self.itm_head = nn.Linear(width, 2)

    def choose(self, video_to_text: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Negatives:
        """Hard negatives of a batch from its similarities `[B, B]`, over the temperature."""
        by_text = negative_weights(video_to_text.T, labels, self.negative_floor)
        by_video = negative_weights(video_to_text, labels, self.negative_floor)
        return Negatives(draw_negatives(by_text, labels, generator), draw_negatives(by_video, labels, generator))

    def pairs(
        self,
        encoder: MultimodalEncoder,
        input_ids: Tensor,
        attention_mask: Tensor,
        frames: Tensor,
        negatives: Negatives,
    ) -> Tensor:
        """Features of all pairs `[3 B, D]`: fitting ones; text b with another clip; another text with clip b."""
        other_video, other_text = negatives
        ids = torch.cat([input_ids, input_ids, input_ids[other_text]])
        mask = torch.cat([attention_mask, attention_mask, attention_mask[other_text]])
        videos = torch.cat([frames, frames[other_video], frames])
        return encoder.match(ids, mask, videos)

    def forward(
        self,
        encoder: MultimodalEncoder,
        input_ids: Tensor,
        attention_mask: Tensor,
        frames: Tensor,
        labels: Tensor,
        negatives: Negatives,
    ) -> Tensor:
        """The loss, unweighted.

        Args:
            encoder: text encoder with layers that look at the video.
            input_ids, attention_mask: texts of the samples `[B, n]`, beginning with [ENC].
            frames: frame features `[B, T, D]`.
            labels: `[B]`.
            negatives: see `choose`.
        """
        logits = self.itm_head(self.pairs(encoder, input_ids, attention_mask, frames, negatives))
        return matching_loss(logits, labels)


def matching_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy over pairs `[3 B, 2]`, the first B fitting; 0 (with a graph) for a batch of one class `[B]`."""
    fits = torch.zeros(len(logits), dtype=torch.int64, device=logits.device)
    fits[: len(labels)] = 1
    with torch.autocast(logits.device.type, enabled=False):
        loss = F.cross_entropy(logits.float(), fits)
    return loss * (labels != labels[0]).any()
