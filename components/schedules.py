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
