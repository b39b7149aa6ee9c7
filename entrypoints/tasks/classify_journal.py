"""Answers of clips, written one by one: a killed job goes on with those that are missing."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from components.errors import InputError
from components.files.atomic import write_text

JOURNAL = "clips.jsonl"


class Journal:
    """A file with a line of json per clip, after one that says what all of them depend on; a context manager.

    A line that was cut off by the end of a job is dropped, and its clip done again.

    Args:
        folder: where the file belongs.
        record: what answers depend on.
        force: answers of other settings may be replaced.

    Raises:
        InputError: the folder holds answers of other settings, or files that are none of ours.
    """

    def __init__(self, folder: Path, record: Mapping[str, Any], force: bool = False) -> None:
        self.path = folder / JOURNAL
        head = json.loads(json.dumps({"record": record}))
        lines = self._lines()
        if not lines and folder.is_dir() and any(folder.iterdir()) and not force:
            raise InputError(f"output={folder} holds files already; choose another folder or add force=true")
        if lines and lines[0] != head and not force:
            raise InputError(
                f"output={folder} holds answers of other settings, texts or weights.\n"
                "Choose another folder with output=..., or replace them with force=true"
            )
        kept = lines[1:] if lines and lines[0] == head and not force else []
        self.answers: dict[str, dict[str, Any]] = {
            str(entry["key"]): entry for entry in kept if {"key", "name", "probabilities"} <= entry.keys()
        }
        self._head = head
        self._file: IO[str] | None = None

    def __enter__(self) -> "Journal":
        whole = [self._head, *self.answers.values()]
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in whole))
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: dict[str, Any]) -> None:
        """Write the answer of a clip: it has at least `key`, `name` and `probabilities`."""
        assert self._file is not None
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self.answers[entry["key"]] = entry

    def _lines(self) -> list[dict[str, Any]]:
        """Sound lines from the beginning on."""
        found: list[dict[str, Any]] = []
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeError):
            return found
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not isinstance(entry, dict):
                break
            found.append(entry)
        return found
