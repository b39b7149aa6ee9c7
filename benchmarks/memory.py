"""Peak memory of this process."""

import contextlib
import re
import resource
from pathlib import Path


def peak_memory() -> float:
    """Most resident memory of this process, MB, since its start or the last `forget_peak`."""
    status = Path("/proc/self/status")
    if status.is_file():  # `ru_maxrss` would begin with the peak of the process that started this one
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 1024  # type: ignore[index]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Let the peak start again from the memory in use now, where the system can do that (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
