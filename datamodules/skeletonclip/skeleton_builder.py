"""Makes a set of skeleton clips (pickle, class texts, splits) out of files of users; resumable."""

import hashlib
import json
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.files.atomic import atomic_path, check_writable, write_json, write_text
from components.files.json_files import read_json_object
from components.files.places import CACHE_FOLDER
from components.keypoints.annotations import SkeletonClip, SkeletonSet, write_skeleton_set
from components.keypoints.joint_orders import fit_joints
from components.keypoints.skeletons import KeypointSkeleton
from components.progress import Progress, no_progress
from datamodules.skeletonclip.own_labels import label_clips, label_csv, read_label_table
from datamodules.skeletonclip.ratio_splits import draw_splits, read_splits
from datamodules.skeletonclip.sources import LABELS, Reading, Source, SourceItem

log = logging.getLogger(__name__)

PICKLE = "skeletons.pkl"
# Says that we made the set, from what and how.
CARD = "skeletons.json"
# Raise it whenever the same file would give other numbers.
_VERSION = 1
_NAMED = 3


@dataclass(frozen=True)
class BuildOptions:
    """What becomes of clips that were read; see conf/dataset/skeletons.yaml."""

    labels: str | None = None
    label_file: str | None = None
    splits: str | None = None
    val_ratio: float = 0.2
    test_ratio: float = 0.0
    seed: int = 0
    min_frames: int = 2
    on_error: Literal["skip", "raise"] = "skip"

    def __post_init__(self) -> None:
        if self.on_error not in ("skip", "raise"):
            raise InputError(f"dataset.on_error='{self.on_error}' is not one of skip, raise")
        if self.min_frames < 1:
            raise InputError(f"dataset.min_frames={self.min_frames}: expected 1 or more")
        draw_splits({}, self.val_ratio, self.test_ratio, self.seed)


@dataclass(frozen=True)
class BuildResult:
    """What there is now: clips by class and by split, frames, and one line per problem."""

    fresh: bool
    read: int
    frames: int
    persons: int
    class_names: list[str]
    clips_per_class: list[int]
    clips_per_split: dict[str, int]
    problems: list[str] = field(default_factory=list)


