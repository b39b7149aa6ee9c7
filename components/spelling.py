"""The nearest valid name, for messages about mistyped ones."""

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, candidates: Iterable[object], cutoff: float = 0.5) -> str:
    """` (did you mean 'x'?)` with the candidate most like `name`, empty where none is close.

    Args:
        name: what was found.
        candidates: what would have been valid.
        cutoff: likeness in 0..1 below which a candidate is no help.
    """
    close = difflib.get_close_matches(str(name), [str(candidate) for candidate in candidates], n=1, cutoff=cutoff)
    return f" (did you mean '{close[0]}'?)" if close else ""
