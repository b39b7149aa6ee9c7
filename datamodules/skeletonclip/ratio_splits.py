"""Splits of one's own clips: from a file, or drawn class by class."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from components.errors import InputError
from components.spelling import did_you_mean


def read_splits(path: str | Path, names: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Splits from json (`{"train": [names], ...}`) or csv (columns name and split).

    Args:
        path: the file.
        names: the clips that there are.

    Returns:
        Clip names by split, and one line for each name that there is no clip of, which is left out.

    Raises:
        InputError: missing, broken, of another form, or without any clip that there is.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
        listed = json.loads(text) if path.suffix.lower() == ".json" else _from_csv(text, path)
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"dataset.splits={path}: cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(listed, dict) or not all(
        isinstance(members, list) and all(isinstance(name, str) for name in members) for members in listed.values()
    ):
        raise InputError(f"dataset.splits={path}: expected {{split: [names of clips]}}, or a csv with name,split")
    known, problems, splits = set(names), [], {}
    for split, members in listed.items():
        splits[str(split)] = [name for name in dict.fromkeys(members) if name in known]
        problems += [
            f"{path.name}: split {split} names '{name}', which is no clip{did_you_mean(name, known, 0.8)}"
            for name in members
            if name not in known
        ]
    if not any(splits.values()):
        raise InputError(
            f"dataset.splits={path} names none of the {len(names)} clips; they are called like '{names[0]}'"
        )
    return splits, problems


def draw_splits(
    labels: Mapping[str, int | None], val_ratio: float, test_ratio: float, seed: int
) -> dict[str, list[str]]:
    """`train`, `val` and `test` by share, drawn within each class.

    Each class has a generator of its own, seeded by `seed` and its label: a new class moves no clip of another. A
    class of two clips or more keeps at least one in `train`, and gives at least one to each split with a share while
    it has some left.

    Args:
        labels: class by clip name.
        val_ratio, test_ratio: shares, 0 to 1; a split with share 0 is not made.

    Raises:
        InputError: shares below 0 or that leave nothing to train on.
    """
    shares = {"val": val_ratio, "test": test_ratio}
    if min(shares.values()) < 0 or sum(shares.values()) >= 1:
        raise InputError(
            f"dataset.val_ratio={val_ratio:g}, dataset.test_ratio={test_ratio:g}: expected shares of 0 or more, "
            "together below 1"
        )
    splits: dict[str, list[str]] = {"train": [], **{split: [] for split, share in shares.items() if share > 0}}
    members: dict[int | None, list[str]] = defaultdict(list)
    for name, label in labels.items():
        members[label].append(name)
    for label, own in members.items():
        digest = hashlib.sha256(f"{seed}|{label}".encode()).digest()
        order = np.random.default_rng(int.from_bytes(digest[:8], "little")).permutation(sorted(own)).tolist()
        for split in ("val", "test"):
            if split in splits:
                count = min(max(1, round(shares[split] * len(own))), len(order) - 1)
                splits[split] += order[:count]
                order = order[count:]
        splits["train"] += order
    return {split: sorted(chosen) for split, chosen in splits.items()}


def _from_csv(text: str, path: Path) -> dict[str, list[str]]:
    rows = csv.DictReader(text.splitlines())
    if not {"name", "split"} <= set(rows.fieldnames or ()):
        raise InputError(f"dataset.splits={path}: expected the columns name,split; found {rows.fieldnames}")
    splits: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        splits[str(row["split"]).strip()].append(str(row["name"]).strip())
    return dict(splits)
