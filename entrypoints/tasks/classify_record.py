"""What answers of task=classify depend on, and where they belong."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from datamodules.skeletonclip.sources import SourceItem
    from entrypoints.runs import LoadedRun
    from entrypoints.tasks.classify import Options

# Options that change no answer.
_NOT_RECORDED = (
    "input", "device", "output", "force", "batch_size", "clip_chunk", "top_k", "attention", "strip_frames", "on_error",
    "split",
)  # fmt: skip


def record_of(
    run: "LoadedRun", options: "Options", names: Sequence[str], read_as: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """What answers depend on, but for the clips."""
    from components.media.mask_sequences import fingerprint

    kept = {key: value for key, value in asdict(options).items() if key not in (*_NOT_RECORDED, "texts", "templates")}
    return {
        "run": str(run.checkpoint_path.resolve()),
        "checkpoint": fingerprint([run.checkpoint_path]),
        "classes": list(names),
        "texts": [list(own) for own in read_as],
        "options": kept,
    }


def place_of(run: "LoadedRun", options: "Options", record: dict[str, Any]) -> Path:
    """The folder of results; without `output=...` the same for the same source and settings, so that they go on."""
    if options.output is not None:
        target = Path(options.output).expanduser()
        if target.exists() and not target.is_dir():
            raise InputError(f"output={target} is a file; expected a folder")
        return target
    place = Path(str(options.input)).expanduser().resolve()
    content = json.dumps([record, str(place), options.split], sort_keys=True)
    return run.run_dir / "classified" / f"{place.stem}_{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def key_of(item: "SourceItem") -> str:
    """Stands for a clip and the state of the files that it is read from."""
    from components.media.mask_sequences import fingerprint

    return hashlib.sha256(f"{item.name}|{fingerprint(item.files)}".encode()).hexdigest()[:16]
