"""The classification baseline (PoseConv3D's `Recognizer3D`): a video network and a linear classifier."""

from typing import Any

from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.alignment import full_precision

# Of the classifier's weights, as published.
INIT_STD = 0.01


class ClassifierHead(nn.Module):
    """Dropout and `fc_cls`.

    Args:
        width: C of the features.
        num_classes: L.
        dropout: share of the features that training sets to zero.
    """

    def __init__(self, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc_cls = nn.Linear(width, num_classes)
        nn.init.normal_(self.fc_cls.weight, std=INIT_STD)
        nn.init.zeros_(self.fc_cls.bias)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, C]` -> `[B, L]`."""
        logits: Tensor = self.fc_cls(self.dropout(features))
        return logits


class SkeletonClassifier(nn.Module):
    """Clips to class logits. Parameters have the published names: `backbone.*`, `cls_head.fc_cls.*`.

    Args:
        backbone: clips `[B, V, T, H, W]` -> `[B, C, T', h, w]`; has `channels` C.
        num_classes: L.
        dropout: in [0, 1).

    Raises:
        InputError: a value is out of range.
    """

    def __init__(self, backbone: nn.Module, num_classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        if num_classes < 1:
            raise InputError(f"model.num_classes={num_classes} must be at least 1")
        if not 0 <= dropout < 1:
            raise InputError(f"model.dropout={dropout} must lie in [0, 1)")
        self.backbone: Any = backbone
        self.cls_head = ClassifierHead(int(backbone.channels), num_classes, dropout)  # type: ignore[arg-type]

    def features(self, clips: Tensor) -> Tensor:
        """Mean over time and picture `[B, C]` of clips `[B, V, T, H, W]`."""
        maps: Tensor = self.backbone(clips)
        return full_precision(maps).mean(dim=(-3, -2, -1))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, L]` of clips `[B, V, T, H, W]`."""
        logits: Tensor = self.cls_head(self.features(clips))
        return full_precision(logits)
