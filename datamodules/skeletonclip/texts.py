"""Class texts: what a skeleton clip is matched with. Shipped lists of known data sets, or a csv of the user's own."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from components.errors import InputError
from components.spelling import did_you_mean

Wording = Literal["corrected", "published", "infinitive"]

# Which file of `labels` holds which wording of a data set's class texts. `published` are the texts of the SkeletonCLIP
# and pyskl repositories, slips included (NTU "pointting", UCF "basketball bunk", HMDB's classes 20/21 and 44/45 with
# their texts exchanged, NTU-120 "hush (quite)"); `infinitive` is the wording of the first SkeletonCLIP ("drink water").
_FILES: dict[str, dict[str, str]] = {
    "ntu60": {"corrected": "ntu60", "published": "ntu60_published", "infinitive": "ntu60_infinitive"},
    "ntu120": {"corrected": "ntu120", "published": "ntu120_published"},
    "hmdb51": {"corrected": "hmdb51", "published": "hmdb51_published"},
    "ucf101": {"corrected": "ucf101", "published": "ucf101_published"},
}
_COLUMNS = (("id", "name"), ("index", "text"))
# Where the text goes in a sentence template.
_SLOT = "{}"


@dataclass(frozen=True)
class ClassTexts:
    """The texts of every class, in the order of the labels.

    Args:
        texts: L classes, each with one text or several; the first is the class's name.
        source: the list's name or file, for messages.

    Raises:
        InputError: a class without text, an empty text, or two equal ones.
    """

    texts: tuple[tuple[str, ...], ...]
    source: str = "data.label_file"

    def __post_init__(self) -> None:
        owners: dict[str, int] = {}
        for label, texts in enumerate(self.texts):
            if not texts or not all(text.strip() for text in texts):
                raise InputError(f"{self.source}: class {label} has no text")
            for text in texts:
                key = text.casefold()
                if key in owners:
                    where = f"class {label} twice" if owners[key] == label else f"the classes {owners[key]} and {label}"
                    raise InputError(f"{self.source}: '{text}' stands for {where}; every text must be of its own")
                owners[key] = label

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def plain(self) -> list[str | list[str]]:
        """Per class its text, or its texts where there are several: as configs and models take them."""
        return [own[0] if len(own) == 1 else list(own) for own in self.texts]

    @property
    def names(self) -> list[str]:
        """One text per class, for tables and pictures."""
        return [texts[0] for texts in self.texts]

    @property
    def flat(self) -> list[str]:
        """All texts, class after class."""
        return [text for texts in self.texts for text in texts]

    def label(self, name: str | int) -> int:
        """The class of a text or number.

        Raises:
            InputError: there is no such class.
        """
        if isinstance(name, int) and not isinstance(name, bool):
            if 0 <= name < len(self):
                return name
            raise InputError(f"there is no class {name}: {self.source} has {len(self)} (0..{len(self) - 1})")
        known = {text.casefold(): label for label, texts in enumerate(self.texts) for text in texts}
        label = known.get(str(name).strip().casefold())
        if label is None:
            hint = did_you_mean(name, self.flat)
            raise InputError(f"there is no class '{name}'{hint}: {self.source} begins with {', '.join(self.names[:6])}")
        return label

    def take(self, labels: Sequence[int]) -> "ClassTexts":
        """The texts of some classes, in the order given."""
        return ClassTexts(tuple(self.texts[label] for label in labels), self.source)

    def in_sentences(self, templates: Sequence[str]) -> "ClassTexts":
        """Every text put into every template, like `a person is {}`; no templates leave the texts as they are.

        Raises:
            InputError: a template has not exactly one `{}`.
        """
        for template in templates:
            if not isinstance(template, str) or template.count(_SLOT) != 1:
                raise InputError(
                    f"data.templates: {template!r} must have exactly one {_SLOT} for the class text, "
                    "like 'a person is {}'"
                )
        if not templates:
            return self
        filled = (
            tuple(template.replace(_SLOT, text) for text in texts for template in templates) for texts in self.texts
        )
        return ClassTexts(tuple(filled), self.source)


def load_class_texts(source: str | Path, wording: Wording = "corrected", templates: Sequence[str] = ()) -> ClassTexts:
    """Class texts of a known data set (`ntu60`, `ntu120`, `hmdb51`, `ucf101`) or of a csv file.

    Args:
        source: name or file. See `read_class_texts` for the file.
        wording: of a known data set: `corrected`, as `published` with its slips, or `infinitive` (ntu60 only).
        templates: sentences that each text is put into, see `ClassTexts.in_sentences`.

    Raises:
        InputError: neither a known name nor a readable file, or the texts are not usable.
    """
    if isinstance(source, str) and source in _FILES:
        files = _FILES[source]
        if wording not in files:
            raise InputError(f"data.wording={wording}: the texts of {source} come as {', '.join(files)}")
        texts = read_class_texts(Path(__file__).parent / "labels" / f"{files[wording]}.csv")
        return ClassTexts(texts.texts, f"the {wording} texts of {source}").in_sentences(templates)
    path = Path(source).expanduser()
    if not path.suffix and not path.exists():
        raise InputError(
            f"data.label_file={source} is neither a file nor a known data set{did_you_mean(source, _FILES)}.\n"
            f"Expected {', '.join(_FILES)}, or a csv with the columns id,name"
        )
    return read_class_texts(path).in_sentences(templates)


def read_class_texts(path: str | Path) -> ClassTexts:
    """Class texts of a csv with the columns `id,name` or `index,text`, one row per text.

    The number in a row decides, not its place; several rows with one number are several texts of that class.

    Raises:
        InputError: the file cannot be read, a number is missing or no number, a text is empty or stands twice.
    """
    path = Path(path).expanduser()
    texts: dict[int, list[str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            header = [name.strip() for name in rows.fieldnames or ()]
            columns = next((pair for pair in _COLUMNS if set(pair) <= set(header)), None)
            if columns is None:
                raise ValueError(f"its columns are {', '.join(header) or 'none'}")
            rows.fieldnames = header
            for row in rows:
                number, text = ((row[column] or "").strip() for column in columns)
                where = f"{path}, line {rows.line_num}"
                if row.get(None):  # type: ignore[call-overload]
                    raise InputError(f"{where}: a text with a comma must stand in double quotes")
                if not number.isdecimal():
                    raise InputError(f"{where}: '{number}' is no class number, expected 0, 1, 2, ...")
                if not text:
                    raise InputError(f"{where}: class {number} has no text")
                texts.setdefault(int(number), []).append(text)
    except InputError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise InputError(
            f"cannot read class texts from {path}: {reason}.\nExpected a csv with the columns id,name (or index,text)"
        ) from error
    if not texts:
        raise InputError(f"{path} has no class texts below its header")
    missing = next((label for label in range(len(texts)) if label not in texts), None)
    if missing is not None:
        raise InputError(f"{path} has no text for class {missing}, but one for class {max(texts)}; numbers run from 0")
    return ClassTexts(tuple(tuple(texts[label]) for label in range(len(texts))), str(path))


def check_labels(labels: np.ndarray, names: Sequence[str], texts: ClassTexts) -> None:
    """Raise an `InputError` that names the first clip whose label has no text.

    Args:
        labels: `[N]` class of every clip, -1 where there is none.
        names: of the clips.
        texts: of all classes.
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= len(texts)))
    if len(wrong):
        first = int(wrong[0])
        found = "no label" if labels[first] < 0 else f"label {int(labels[first])}"
        raise InputError(
            f"clip '{names[first]}' has {found}{f' (and {len(wrong) - 1} more)' if len(wrong) > 1 else ''}, "
            f"but {texts.source} has {len(texts)} classes (0..{len(texts) - 1}).\n"
            "Add the texts with data.label_file=<csv with id,name>, or mend the labels"
        )
