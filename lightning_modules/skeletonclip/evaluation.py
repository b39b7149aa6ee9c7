"""What the models with and without texts share: clips in portions, scores of an epoch."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from components.metrics.classification import ClassificationScore


def in_chunks(encode: Callable[[Tensor], Tensor], imgs: Tensor, clip_chunk: int | None) -> Tensor:
    """Results of all clips, a limited number at a time: 20 clips of 17 x 48 x 64 x 64 alone are 267 MB.

    Args:
        encode: clips `[n, V, T, H, W]` -> `[n, ...]`.
        imgs: `[B, N, V, T, H, W]`.
        clip_chunk: n at most; None = all.

    Returns:
        `[B * N, ...]`.
    """
    clips = imgs.flatten(0, 1)
    if clip_chunk is None or clip_chunk >= len(clips):
        return encode(clips)
    return torch.cat([encode(part) for part in clips.split(clip_chunk)])


class EvaluationScores(nn.Module):
    """Loss, top-1, top-5 and mean class accuracy of evaluation epochs, over batches and ranks, each sample once.

    `num_classes` is set when the classes are known; the metrics are made at the first batch.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_classes = 0
        self.metrics = nn.ModuleDict()

    def add(self, stage: str, loss: Tensor, scores: Tensor, labels: Tensor, index: Tensor | None) -> None:
        """Add a batch: its mean loss, scores `[B, C]`, labels `[B]` and numbers of its samples `[B]`."""
        score, mean = self._metrics(stage, scores.device)
        score.update(scores, labels, index)
        mean.update(loss.detach(), weight=len(labels))

    def end(self, stage: str, device: torch.device) -> dict[str, Tensor]:
        """Figures of the epoch by log name, the same on all ranks, also on one that had no sample."""
        score, mean = self._metrics(stage, device)
        named = {f"{stage}/loss": mean.compute()}
        named |= {f"{stage}/{name}": value for name, value in score.compute().items()}
        # The next epoch starts afresh, maybe with other classes.
        del self.metrics[stage], self.metrics[f"{stage}_loss"]
        return named

    def _metrics(self, stage: str, device: torch.device) -> tuple[ClassificationScore, MeanMetric]:
        if stage not in self.metrics:
            self.metrics[stage] = ClassificationScore(self.num_classes).to(device)
            self.metrics[f"{stage}_loss"] = MeanMetric().to(device)
        return cast(ClassificationScore, self.metrics[stage]), cast(MeanMetric, self.metrics[f"{stage}_loss"])
