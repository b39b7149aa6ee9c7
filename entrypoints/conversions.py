"""Published checkpoints into run folders of ours, and our weights out as safetensors."""

import errno
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbacks.machine import collect_versions
from components.errors import InputError
from components.files.atomic import atomic_path, write_json
from components.files.checkpoint_entry import CHECKPOINT_KEY
from components.files.json_files import read_json_object

if TYPE_CHECKING:
    from lightning import LightningModule

CARD = "card.json"
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Conversion:
    """What was written: the folder, lines for people, and the command that uses it."""

    folder: Path
    lines: list[str]
    next_step: str
    ignored: list[str] = field(default_factory=list)


def import_actor(
    checkpoint: str, output: str | None = None, output_dir: str = "outputs", force: bool = False
) -> Conversion:
    """Import `checkpoint_XXXX.pth.tar` of ACTOR as a run folder that `predict` and `evaluate` take.

    Args:
        checkpoint: the published file; `opt.yaml` beside it is read if it is there.
        output: run folder to write; None = `<output_dir>/converted/actor_<name of the file>`.
        output_dir: folder of all outputs.
        force: replace a run folder that exists.

    Raises:
        InputError: no file, no checkpoint, or one of another system or architecture; the output exists.
    """
    source = published_file(checkpoint, "ACTOR's checkpoint_XXXX.pth.tar")
    from lightning_modules.actor.upstream import convert_actor, key_report

    folder = run_folder(source, output, output_dir, "actor")
    converted = convert_actor(source)
    used, partly, ignored = key_report(source)
    entry = converted[CHECKPOINT_KEY]
    network = entry["config"]["model"]["net"]
    options = source.parent / "opt.yaml"
    imported = {
        "epoch": converted["epoch"],
        "options": options.name if options.is_file() else None,
        "used_keys": used,
        "partly_used_keys": partly,
        "ignored_keys": ignored,
    }
    module = write_run(folder, "actor", source, converted, imported, force)
    sizes = ", ".join(f"{key} {network[key]}" for key in ("num_classes", "latent_dim", "num_layers", "conditioning"))
    parameters = sum(parameter.numel() for parameter in module.parameters())
    lines = [
        f"{len(used) + len(partly)} keys taken over, {len(ignored)} constants not needed, none missing",
        f"{entry['experiment']} ({entry['facts']['architecture']}): {sizes}; {parameters:,} parameters, "
        f"epoch {converted['epoch']}",
        f"options: {options if options.is_file() else 'no opt.yaml there; sizes from the weights, else as published'}",
    ]
    return Conversion(folder, lines, f"python -m entrypoints.predict run={folder} task=generate", ignored)


def export_weights(checkpoint: str, output: str | None = None, force: bool = False) -> Conversion:
    """Export a run's weights: `weights.safetensors`, and `card.json` with config, facts, metrics and checksums.

    Args:
        checkpoint: run folder or checkpoint file of ours.
        output: folder to write; None = `export` in the run folder.
        force: replace an earlier export.

    Raises:
        InputError: no checkpoint of ours; the output exists.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from entrypoints.runs import load_run

    run = load_run(checkpoint)
    folder = Path(output).expanduser() if output else run.run_dir / "export"
    # safetensors refuses tensors that share memory; copies are whole and contiguous.
    weights = {name: value.detach().clone().contiguous() for name, value in run.checkpoint["state_dict"].items()}
    if not weights:
        raise InputError(f"{run.checkpoint_path} holds no weights")
    make_room(folder, (WEIGHTS, CARD), force)
    with atomic_path(folder / WEIGHTS) as temporary:
        try:
            save_file(weights, temporary, metadata={"format": "pt", "system": run.system})
        except SafetensorError as error:
            if "I/O error" not in str(error):
                raise
            # The words of a full disk come from Rust; `atomic_path` explains an OSError.
            raise OSError(errno.ENOSPC, "the weights could not be written whole (is the disk full?)") from error
    parameters = sum(value.numel() for value in weights.values())
    card = {
        "format": 1,
        "system": run.system,
        "experiment": run.experiment,
        "weights": WEIGHTS,
        "sha256": sha256_of(folder / WEIGHTS),
        "tensors": len(weights),
        "numbers": parameters,
        "source": {"file": run.checkpoint_path.name, "sha256": sha256_of(run.checkpoint_path)},
        "epoch": run.checkpoint.get("epoch"),
        "metrics": read_json_object(run.run_dir / "metrics.json") or {},
        "facts": run.facts,
        "config": run.config,
        "versions": collect_versions(),
    }
    write_json(folder / CARD, card)
    lines = [f"{len(weights)} tensors, {parameters:,} numbers, {(folder / WEIGHTS).stat().st_size / 2**20:.1f} MiB"]
    return Conversion(folder, lines, f"safetensors.torch.load_file('{folder / WEIGHTS}')")


def sha256_of(file: Path) -> str:
    """Checksum of a file, read in pieces."""
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def published_file(checkpoint: str, expected: str) -> Path:
    """The file to import.

    Raises:
        InputError: there is none; the message names what is `expected`.
    """
    source = Path(checkpoint).expanduser()
    if not source.is_file():
        raise InputError(f"checkpoint={checkpoint} is no file; expected {expected}")
    return source


def run_folder(source: Path, output: str | None, output_dir: str, kind: str) -> Path:
    """Where a published file goes: `output`, or a folder named after the file."""
    stem = source.name.removesuffix(".tar").removesuffix(".pth")
    return Path(output).expanduser() if output else Path(output_dir) / "converted" / f"{kind}_{stem}"


def write_run(
    folder: Path, kind: str, source: Path, checkpoint: dict[str, Any], imported: Mapping[str, Any], force: bool
) -> "LightningModule":
    """Write a converted checkpoint as a run folder: `checkpoints/best.ckpt` and `run.json`.

    Args:
        folder: of the run.
        kind: option of `source` that converts such files.
        source: the published file.
        checkpoint: what became of it, with the entry that the model is rebuilt from.
        imported: what was taken over.
        force: replace a run folder that exists.

    Returns:
        The module, rebuilt from the folder, in eval mode.

    Raises:
        InputError: the folder holds a run already.
    """
    from callbacks.checkpoints import WholeFileCheckpointIO
    from entrypoints.runs import load_module, load_run

    make_room(folder, ("checkpoints/best.ckpt",), force)
    WholeFileCheckpointIO().save_checkpoint(checkpoint, folder / "checkpoints" / "best.ckpt")
    module: LightningModule = load_module(load_run(folder))
    entry = checkpoint[CHECKPOINT_KEY]
    card = {
        "status": "imported",
        "error": None,
        "experiment": entry["experiment"],
        "command": f"python -m entrypoints.convert source={kind} checkpoint={source}",
        "overrides": [],
        "seed": None,
        "monitor": None,
        "imported": {"file": source.name, "sha256": sha256_of(source), **imported},
        "facts": entry["facts"],
        "versions": collect_versions(),
    }
    write_json(folder / "run.json", card)
    return module


def make_room(folder: Path, files: tuple[str, ...], force: bool) -> None:
    """Raise where a folder holds one of these files already, unless forced, or a training of the user.

    Raises:
        InputError: it does.
    """
    present = [name for name in files if (folder / name).exists()]
    if present and not force:
        raise InputError(f"output={folder} holds {', '.join(present)} already; replace it with force=true")
    if (folder / "checkpoints" / "last.ckpt").exists() and "checkpoints/best.ckpt" in files:
        raise InputError(f"output={folder} is a trained run of ours; choose another folder")
