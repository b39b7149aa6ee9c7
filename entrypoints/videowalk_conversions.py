"""Published encoders of videowalk and its peers into run folders of ours."""

from typing import Literal

from entrypoints.conversions import Conversion, published_file, run_folder, write_run


def import_videowalk(
    checkpoint: str,
    output: str | None = None,
    output_dir: str = "outputs",
    force: bool = False,
    layout: Literal["auto", "videowalk", "torchvision", "moco", "timecycle", "uvc"] = "auto",
) -> Conversion:
    """Import a published encoder as a run folder that `evaluate` and `predict` take.

    Args:
        checkpoint: `pretrained.pth` of the contrastive random walk, or a file of torchvision, MoCo v2, TimeCycle, UVC.
        output: run folder to write; None = `<output_dir>/converted/videowalk_<name of the file>`.
        output_dir: folder of all outputs.
        force: replace a run folder that exists.
        layout: how the file names its parameters; auto recognises it.

    Raises:
        InputError: no file, no encoder in it, or one that lacks parameters; the output exists.
    """
    source = published_file(
        checkpoint,
        "pretrained.pth of the contrastive random walk, or weights of torchvision, MoCo v2, TimeCycle or UVC",
    )
    from lightning_modules.videowalk.imported import import_walk

    folder = run_folder(source, output, output_dir, "videowalk")
    walk = import_walk(source, layout)
    imported = {
        "epoch": walk.checkpoint["epoch"],
        "layout": walk.layout,
        "used_keys": walk.taken,
        "ignored_keys": walk.ignored,
        "missing": walk.missing,
    }
    module = write_run(folder, "videowalk", source, walk.checkpoint, imported, force)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    absent = f"not in the file: {', '.join(walk.missing)} (features need neither)" if walk.missing else "none missing"
    lines = [
        f"{len(walk.taken)} keys taken over, {len(walk.ignored)} ignored, {absent}",
        f"layout {walk.layout}: {walk.title}; {parameters:,} parameters, epoch {walk.checkpoint['epoch']}",
    ]
    return Conversion(
        folder, lines, f"python -m entrypoints.evaluate run={folder} data.root=<folder of DAVIS>", walk.ignored
    )
