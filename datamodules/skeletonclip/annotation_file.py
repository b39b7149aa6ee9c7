"""Which file of a folder has the annotations."""

from pathlib import Path

from components.errors import InputError


def annotation_file(root: Path, name: str | None) -> Path:
    """The annotation pickle.

    Args:
        root: the pickle itself, or its folder.
        name: of the pickle in the folder; None takes the only one there.

    Raises:
        InputError: it is not there, or the folder has several.
    """
    if root.is_file():
        return root
    if name is not None:
        named = root / Path(name).expanduser()
        if not named.is_file():
            raise InputError(
                f"data.root={root}: no '{name}' there (data.ann_file).\n"
                "Name the annotation pickle itself with data.root=<file>, or its folder and data.ann_file=<name>"
            )
        return named
    found = sorted([*root.glob("*.pkl"), *root.glob("*.pickle")])
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"data.root={root}: no annotation pickle (*.pkl) there.\n"
            "Name one with data.root=<file>, or make one: python -m entrypoints.prepare dataset=skeletons"
        )
    raise InputError(
        f"data.root={root} has {len(found)} pickles: {', '.join(path.name for path in found[:6])}.\n"
        "Choose one with data.ann_file=<name>"
    )