def build_skeleton_set(
    source: Source,
    output: Path,
    skeleton: KeypointSkeleton,
    options: BuildOptions,
    settings: dict[str, Any] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Write `skeletons.pkl`, `labels.csv` and the card of a set.

    The class of a clip is that of the table `options.labels`, else the one that its file states, else the first folder
    of its name. Splits and class texts that a pickle brings are kept where the options name no others. Clips whose
    reading is slow are kept beside the set, so that an interrupted call goes on where it was.

    Args:
        source: the clips.
        output: folder of the set.
        skeleton: joints that every clip must have.
        settings: what else the numbers depend on, for the cache.

    Raises:
        InputError: no usable clip, a table that does not fit, a broken clip and `on_error=raise`, or `output` holds
            other data or cannot be written.
    """
    if (output / PICKLE).is_file() and not (output / CARD).is_file():
        raise InputError(
            f"dataset.output={output} holds a '{PICKLE}' that was not made here; it is left alone.\n"
            "Choose another folder with dataset.output=<folder>"
        )
    check_writable(output, "dataset.output")
    if options.label_file is None and options.labels is None and source.texts is not None:
        options = replace(options, label_file=str(source.texts))
    keys = {item.name: _key(item, settings) for item in source.items}
    state = {"options": _plain(options), "files": keys, "skeleton": skeleton.joints, "tables": _tables(options)}
    if source.splits:
        state["splits"] = source.splits
    state = json.loads(json.dumps(state))
    known = read_json_object(output / CARD) or {}
    if known.get("state") == state and (output / PICKLE).is_file() and (output / LABELS).is_file() and not force:
        return BuildResult(False, **known["result"])
    table = read_label_table(options.labels, [item.name for item in source.items])
    problems = [*table.problems, *(f"{name}: {reason}" for name, reason in source.skipped.items())]
    clips, words, read = _read_all(source, skeleton, options, output, keys, force, problems, progress or no_progress)
    notes: list[str] = []
    labelled, texts = label_clips(clips, words, table.labels, options.label_file, problems, notes)
    if options.on_error == "raise" and problems:
        raise InputError(
            f"{len(problems)} problems (dataset.on_error=skip leaves these clips out):\n" + "; ".join(problems[:_NAMED])
        )
    names = [clip.name for clip in labelled]
    if options.splits is not None:
        splits, wrong = read_splits(options.splits, names)
        problems += wrong
    elif source.splits:
        there = set(names)
        splits = {split: [name for name in members if name in there] for split, members in source.splits.items()}
    else:
        splits = draw_splits(
            {clip.name: clip.label for clip in labelled}, options.val_ratio, options.test_ratio, options.seed
        )
    counts = Counter(clip.label for clip in labelled)
    result: dict[str, Any] = {
        "read": read,
        "frames": sum(clip.total_frames for clip in labelled),
        "persons": max(clip.num_persons for clip in labelled),
        "class_names": texts.names if texts else [],
        "clips_per_class": [counts[label] for label in range(len(texts))] if texts else [],
        "clips_per_split": {split: len(members) for split, members in splits.items()},
        "problems": [*notes, *problems],
    }
    # Until all is written the card says that the folder is ours, and that it is not complete.
    write_json(output / CARD, {"kind": source.kind})
    write_skeleton_set(output / PICKLE, SkeletonSet(labelled, splits))
    write_text(output / LABELS, label_csv(texts))
    write_json(output / CARD, {"kind": source.kind, "state": state, "result": result | {"read": 0}})
    return BuildResult(True, **result)


def _read_all(
    source: Source, skeleton: KeypointSkeleton, options: BuildOptions, output: Path, keys: dict[str, str], force: bool,
    problems: list[str], progress: Progress,
) -> tuple[list[SkeletonClip], dict[str, str | None], int]:  # fmt: skip
    """All usable clips, the texts of their classes where files state them, and how many were not kept from before."""
    clips: list[SkeletonClip] = []
    words: dict[str, str | None] = {}
    read = 0
    with progress("reading skeletons", len(source.items)) as advance:
        for item in source.items:
            try:
                (clip, text), fresh = _kept(item, output / CACHE_FOLDER / "skeletons" / f"{keys[item.name]}.npz", force)
                read += fresh
                clip = fit_joints(clip, skeleton)
                if clip.total_frames < options.min_frames:
                    raise InputError(f"{clip.total_frames} frames, dataset.min_frames={options.min_frames}")
                problems += [f"{item.name}: {line}" for line in item.problems]
                clips.append(clip)
                words[clip.name] = text
            except InputError as error:
                problems.append(item.problem(str(error)))
                if options.on_error == "raise":
                    raise InputError(f"{problems[-1]}\n(dataset.on_error=skip leaves broken clips out)") from error
            advance(1)
    if not clips:
        listed = "\n".join(problems[:2])
        raise InputError(f"dataset.source: none of {len(source.items)} clips can be used, for example\n{listed}")
    return clips, words, read


def _kept(item: SourceItem, place: Path, force: bool) -> tuple[Reading, bool]:
    """The clip, from beside the set where it was read before, and whether it was read now."""
    if not item.slow:
        return item.read(), True
    if place.is_file() and not force:
        try:
            with np.load(place, allow_pickle=False) as arrays:
                keypoint, score, shape = arrays["keypoint"], arrays["score"], arrays["img_shape"]
            size = (int(shape[0]), int(shape[1]))
            return Reading(SkeletonClip(item.name, None, keypoint, score, size, keypoint.shape[1])), False
        except (OSError, ValueError, KeyError, EOFError):
            log.debug("%s is damaged and made again", place)
    reading = item.read()
    clip = reading.clip
    assert clip.score is not None
    assert clip.img_shape is not None
    with atomic_path(place) as temporary:
        np.savez(temporary, keypoint=clip.keypoint, score=clip.score, img_shape=np.array(clip.img_shape))
    return reading, True


def _key(item: SourceItem, settings: dict[str, Any] | None) -> str:
    """Stands for a clip and all that its numbers depend on."""
    digest = hashlib.sha256(json.dumps([item.name, settings, _VERSION], sort_keys=True, default=str).encode())
    for file in item.files:
        stat = file.stat()
        digest.update(f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _plain(options: BuildOptions) -> dict[str, Any]:
    return {key: getattr(options, key) for key in options.__dataclass_fields__}


def _tables(options: BuildOptions) -> list[int | None]:
    """When the tables were changed last."""
    places = [
        Path(path).expanduser() if path else None for path in (options.labels, options.label_file, options.splits)
    ]
    return [place.stat().st_mtime_ns if place is not None and place.is_file() else None for place in places]
