"""Clipping of gradients in the cases that Lightning refuses."""

from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType


def clip_gradients(
    plugin: Any, optimizer: torch.optim.Optimizer, value: int | float | None, algorithm: str | None
) -> bool:
    """Clip the gradients of a fused optimizer under bfloat16 too; returns whether it was done here.

    Lightning refuses it, as fused optimizers undo the loss scale themselves; bfloat16 has no loss scale.
    """
    if not value or not isinstance(plugin, MixedPrecision) or plugin.scaler is not None:
        return False
    Precision.clip_gradients(plugin, optimizer, value, GradClipAlgorithmType(algorithm or GradClipAlgorithmType.NORM))
    return True
