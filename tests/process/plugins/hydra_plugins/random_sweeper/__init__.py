"""A sweeper that draws from the clock: what a launcher must not do is ask it again in every rank."""

import random
import time
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper


class RandomSweeper(BasicSweeper):
    """Basic sweeper with two jobs of random learning rates."""

    def __init__(self, max_batch_size: int | None = None, params: Any = None) -> None:
        super().__init__(max_batch_size, params)

    def sweep(self, arguments: list[str]) -> Any:
        draw = random.Random(time.time_ns())
        rates = ",".join(f"{draw.uniform(0.001, 0.1):.6f}" for _ in range(2))
        return super().sweep([*arguments, f"optimizer.lr={rates}"])
