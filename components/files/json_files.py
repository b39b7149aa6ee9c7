"""Json files that may be missing or damaged: cards beside data and runs, whose absence is an answer too."""

import json
from pathlib import Path
from typing import Any


def read_json_object(path: str | Path) -> dict[str, Any] | None:
    """The json object in a file; None where there is no file, it cannot be read, or it holds anything else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
