"""The texts that clips are classified by: of the user, of a file, of a known data set, or of the run itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun

# Between the texts of one class.
_SEVERAL = "|"


def wanted_texts(
    texts: Sequence[str] | str | None, templates: Sequence[str]
) -> tuple[list[str], list[list[str]]] | None:
    """Names of classes, and the texts of each as the model is to read them; None without `texts`.

    Raises:
        InputError: no text, an empty one or one that stands twice, a file that cannot be read, a template without {}.
    """
    from datamodules.skeletonclip.texts import ClassTexts, load_class_texts

    if texts is None:
        return None
    if isinstance(texts, str):
        path = Path(texts).expanduser()
        found = _from_lines(path) if path.suffix.lower() == ".txt" else load_class_texts(texts)
    else:
        if not texts:
            raise InputError("texts=[] asks for nothing; give some, like texts=[drink water,wave hands]")
        found = ClassTexts(tuple(_several(text) for text in texts), "texts")
    try:
        filled = found.in_sentences(templates)
    except InputError as error:
        raise InputError(str(error).replace("data.templates", "templates", 1)) from error
    return found.names, [list(own) for own in filled.texts]


def run_texts(run: "LoadedRun", module: Any) -> list[str]:
    """Names of the classes that a run was trained with.

    Raises:
        InputError: the checkpoint names none.
    """
    known = [own[0] for own in module.texts.texts] if hasattr(module, "texts") else []
    names = known or [str(name) for name in run.facts.get("class_names") or []]
    if not names:
        raise InputError(f"{run.checkpoint_path} names no classes; give them with texts=[...]")
    return names


def _from_lines(path: Path) -> Any:
    from datamodules.skeletonclip.texts import ClassTexts

    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeError) as error:
        raise InputError(f"texts={path} cannot be read: {error}") from error
    if not any(lines):
        raise InputError(f"texts={path} is empty; expected one class per line")
    return ClassTexts(tuple(_several(line) for line in lines if line), f"texts={path}")


def _several(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in str(text).split(_SEVERAL))
