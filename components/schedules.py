"""Learning-rate schedules that torch has no single class for."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from components.errors import InputError


def warmup_cosine(optimizer: Optimizer, total: int, warmup: int = 0, final: float = 0.0) -> LambdaLR:
    """Linear warm-up, then half a cosine down.

    Args:
        optimizer: whose learning rates are scaled.
        total: ticks (epochs or steps, as the scheduler is advanced) until the end of the cosine.
        warmup: ticks of the warm-up, at most half of `total` are taken; the first has 1/(warmup+1) of the rate.
        final: factor at the end.

    Raises:
        InputError: `total` is not positive, `warmup` is negative or `final` is no fraction.
    """
    if total < 1 or warmup < 0 or not 0 <= final <= 1:
        raise InputError(
            f"scheduler: total={total}, warmup={warmup}, final={final}; "
            "expected total >= 1, warmup >= 0, final in [0, 1]\n"
            "total is trainer.max_epochs unless scheduler.total=... says otherwise"
        )
    # A short trial run of a long recipe must not need another schedule.
    warmup = min(warmup, total // 2)

    def factor(tick: int) -> float:
        if tick < warmup:
            return (tick + 1) / (warmup + 1)
        progress = min(1.0, (tick - warmup) / (total - warmup))
        return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def warmup_cosine_steps(
    optimizer: Optimizer,
    epochs: int,
    steps_per_epoch: int,
    warmup_epochs: float = 2.0,
    warmup_ratio: float = 0.1,
    final: float = 0.0,
) -> LambdaLR:
    """Half a cosine over all steps of a run, its beginning held down by a linear warm-up; advanced per step.

    The numbers of mmcv's `CosineAnnealing` with `by_epoch=False, warmup="linear"`: unlike in `warmup_cosine` the cosine
    falls during the warm-up too, which multiplies it by `warmup_ratio` at first and by 1 at its end. Every parameter
    group keeps its own rate.

    Args:
        optimizer: whose learning rates are scaled.
        epochs: of the whole run.
        steps_per_epoch: optimizer steps of an epoch.
        warmup_epochs: length of the warm-up; at most half of the run is taken.
        warmup_ratio: factor of the very first step.
        final: factor that the cosine ends at.

    Raises:
        InputError: a value is out of range.
    """
    if epochs < 1 or steps_per_epoch < 1 or warmup_epochs < 0 or not (0 < warmup_ratio <= 1 and 0 <= final <= 1):
        raise InputError(
            f"scheduler: epochs={epochs}, steps_per_epoch={steps_per_epoch}, warmup_epochs={warmup_epochs}, "
            f"warmup_ratio={warmup_ratio}, final={final};\n"
            "expected epochs (trainer.max_epochs) and steps >= 1, warmup_epochs >= 0, warmup_ratio in (0, 1], "
            "final in [0, 1]"
        )
    total = epochs * steps_per_epoch
    warmup = min(round(warmup_epochs * steps_per_epoch), total // 2)

    def factor(step: int) -> float:
        value = final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
        return value * (1 - (1 - step / warmup) * (1 - warmup_ratio)) if step < warmup else value

    return LambdaLR(optimizer, factor)
