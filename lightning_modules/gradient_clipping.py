"""Clipping of gradients in the cases that Lightning refuses."""

import torch
from lightning import LightningModule
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities import GradClipAlgorithmType


def configure_gradient_clipping(
    self: LightningModule,
    optimizer: torch.optim.Optimizer,
    gradient_clip_val: int | float | None = None,
    gradient_clip_algorithm: str | None = None,
) -> None:
    """Hook of a module: clip as Lightning does, and the gradients of a fused optimizer under bfloat16 too.

    Lightning refuses the latter, as fused optimizers undo the loss scale themselves; bfloat16 has no loss scale.
    """
    plugin = self.trainer.precision_plugin
    if gradient_clip_val and isinstance(plugin, MixedPrecision) and plugin.scaler is None:
        algorithm = GradClipAlgorithmType(gradient_clip_algorithm or GradClipAlgorithmType.NORM)
        Precision.clip_gradients(plugin, optimizer, gradient_clip_val, algorithm)
    else:
        LightningModule.configure_gradient_clipping(self, optimizer, gradient_clip_val, gradient_clip_algorithm)
