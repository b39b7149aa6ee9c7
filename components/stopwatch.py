"""How long the stages of a piece of work take, over all its rounds."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall-clock seconds by the name of a stage.

    Args:
        synchronise: called before each reading of the clock: waits for an accelerator that works on its own.
    """

    def __init__(self, synchronise: Callable[[], None] | None = None) -> None:
        self._synchronise = synchronise
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done within."""
        begin = self._now()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + self._now() - begin

    @property
    def total(self) -> float:
        """Seconds of all stages."""
        return sum(self.seconds.values())

    def per_item(self, items: int) -> dict[str, float]:
        """Milliseconds of each stage per item."""
        return {stage: 1e3 * spent / max(1, items) for stage, spent in self.seconds.items()}

    def _now(self) -> float:
        if self._synchronise is not None:
            self._synchronise()
        return time.perf_counter()
