"""Files and folders appear whole or not at all: write beside the target, then rename."""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.errors import InputError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path with the same suffix; on success it replaces `path`, on any error it is removed.

    Parent folders are created.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (temporary, path, *path.parents):
            raise
        raise InputError(
            f"cannot write {path}: {error.strerror or error}.\n"
            "Free some space or choose another folder with paths.output_dir=... (or the command's own output key)"
        ) from error
    finally:
        with suppress(OSError):  # the folder may not even exist
            temporary.unlink()


@contextmanager
def staging_folder(target: str | Path) -> Iterator[Path]:
    """Yield a new hidden folder beside `target` to fill; what has not been moved away by then is removed at the end.

    Raises:
        OSError: the folder cannot be made; the caller knows which key chose the place.
    """
    target = Path(target)
    staging = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        staging.mkdir(parents=True)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write json atomically, two-space indent, trailing newline."""
    write_text(path, json.dumps(content, indent=2, allow_nan=True) + "\n")


def check_writable(folder: str | Path, key: str) -> None:
    """Create a folder and try to write into it, so that a long job does not find out at its end.

    Raises:
        InputError: the folder cannot be made or written; the message names the config key.
    """
    folder = Path(folder)
    probe = folder / f".write-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # An empty file fits on a full disk.
        probe.write_bytes(bytes(1 << 16))
    except OSError as error:
        raise InputError(
            f"{key}={folder}: cannot write there ({error.strerror or error}); choose another folder"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
