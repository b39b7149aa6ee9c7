"""`run.json`: one plain file that says what a run was, how far it came and how it ended.

The entry point writes the start and the end; the `RunReport` callback adds what only the trainer knows. Each write
merges into the file and replaces it whole, so a killed run leaves a readable card with status "running".
"""

import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from callbacks.machine import collect_devices, collect_versions, git_state
from components.files.atomic import write_json
from components.files.json_files import read_json_object
from components.files.plain_data import plain

RUN_CARD = "run.json"
Status = Literal["running", "finished", "failed", "interrupted"]


def read_run_card(run_dir: str | Path) -> dict[str, Any] | None:
    """The card of a run folder, None where there is none or it is not a json object."""
    return read_json_object(Path(run_dir) / RUN_CARD)


def update_run_card(run_dir: str | Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `fields` into the card, write it whole and return it."""
    card = (read_run_card(run_dir) or {}) | plain(fields)
    write_json(Path(run_dir) / RUN_CARD, card)
    return card


def start_run_card(run_dir: str | Path, **fields: Any) -> dict[str, Any]:
    """Write the card of a run that begins (or goes on, with `resume`): status "running", machine, versions, git.

    Args:
        run_dir: the run folder.
        fields: what the entry point knows: experiment, command, overrides, seed, monitor (`{name, mode}`).
    """
    earlier = read_run_card(run_dir)
    resumed = 0 if earlier is None else int(earlier.get("resumed", 0)) + 1
    return update_run_card(
        run_dir,
        {
            "status": "running",
            "error": None,
            "started": _now(),
            "ended": None,
            "seconds": None,
            "resumed": resumed,
            "versions": collect_versions(),
            "devices": collect_devices(),
            "git": git_state(),
            "pid": os.getpid(),
            "host": platform.node(),
            **fields,
        },
    )


def end_run_card(
    run_dir: str | Path, status: Status, error: BaseException | str | None = None, **fields: Any
) -> dict[str, Any]:
    """Write how a run ended. Of an exception the type and the first line of the message are kept."""
    card = read_run_card(run_dir) or {}
    ended = _now()
    return update_run_card(
        run_dir,
        {
            "status": status,
            "error": error_line(error),
            "ended": ended,
            "seconds": _seconds_between(card.get("started"), ended),
            **fields,
        },
    )


def error_line(error: BaseException | str | None) -> str | None:
    """`ValueError: the first line of the message`; a string (a message made for people) stays as it is."""
    if error is None or isinstance(error, str):
        return error
    message = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {message[0]}" if message else name


def process_is_gone(card: Mapping[str, Any]) -> bool:
    """Whether a card that says "running" belongs to a process of this machine that no longer exists."""
    pid = card.get("pid")
    if card.get("status") != "running" or card.get("host") != platform.node() or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # the process exists and belongs to somebody else
        return False
    return _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """A killed process that nobody has waited for, as happens in containers without an init, still answers to kill."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"


def _now() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds")


def _seconds_between(started: object, ended: str) -> float | None:
    if not isinstance(started, str):
        return None
    try:
        return (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return None
