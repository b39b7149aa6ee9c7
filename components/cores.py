"""How many processor cores this process has to itself."""

import os


def usable_cores() -> int:
    """CPU cores this process may use (a container's or a scheduler's share, not the whole machine)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
