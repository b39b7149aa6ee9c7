"""Folders of synthetic films and other things: written item by item beside their place, renamed into it when whole.

A run that was cut off goes on with the item where it stopped. Two processes that write the same set do it once: the
second waits and finds it there. A folder that was not written here is never touched.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.files.atomic import staging_folder, write_json
from components.files.json_files import read_json_object
from components.progress import Progress, no_progress

log = logging.getLogger(__name__)
CARD = "synthetic.json"
# Changes when the same settings give other films than before: sets of another version are written anew.
VERSION = 4


@dataclass(frozen=True)
class Item:
    """A part of a set that is written in one go.

    Args:
        places: files or folders that it makes, relative to the set; the last one is moved into place last.
        write: called with an empty folder, in which it makes them.
    """

    places: Sequence[str]
    write: Callable[[Path], None]


def write_set(
    folder: str | Path,
    name: str,
    settings: Mapping[str, Any],
    items: Sequence[Item],
    finish: Callable[[Path], None] | None = None,
    force: bool = False,
    progress: Progress = no_progress,
    what: str = "films",
    version: int = VERSION,
) -> bool:
    """Write a set unless it is there with the same settings.

    Args:
        folder: where the set belongs; made, with its parents.
        name: of the kind of set, for the card.
        settings: what the films follow from; they stand in the card.
        items: written in this order.
        finish: called with the folder when all items are there, for lists of them.
        force: write it again even if it is there.
        progress: told of each item, also of those that an earlier run had written.
        what: the items are, in the card, the log and messages.
        version: changes when the same settings give another set than before; such sets are written anew.

    Returns:
        Whether anything was written.

    Raises:
        InputError: the folder holds something that was not written here, or cannot be written.
    """
    folder = Path(folder).expanduser()
    card = {
        "about": f"Synthetic {what} ({name}), made by Troupe from the settings below; nothing in them is real.",
        "set": name,
        "version": version,
        "settings": dict(settings),
    }
    partial = folder.parent / f".{folder.name}.partial"
    try:
        if _is_there(folder, card) and not force:
            return False
        with _alone(partial):
            if _is_there(folder, card) and not force:  # another process was quicker
                return False
            if read_json_object(partial / CARD) != card:
                for old in partial.iterdir():
                    _remove(old)
                write_json(partial / CARD, card)
            log.info("writing synthetic %s to %s", what, folder)
            with progress(what, len(items)) as told:
                for item in items:
                    if not (partial / item.places[-1]).exists():
                        _write_item(partial, item)
                    told(1)
            if finish is not None:
                finish(partial)
            _put(partial, folder)
    except OSError as error:
        raise InputError(
            f"cannot write synthetic {what} to {folder}: {error.strerror or error}.\n"
            "Choose another folder (prepare: dataset.folder=<folder>), or free some space"
        ) from error
    return True


def _is_there(folder: Path, card: Mapping[str, Any]) -> bool:
    """Whether the set is in its place; other sets of ours may be replaced.

    Raises:
        InputError: something else is in its place.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    found = read_json_object(folder / CARD)
    if found is None or found.get("set") != card["set"]:
        raise InputError(
            f"{folder} holds files that were not written by prepare dataset={card['set']}; they are left alone.\n"
            "Choose another folder (prepare: dataset.folder=<folder>)"
        )
    # What it is about is for people: other words are no other set.
    return {**found, "about": None} == {**card, "about": None}


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Hold the folder of what is being written, made if missing; wait for whoever holds it."""
    while True:
        partial.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(partial, os.O_RDONLY)
        except FileNotFoundError:  # renamed into its place between the two lines
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # The one who waited may hold a folder that has been renamed by now.
            if partial.exists() and os.path.samestat(os.fstat(handle), partial.stat()):
                yield
                return
        finally:
            os.close(handle)


def _write_item(partial: Path, item: Item) -> None:
    with staging_folder(partial / "item") as staging:
        item.write(staging)
        for place in item.places:
            target = partial / place
            _remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / place, target)


def _put(partial: Path, folder: Path) -> None:
    """Rename the finished set into its place; one with other settings makes room."""
    for left in partial.glob(".item.*"):  # of runs that were killed
        _remove(left)
    with staging_folder(folder) as old:
        if folder.exists():
            os.replace(folder, old / "set")
        os.replace(partial, folder)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
