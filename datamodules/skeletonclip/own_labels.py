"""Classes of one's own clips: from a table, from their files, or from the folders that they lie in."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip
from components.spelling import did_you_mean
from datamodules.skeletonclip.texts import ClassTexts, load_class_texts


@dataclass(frozen=True)
class LabelTable:
    """Labels of a table by clip name, and what was wrong with it."""

    labels: dict[str, str] | None
    problems: list[str]


def read_label_table(path: str | None, names: Sequence[str]) -> LabelTable:
    """Labels from a csv with the columns name,label; names of files are as good as those of clips.

    Args:
        path: the table; None: there is none.
        names: the clips that there are.

    Raises:
        InputError: it cannot be read, has other columns, or names none of the clips.
    """
    if path is None:
        return LabelTable(None, [])
    try:
        with Path(path).expanduser().open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            if not {"name", "label"} <= set(rows.fieldnames or ()):
                raise InputError(f"dataset.labels={path}: expected the columns name,label; found {rows.fieldnames}")
            listed = [((row["name"] or "").strip(), (row["label"] or "").strip()) for row in rows]
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"dataset.labels={path}: cannot be read ({error})") from error
    known = set(names)
    labels: dict[str, str] = {}
    problems = []
    for name, label in listed:
        found = name if name in known else name.rpartition(".")[0]
        if found not in known:
            problems.append(f"{Path(path).name}: '{name}' is no clip{did_you_mean(name, known, 0.8)}")
        elif not label:
            problems.append(f"{Path(path).name}: '{name}' has no label")
        else:
            labels[found] = label
    if not labels:
        raise InputError(
            f"dataset.labels={path} names none of the {len(names)} clips; they are called like '{names[0]}'"
        )
    return LabelTable(labels, problems)


def label_clips(
    clips: Sequence[SkeletonClip], words: dict[str, str | None], table: dict[str, str] | None, label_file: str | None,
    problems: list[str], notes: list[str],
) -> tuple[list[SkeletonClip], ClassTexts | None]:  # fmt: skip
    """Clips with their classes, and the classes' texts; no texts where no clip has any class.

    The class of a clip is that of the table, else the one that its file states, else the first folder of its name.

    Args:
        clips: as they were read.
        words: by clip name the text of its class, where its file states one.
        table: labels by clip name, where there is a table; clips that it leaves out are left out.
        label_file: texts of the classes in the order of their labels; None: the names that were found, sorted.
        problems: gets a line for each clip that is left out.
        notes: gets what else should be known.

    Raises:
        InputError: some clips name their class and others number it, or no class of the texts has a clip.
    """
    given: dict[str, int | str] = {}
    for clip in clips:
        folder, slash, _ = clip.name.partition("/")
        word = words.get(clip.name)
        if table is not None:
            label: int | str | None = table.get(clip.name)
            if label is None:
                problems.append(f"{clip.name}: has no row in the table of labels")
        elif clip.label is not None:
            label = clip.label
        else:
            label = word if word is not None else folder if slash else None
        if isinstance(label, str) and label.isdecimal():
            label = int(label)
        if label is not None:
            given[clip.name] = label
    if not given:
        notes.append("no clip has a class: give dataset.labels=<csv with name,label>, or a folder for each class")
        return list(clips), None
    texts = load_class_texts(label_file) if label_file is not None else _own_texts(list(given.values()), notes)
    result = []
    for clip in clips:
        if clip.name not in given:
            if table is None:
                problems.append(f"{clip.name}: has no class")
            continue
        try:
            result.append(replace(clip, label=texts.label(_spelled(given[clip.name], texts))))
        except InputError as error:
            problems.append(f"{clip.name}: {error}")
    if not result:
        raise InputError("dataset.label_file has none of the classes of the clips, for example\n" + problems[-1])
    return result, texts


def _spelled(label: int | str, texts: ClassTexts) -> int | str:
    """A class as the texts write it: folders are often called `arm_wrestling`."""
    if isinstance(label, str) and label.casefold() not in {text.casefold() for text in texts.flat}:
        return label.replace("_", " ")
    return label


def _own_texts(labels: Sequence[int | str], notes: list[str]) -> ClassTexts:
    """Texts of classes that were found: words in the order of the alphabet, numbers as `class 3`."""
    words = sorted({label.replace("_", " ") for label in labels if isinstance(label, str)}, key=str.casefold)
    numbers = {label for label in labels if isinstance(label, int)}
    if words and numbers:
        raise InputError(
            f"some clips name their class ('{words[0]}'), others number it ({min(numbers)}); "
            "give dataset.label_file=<csv with id,name>"
        )
    if numbers:
        if max(numbers) >= 10_000:
            raise InputError(f"a clip has the label {max(numbers)}; numbers of classes run from 0 without gaps")
        notes.append("classes have numbers and no texts; give them with dataset.label_file=<csv with id,name>")
        words = [f"class {number}" for number in range(max(numbers) + 1)]
    return ClassTexts(tuple((word,) for word in words), "the classes of the clips")


def label_csv(texts: ClassTexts | None) -> str:
    """Texts as csv with the columns id,name."""
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["id", "name"])
    for label, several in enumerate(texts.texts if texts else ()):
        rows.writerows([label, text] for text in several)
    return table.getvalue()
