"""Which clips train and which are held out."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from components.errors import InputError
from datamodules.actor.clips import MotionClips

_SIDES = ("train", "val", "test")


class Split(NamedTuple):
    """Indices of clips, ascending; `kind` says in words what the split keeps apart."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    kind: str

    @property
    def held_out(self) -> bool:
        """Whether no evaluation clip trains."""
        return not (np.isin(self.val, self.train).any() or np.isin(self.test, self.train).any())


def make_split(clips: MotionClips, val_fraction: float, seed: int, file: str | None = None) -> Split:
    """The split of a run.

    A file decides where there is one. Else the split that was published with the data, where there is one, keeps its
    test clips; `val_fraction` holds a share of the training clips out. Without any of these all clips train and are
    evaluated (the published recipe of HumanAct12 and NTU13).

    Args:
        clips: all clips.
        val_fraction: share of every class that is held out, 0..1.
        seed: seed of the share.
        file: csv or json, see `read_split_file`.

    Raises:
        InputError: the file is malformed or names clips that do not exist; a side is empty.
    """
    if file is not None:
        return read_split_file(Path(file).expanduser(), clips)
    everything = np.arange(len(clips))
    published = clips.published_split
    train = everything if published is None else published.train
    if val_fraction == 0:
        if published is not None:
            return Split(train, published.test, published.test, f"published: {published.kind}")
        return Split(everything, everything, everything, "none: trains on the evaluation clips, as published")
    groups = _group_numbers(clips)
    kept, held = split_clips(clips.labels[train], val_fraction, seed, None if groups is None else groups[train])
    unit = "clips" if groups is None else f"clips, every {clips.group_kind} on one side"
    kind = f"{val_fraction:g} of each class's {unit}, seed {seed}"
    if published is None:
        return Split(train[kept], train[held], train[held], kind)
    return Split(train[kept], train[held], published.test, f"{kind}; test published: {published.kind}")


def split_clips(
    labels: np.ndarray, val_fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the held-out clips, each in ascending order.

    Of every class the same share is held out, rounded, but at least one clip where the class has two; a class with a
    single clip trains. With `val_fraction=0` (the published recipe) all clips are in both.

    Args:
        labels: `[N]` class of every clip.
        val_fraction: share that is held out.
        seed: seed of the choice.
        groups: `[N]` clips with equal numbers stay together, so that the share is met as nearly as that allows.
    """
    everything = np.arange(len(labels))
    if val_fraction == 0:
        return everything, everything
    groups = everything if groups is None else groups
    classes: dict[int, set[int]] = {}
    for name, label in zip(groups.tolist(), labels.tolist()):
        classes.setdefault(name, set()).add(label)
    # Groups of each class that train; none may lose its last.
    left = Counter(label for owners in classes.values() for label in owners)
    held_out: set[int] = set()
    decided: set[int] = set()
    for label in np.unique(labels).tolist():
        own = groups[labels == label]
        names, first, counts = np.unique(own, return_index=True, return_counts=True)
        order = first.argsort()
        names, sizes = names[order].tolist(), counts[order].tolist()
        generator = torch.Generator().manual_seed(seed * 1009 + int(label))
        wanted = min(max(round(len(own) * val_fraction), 1), len(own) - 1)
        held = sum(size for name, size in zip(names, sizes) if name in held_out)
        for place in torch.randperm(len(names), generator=generator).tolist():
            name, size = names[place], sizes[place]
            nearer = abs(held + size - wanted) < abs(held - wanted) or (held == 0 and wanted > 0)
            if nearer and name not in decided and all(left[owner] > 1 for owner in classes[name]):
                held_out.add(name)
                held += size
                left.subtract(classes[name])
        decided.update(names)
    mask = np.isin(groups, list(held_out))
    return everything[~mask], everything[mask]


def read_split_file(path: Path, clips: MotionClips) -> Split:
    """A split that the user wrote down.

    A csv has the columns `clip` (or `index`) and `split` (train, val or test), a json file
    `{"train": [...], "val": [...], "test": [...]}`. A clip is its number in the data, or the name of its recording,
    which stands for all clips of that recording. Of `val` and `test` one may be absent and is then as the other.

    Raises:
        InputError: the file is missing or malformed, names what does not exist, or names a clip twice.
    """
    known: dict[str, list[int]] = {}
    for place, name in enumerate(clips.names):
        known.setdefault(name, []).append(place)
    # A number always means a place in the data, whatever recordings are called.
    known |= {str(source): [place] for place, source in enumerate(clips.sources.tolist())}
    skipped = {str(entry["sample"]) for entry in clips.skipped}
    sides: dict[str, set[int]] = {side: set() for side in _SIDES}
    for clip, side in _rows(path):
        if side not in _SIDES:
            raise InputError(f"data.split_file={path}: clip {clip} has the split '{side}', expected train, val or test")
        if clip not in known and clip not in skipped:
            raise InputError(
                f"data.split_file={path}: there is no clip or recording '{clip}' (clips are numbers from 0 on; "
                f"{len(set(clips.names))} recordings have names)"
            )
        for place in known.get(clip, ()):
            if any(place in sides[other] for other in _SIDES if other != side):
                raise InputError(f"data.split_file={path}: clip '{clip}' is on two sides of the split")
            sides[side].add(place)
    train, val, test = (np.array(sorted(sides[side]), dtype=np.int64) for side in _SIDES)
    if not len(train) or not (len(val) or len(test)):
        raise InputError(
            f"data.split_file={path} names {len(train)} training, {len(val)} validation and {len(test)} test clips; "
            "expected some to train and some to evaluate"
        )
    return Split(train, val if len(val) else test, test if len(test) else val, f"file {path.name}")


def _rows(path: Path) -> list[tuple[str, Any]]:
    """Clip and side of every entry."""
    try:
        if path.suffix == ".json":
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict) or not all(isinstance(clips, list) for clips in content.values()):
                raise ValueError("expected lists under train, val and test")
            return [(str(clip), side) for side, clips in content.items() for clip in clips]
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            fields = table.fieldnames or ()
            column = next((name for name in ("clip", "index") if name in fields), None)
            if column is None or "split" not in fields:
                raise ValueError(f"has the columns {', '.join(fields) or 'none'}")
            return [(str(row[column]).strip(), str(row["split"]).strip()) for row in table]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(
            f"data.split_file: cannot read {path}: {error}.\nExpected a csv with the columns clip and split, or a json "
            'file like {"train": [0, 1], "val": [2]}'
        ) from error


def _group_numbers(clips: MotionClips) -> np.ndarray | None:
    if not clips.groups:
        return None
    return np.unique(np.array(clips.groups), return_inverse=True)[1].reshape(-1)
