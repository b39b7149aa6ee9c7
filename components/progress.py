"""How long work tells how far it is: components only call it, whoever has a terminal draws."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

# Called with a title and a total; yields what is told how much more is done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


def no_progress(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """A `Progress` that draws nothing."""
    return nullcontext(lambda done: None)
