"""What is contrasted: clips and texts of a batch, or clips and the texts of all classes. All in float32."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.skeletonclip.alignment import full_precision
from lightning_modules.skeletonclip.contrastive import gather, gather_with_gradient, soft_cross_entropy, soft_targets


def similarity(videos: Tensor, texts: Tensor, temperature: Tensor) -> Tensor:
    """Similarities `[B, C]` of features `[B, E]` and `[C, E]` over the temperature, in float32 also under autocast."""
    with torch.autocast(videos.device.type, enabled=False):
        return full_precision(videos) @ full_precision(texts).T / temperature


def in_batch(videos: Tensor, texts: Tensor, labels: Tensor, temperature: Tensor, over_ranks: bool = False) -> Tensor:
    """Contrastive loss of a batch, the mean of both directions (Visece).

    Several samples of a class share a target: neither is a negative of the other.

    Args:
        videos, texts: normalised features `[B, E]`; text b is that of sample b's class.
        labels: `[B]`.
        temperature: scalar.
        over_ranks: candidates are the samples of all ranks. Averaged over ranks, loss and gradient are those of one
            process with the joint batch.
    """
    all_videos, all_texts, all_labels = videos, texts, labels
    if over_ranks:
        all_videos, all_texts = gather_with_gradient(videos), gather_with_gradient(texts)
        all_labels = gather(labels)
    video_to_text = similarity(videos, all_texts, temperature)
    text_to_video = similarity(texts, all_videos, temperature)
    targets = soft_targets(labels, all_labels, video_to_text.dtype)
    return (soft_cross_entropy(video_to_text, targets) + soft_cross_entropy(text_to_video, targets)) / 2


def all_class(cosines: Tensor, labels: Tensor, temperature: Tensor) -> Tensor:
    """Cross entropy of clips against all class texts, one direction (PACL as published, Plus).

    Args:
        cosines: `[B, L]`, each clip as seen by text l against that text.
        labels: `[B]`, columns.
        temperature: scalar.
    """
    with torch.autocast(cosines.device.type, enabled=False):
        return F.cross_entropy(full_precision(cosines) / temperature, labels)
