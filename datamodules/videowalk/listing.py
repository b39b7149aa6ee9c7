"""Lists of sequences as the evaluation sets have them: text files with one name per line."""

from collections.abc import Sequence
from pathlib import Path

from components.errors import InputError
from components.spelling import did_you_mean


def read_names(file: Path) -> list[str]:
    """The lines of a list file without blanks at their ends; empty ones are left out.

    Raises:
        InputError: the file is missing, empty, or names a place outside of its data set.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error}); expected a list of sequences, a name per line") from error
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise InputError(f"{file}: no sequence in it; expected a name per line")
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            raise InputError(f"{file}: '{name}' leads out of the data set; expected the name of a sequence")
    return names


def chosen(names: Sequence[str], wanted: Sequence[str] | None, root: Path) -> list[str]:
    """The names that were asked for, in the order of the list; all where nobody asked.

    Raises:
        InputError: a name that is not in the list.
    """
    if wanted is None:
        return list(names)
    for name in wanted:
        if name not in names:
            raise InputError(
                f"sequences: '{name}' is not in the list of {root}{did_you_mean(name, names)}; "
                f"it has {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
            )
    return [name for name in names if name in set(wanted)]
