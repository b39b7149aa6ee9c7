"""Which clips train and which are evaluated: named splits, folds, classes held out, repeats and class resampling."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from components.errors import InputError
from components.keypoints.annotations import SkeletonSet
from components.spelling import did_you_mean
from datamodules.skeletonclip.texts import ClassTexts


class HeldOutClasses(NamedTuple):
    """Labels of the classes that train, and of those that only the evaluation sees, each ascending."""

    seen: tuple[int, ...]
    unseen: tuple[int, ...]


def select_split(skeletons: SkeletonSet, split: str | None, key: str = "data.train_split") -> np.ndarray:
    """Places of a split's clips, in the order of the file; `split=None` takes all clips.

    Names of clips that are not there are passed over, as pyskl does: `absent_clips` lists them.

    Args:
        key: config key of the split, for messages.

    Raises:
        InputError: there is no such split, or none of its clips is there.
    """
    if split is None:
        return np.arange(len(skeletons))
    if split not in skeletons.splits:
        known = ", ".join(f"{name} ({len(members)})" for name, members in skeletons.splits.items()) or "none"
        raise InputError(
            f"{key}={split}: {skeletons.source} has no such split{did_you_mean(split, skeletons.splits)}; "
            f"it has {known}.\nChoose one of them, or make some with data.folds=5; {key}=null takes all clips"
        )
    members = set(skeletons.splits[split])
    places = [place for place, clip in enumerate(skeletons.clips) if clip.name in members]
    if not places:
        filled = [name for name, listed in skeletons.splits.items() if listed and name != split]
        found = f"names {len(members)} clips, none of which is in the file" if members else "names no clip"
        raise InputError(
            f"{key}={split}: this split of {skeletons.source} {found}; splits with clips: {', '.join(filled) or 'none'}"
        )
    return np.array(places, dtype=np.int64)


def absent_clips(skeletons: SkeletonSet, split: str | None) -> list[str]:
    """Clips that a split names and the set does not have, those skipped as broken included."""
    present = {clip.name for clip in skeletons.clips}
    return [name for name in skeletons.splits.get(split or "", ()) if name not in present]


def shared_clips(
    skeletons: SkeletonSet, first: str | None, second: str | None, key: str = "data.test_split"
) -> list[str]:
    """Clips that the training split and another one, which `key` names, have in common: a result on them says little.

    Raises:
        InputError: as `select_split`.
    """
    places = (select_split(skeletons, first), select_split(skeletons, second, key))
    members = [{skeletons.clips[place].name for place in own} for own in places]
    return sorted(members[0] & members[1])


def add_folds(skeletons: SkeletonSet, folds: int, seed: int = 0) -> SkeletonSet:
    """The set with the splits `train1`, `test1`, ... of a stratified cross-validation.

    Every clip is in one test split. The clips of each class are dealt to the folds in turn, in random order, so that
    neither the folds' shares of a class nor their sizes differ by more than one. Clips without label are one class.

    Args:
        folds: how many, at least 2.
        seed: of the order; the same seed gives the same folds whatever the order of the file.

    Raises:
        InputError: fewer clips than folds, or the file has a split of such a name.
    """
    if folds < 2 or folds > len(skeletons):
        raise InputError(f"data.folds={folds}: expected 2 to {len(skeletons)}, the clips of {skeletons.source}")
    made = {f"{side}{fold + 1}": [] for fold in range(folds) for side in ("train", "test")}  # type: dict[str, list[str]]
    taken = [name for name in made if name in skeletons.splits]
    if taken:
        raise InputError(
            f"data.folds={folds}: {skeletons.source} has the split '{taken[0]}' of its own; leave data.folds=null"
        )
    generator = np.random.default_rng(np.random.SeedSequence((seed, folds)))
    labels = skeletons.labels
    dealt = 0
    fold_of: dict[str, int] = {}
    for label in np.unique(labels).tolist():
        names = sorted(skeletons.clips[place].name for place in np.flatnonzero(labels == label))
        for place in generator.permutation(len(names)).tolist():
            fold_of[names[place]] = dealt % folds
            dealt += 1
    for clip in skeletons.clips:
        for fold in range(folds):
            made[f"{'test' if fold_of[clip.name] == fold else 'train'}{fold + 1}"].append(clip.name)
    return replace(skeletons, splits={**skeletons.splits, **made})


def hold_out_classes(classes: Iterable[str | int], texts: ClassTexts) -> HeldOutClasses:
    """Seen and unseen classes, the unseen ones by name or number.

    Raises:
        InputError: there is no such class, one stands twice, or none is left to train.
    """
    unseen: list[int] = []
    for name in classes:
        try:
            label = texts.label(name)
        except InputError as error:
            raise InputError(f"data.unseen_classes: {error}") from error
        if label in unseen:
            raise InputError(f"data.unseen_classes: class {label} ('{texts.names[label]}') stands there twice")
        unseen.append(label)
    seen = [label for label in range(len(texts)) if label not in unseen]
    if not seen:
        raise InputError(f"data.unseen_classes holds all {len(texts)} classes: none is left to train")
    return HeldOutClasses(tuple(seen), tuple(sorted(unseen)))


def keep_classes(places: np.ndarray, labels: np.ndarray, classes: Iterable[int], key: str) -> np.ndarray:
    """Those of some places whose clip is of one of the classes.

    Args:
        places: `[n]` places of clips.
        labels: `[N]` class of every clip.
        classes: wanted labels.
        key: config key of the split, for messages.

    Raises:
        InputError: no clip is left.
    """
    kept = places[np.isin(labels[places], list(classes))]
    if not len(kept):
        raise InputError(f"{key}: none of its {len(places)} clips is of the classes that data.unseen_classes leaves it")
    return kept


def new_labels(classes: Sequence[int], num_classes: int) -> np.ndarray:
    """`[num_classes]` int64: the place of a label among `classes`, -1 for others. Inverse: `classes` itself."""
    table = np.full(num_classes, -1, dtype=np.int64)
    table[list(classes)] = np.arange(len(classes))
    return table


def class_weights(class_prob: Mapping[str | int, float] | Sequence[float] | None, texts: ClassTexts) -> np.ndarray:
    """`[L]` how often the clips of each class are taken per epoch (pyskl's `class_prob`).

    Args:
        class_prob: one number per class, or numbers by class name or number; classes that it leaves out get 1.

    Raises:
        InputError: a number too few or too many, a class that there is not, a negative number, or all are 0.
    """
    weights = np.ones(len(texts))
    if isinstance(class_prob, Mapping):
        for name, weight in class_prob.items():
            number = isinstance(name, str) and name.isdecimal()
            try:
                weights[texts.label(int(name) if number else name)] = float(weight)
            except (InputError, TypeError, ValueError) as error:
                raise InputError(f"data.class_prob: {error}") from error
    elif class_prob is not None:
        if len(class_prob) != len(texts):
            raise InputError(f"data.class_prob has {len(class_prob)} numbers; {texts.source} has {len(texts)} classes")
        weights = np.asarray(class_prob, dtype=np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise InputError("data.class_prob must hold numbers from 0 on, and not only zeros")
    return weights


def epoch_places(
    labels: np.ndarray, repeat: int = 1, weights: np.ndarray | None = None, seed: int = 0, epoch: int = 0
) -> np.ndarray:
    """Which clips an epoch takes, before shuffling: `[n]` places in `labels`; n does not depend on the epoch.

    Without weights every clip comes `repeat` times, sample i being clip i mod N (pyskl's RepeatDataset). With weights
    the clips of class c come `weights[c] * repeat` times: all of them as often as the whole part says, and the share
    that the fraction says by a choice that depends on (seed, epoch) alone (pyskl's ClassSpecificDistributedSampler).

    Args:
        labels: `[N]` classes of the training clips.
        repeat: how often a clip comes per epoch, at least 1.
        weights: `[L]`, see `class_weights`.

    Raises:
        InputError: `repeat` below 1, or nothing is taken.
    """
    if repeat < 1:
        raise InputError(f"data.repeat={repeat}: expected 1 or more, how often an epoch takes each training clip")
    if weights is None:
        return np.tile(np.arange(len(labels)), repeat)
    generator = np.random.default_rng(np.random.SeedSequence((seed, epoch)))
    taken = []
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        # Rounded, for 0.1 * 10 is to be 1.
        times = round(float(weights[label]) * repeat, 9)
        some = generator.permutation(len(members))[: int(times % 1 * len(members))]
        taken += [np.tile(members, int(times)), members[np.sort(some)]]
    places = np.concatenate(taken) if taken else np.empty(0, dtype=np.int64)
    if not len(places):
        raise InputError("data.class_prob leaves no training clip: every class that the split has gets 0")
    return places
