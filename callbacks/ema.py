"""Exponential moving average of the weights."""

import torch
from torch import Tensor

from callbacks.weight_averaging import StandInAverage
from components.errors import InputError


class WeightEMA(StandInAverage):
    """Keeps `average = decay * average + (1 - decay) * weights` and lets it stand in for the weights.

    Validation and test see the average, checkpoints hold it as `state_dict` (the raw weights beside it, for resume).
    Besides what `StandInAverage` changes the decay warms up, `min(decay, (1 + n) / (10 + n))` after n steps, so that
    early validations do not judge the initial weights.

    Args:
        decay: between 0 and 1; the average looks back over about `1 / (1 - decay)` steps.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0.0 < decay < 1.0:
            raise InputError(f"callbacks.ema.decay={decay}: expected a number between 0 and 1, e.g. 0.999")
        super().__init__(use_buffers=False, multi_avg_fn=self._blend)
        self.decay = decay
        self._step = 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        if step_idx is None:
            return False
        self._step = step_idx
        return True

    def _blend(self, average: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        decay = min(self.decay, (1 + self._step) / (10 + self._step))
        torch._foreach_lerp_(average, current, 1.0 - decay)
