"""Which action each motion file shows, or each part of it: from a table, from folders or from file names."""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from components.body.motion_sources import SUFFIXES
from components.errors import InputError

LabelFrom = Literal["auto", "folder", "name"]


class Segment(NamedTuple):
    """A labelled part of a file, in seconds; `end` None = to its end."""

    action: str
    start: float = 0.0
    end: float | None = None


def label_files(
    names: Sequence[str], table: str | None = None, label_from: LabelFrom = "auto", actions: Sequence[str] | None = None
) -> tuple[dict[str, list[Segment]], list[str]]:
    """Labelled parts of every file that has a label, and a line for each that has none.

    Args:
        names: of the files, as paths below their folder.
        table: see `read_labels`; None takes labels from the names.
        label_from: the first folder of a name, or the file's own name; `auto`: folders where all files lie in some.
        actions: the only ones wanted; None = all.

    Raises:
        InputError: the table is malformed or names files that do not exist; an action in `actions` has no file.
    """
    if table is not None:
        segments = read_labels(Path(table).expanduser(), names)
    else:
        folders = all("/" in name for name in names)
        by_folder = label_from == "folder" or (label_from == "auto" and folders)
        labels = {name: _folder_label(name) if by_folder else _name_label(name) for name in names}
        segments = {name: [Segment(label)] for name, label in labels.items() if label}
    if actions is not None:
        wanted = {action_key(action) for action in actions}
        present = {part.action for parts in segments.values() for part in parts}
        absent = [action for action in actions if action_key(action) not in present]
        if absent:
            raise InputError(
                f"dataset.actions: no file is labelled {', '.join(absent)}; there are {', '.join(sorted(present)[:20])}"
            )
        segments = {name: kept for name, parts in segments.items()
                    if (kept := [part for part in parts if part.action in wanted])}  # fmt: skip
        return segments, []
    return segments, [f"{name}: no label, left out" for name in names if name not in segments]


def read_labels(path: Path, names: Sequence[str]) -> dict[str, list[Segment]]:
    """A csv with the columns `file`, `action` and, for parts of a file, `start` and `end` in seconds.

    A file is its path below the source folder, with or without suffix, or its mere name where that is unique.

    Raises:
        InputError: the table is missing or malformed; the message names the line.
    """
    known: dict[str, list[str]] = {}
    for name in names:
        stem = name.rsplit(".", 1)[0]
        for key in {name, stem, name.rsplit("/", 1)[-1], stem.rsplit("/", 1)[-1]}:
            known.setdefault(key, []).append(name)
    segments: dict[str, list[Segment]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"file", "action"} <= set(rows.fieldnames or ()):
                raise ValueError(f"its columns are {', '.join(rows.fieldnames or ()) or 'none'}")
            for row in rows:
                where = f"dataset.labels={path}, line {rows.line_num}"
                found = known.get((row["file"] or "").strip().replace("\\", "/"), [])
                if len(found) != 1:
                    what = "is no motion file below dataset.source" if not found else f"names {len(found)} files"
                    raise InputError(f"{where}: '{row['file']}' {what}")
                segments.setdefault(found[0], []).append(_segment(row, where))
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"dataset.labels: cannot read {path}: {error}.\nExpected a csv with the columns file, action and, for "
            "parts of a file, start and end (seconds)"
        ) from error
    return segments


def _segment(row: dict[str, Any], where: str) -> Segment:
    action = action_key(row["action"] or "")
    if not action:
        raise InputError(f"{where}: no action")
    try:
        start = float(row.get("start") or 0.0)
        end = float(row["end"]) if row.get("end") else None
    except ValueError as error:
        raise InputError(f"{where}: start and end must be seconds ({error})") from error
    if not (0 <= start < (end if end is not None else math.inf)):
        raise InputError(
            f"{where}: from {start:g} to {end if end is not None else 'its end'} seconds is no part of a file"
        )
    return Segment(action, start, end)


def action_key(text: str) -> str:
    """An action as a label: lower case, underscores for spaces."""
    return re.sub(r"\s+", "_", text.strip()).lower()


def _folder_label(name: str) -> str:
    return action_key(name.split("/", 1)[0]) if "/" in name else ""


def _name_label(name: str) -> str:
    """The file's name without its suffix and the number at its end."""
    stem = name.rsplit("/", 1)[-1]
    while Path(stem).suffix.lower() in SUFFIXES:
        stem = Path(stem).stem
    return action_key(re.sub(r"(_poses|_stageii)$", "", stem).rstrip("0123456789").rstrip(" _-.()"))
