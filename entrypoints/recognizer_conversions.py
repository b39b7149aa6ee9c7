"""Published recognisers into run folders of ours."""

from pathlib import Path

from components.files.checkpoint_entry import CHECKPOINT_KEY
from entrypoints.conversions import Conversion, published_file, run_folder, write_run


def import_recognizer(
    checkpoint: str,
    output: str | None = None,
    output_dir: str = "outputs",
    force: bool = False,
    body: str | None = None,
) -> Conversion:
    """Import a published recogniser as a run folder that `evaluate` takes as `recognizer=` and as `run=`.

    Args:
        checkpoint: `humanact12_gru.tar`, `ntu13_gru.tar` or `uestc_rot6d_stgcn.tar`.
        output: run folder to write; None = `<output_dir>/converted/recognizer_<name of the file>`.
        output_dir: folder of all outputs.
        force: replace a run folder that exists.
        body: the user's SMPL file, which the published GRUs got their joints from; None = the packaged body.

    Raises:
        InputError: no file, no recogniser, a body that lacks joints; the output exists.
    """
    source = published_file(checkpoint, "humanact12_gru.tar, ntu13_gru.tar or uestc_rot6d_stgcn.tar")
    from entrypoints.runs import build_module
    from lightning_modules.actor.recognizer_upstream import ADJACENCY, convert_recognizer, read_recognizer

    folder = run_folder(source, output, output_dir, "recognizer")
    body = None if body is None else str(Path(body).expanduser().resolve())
    converted = convert_recognizer(source, body)
    entry = converted[CHECKPOINT_KEY]
    build_module(entry["config"])  # a body that lacks joints shows before anything is written
    kind, theirs, iteration = read_recognizer(source)
    ignored = [key for key in theirs if key == ADJACENCY]
    imported = {
        "iteration": iteration,
        "used_keys": [key for key in theirs if key not in ignored],
        "ignored_keys": ignored,
    }
    module = write_run(folder, "actor_recognizer", source, converted, imported, force)
    positions = entry["config"]["model"]["positions"]
    reads = "rotations (rot6d)" if positions is None else f"joints ({positions['jointstype']})"
    parameters = sum(parameter.numel() for parameter in module.parameters())
    lines = [
        f"{len(theirs) - len(ignored)} keys taken over, {len(ignored)} constants not needed, none missing",
        f"{entry['experiment']}: {kind}, {module.num_classes} classes, reads {reads}; {parameters:,} parameters",
    ]
    if positions is not None and body is None:
        lines.append("joints of the packaged body; published figures need those of SMPL: source.body=<SMPL file>")
    return Conversion(
        folder, lines, f"python -m entrypoints.evaluate run=<run of a generator> recognizer={folder}", ignored
    )
