"""Which videos train and which are held out: folders of the data set's own, or a part chosen by name."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from components.errors import InputError
from components.spelling import did_you_mean
from datamodules.videowalk.clip_source import ClipSource
from datamodules.videowalk.sources import ClipSettings, Kind, open_source
from datamodules.videowalk.video_folders import find_splits

AUTO = "auto"


class Side(NamedTuple):
    """Videos of one side: clips, the videos that belong to it, where they lie and where reports about them belong."""

    source: ClipSource
    videos: np.ndarray
    root: Path
    place: Path

    @property
    def counts(self) -> np.ndarray:
        """Clips of each of its videos, `[V]` int64."""
        return np.asarray(self.source.counts, dtype=np.int64)[self.videos]


class Sides(NamedTuple):
    """Both sides. `kind` tells where the validation videos are from: a folder of their own, held out of the training
    videos by name, or the training videos themselves."""

    train: Side
    val: Side
    kind: Literal["own", "held_out", "training"]


def open_sides(
    kind: Kind,
    root: Path,
    settings: ClipSettings,
    train_split: str = AUTO,
    val_split: str = AUTO,
    val_root: Path | None = None,
    val_fraction: float = 0.1,
) -> Sides:
    """Open the videos of both sides.

    Args:
        kind, settings: what they are and how they are cut into clips.
        root, train_split, val_split: the data set and its folders, see `split_folder`.
        val_root: validation videos that lie elsewhere.
        val_fraction: share of the training videos that is held out where there are no others; 0 validates on them.

    Raises:
        InputError: a side is missing or has nothing usable.
    """
    train_root = split_folder(root, train_split, "train") or root
    if train_root == root and val_split == AUTO and (stray := split_folder(root, AUTO, "val")):
        raise InputError(
            f"data.root={root} has '{stray.name}' and no folder called train.\n"
            "Say what to train on: data.train_split=<folder>, or data.root=<folder of videos>"
        )
    train = _side(kind, train_root, settings, "data.root")
    if val_root is not None:
        return Sides(train, _side(kind, val_root, settings, "data.val_root"), "own")
    own = split_folder(root, val_split, "val")
    if own is not None:
        return Sides(train, _side(kind, own, settings, "data.root"), "own")
    if val_fraction == 0:
        return Sides(train, train, "training")
    usable = np.flatnonzero(train.counts)
    out = held_out([train.source.keys[int(video)] for video in usable], val_fraction)
    return Sides(train._replace(videos=usable[~out]), train._replace(videos=usable[out]), "held_out")


def _side(kind: Kind, root: Path, settings: ClipSettings, key: str) -> Side:
    source, place = open_source(kind, root, settings, key)
    return Side(source, np.arange(len(source.counts)), root, place)


def split_folder(root: Path, split: str, side: str) -> Path | None:
    """The folder of one side of a data set; None where there is none of its own.

    Args:
        root: the data set.
        split: name of a folder in it, or `auto`: `<side>_256` as Kinetics is prepared for walks, else the only folder
            that is called like the side (`train`, `train_512`, `training`; `val`, `validation`, ...).
        side: `train` or `val`.

    Raises:
        InputError: no folder of that name, or several that could be meant.
    """
    there = find_splits(root)
    if split != AUTO:
        if not split or Path(split).is_absolute() or ".." in Path(split).parts:
            raise InputError(f"data.{side}_split='{split}': expected the name of a folder in data.root, or auto")
        if not (root / split).is_dir():
            known = f"; it has {', '.join(there)}" if there else ""
            raise InputError(
                f"data.{side}_split={split}: no such folder in data.root={root}{did_you_mean(split, there)}{known}"
            )
        return root / split
    meant = [name for name in there if name.lower().startswith(side)]
    if f"{side}_256" in meant:
        return root / f"{side}_256"
    if len(meant) > 1:
        raise InputError(f"data.root={root} has {', '.join(meant)}; choose one with data.{side}_split=<folder>")
    return root / meant[0] if meant else None


def held_out(keys: Sequence[str], fraction: float) -> np.ndarray:
    """Which videos are held out, bool `[V]`: those whose names hash low.

    A video's side follows from its own name, so it stays when others come or go. At least one video is on each side,
    whatever the hashes say.

    Args:
        keys: names of the videos, the same on every machine.
        fraction: expected share of the held out ones, above 0 and below 1.

    Raises:
        InputError: fewer than two videos.
    """
    if len(keys) < 2:
        raise InputError(
            f"data.val_fraction={fraction:g} holds out videos, but there is only {len(keys)} to train on.\n"
            "Give more videos, a folder with others (data.val_root), or evaluate on it with data.val_fraction=0"
        )
    places = np.array([_place(key) for key in keys])
    out = places < fraction
    out[places.argmin()] = True
    out[places.argmax()] = False
    return out


def _place(key: str) -> float:
    """A number in 0..1 that follows from a name."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48)
