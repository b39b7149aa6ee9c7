"""The nearest valid name, for messages about mistyped ones."""

import difflib
from collections.abc import Iterable


def nearest(name: object, candidates: Iterable[object], cutoff: float = 0.5) -> str | None:
    """The candidate most like `name`, None where none is close.

    Args:
        name: what was found.
        candidates: what would have been valid.
        cutoff: likeness in 0..1 below which a candidate is no help.
    """
    close = difflib.get_close_matches(str(name), [str(candidate) for candidate in candidates], n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(name: object, candidates: Iterable[object], cutoff: float = 0.5) -> str:
    """` (did you mean 'x'?)` with the `nearest` candidate, empty where none is close."""
    match = nearest(name, candidates, cutoff)
    return f" (did you mean '{match}'?)" if match else ""
