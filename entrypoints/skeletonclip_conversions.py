"""Published checkpoints of SkeletonCLIP++ and pyskl into run folders of ours."""

from pathlib import Path
from typing import Any, Literal

from components.errors import InputError
from components.spelling import did_you_mean
from entrypoints.conversions import Conversion, published_file, run_folder, write_run

_CONFIGS = Path(__file__).resolve().parents[1] / "conf" / "data"
# Of an option of `data`: what says which data they are, and not how they are read.
_KEPT = ("ann_file", "label_file", "train_split", "val_split", "test_split", "skeleton")


def import_skeletonclip(
    checkpoint: str,
    output: str | None = None,
    output_dir: str = "outputs",
    force: bool = False,
    variant: Literal["auto", "slowonly", "visece", "itm", "momentum", "pacl", "plus"] = "auto",
    data: str | None = None,
    label_file: str | None = None,
    tokenizer: str = "package",
    text_heads: int | None = None,
) -> Conversion:
    """Import a published checkpoint as a run folder that `evaluate` and `predict` take.

    Args:
        checkpoint: of pyskl (`backbone.*`, `cls_head.*`) or of SkeletonCLIP (`video_encoder.resnet.*`, ...).
        output: run folder to write; None = `<output_dir>/converted/skeletonclip_<name of the file>`.
        output_dir: folder of all outputs.
        force: replace a run folder that exists.
        variant: which model it is; auto tells by its layers.
        data: option of `data` that it was trained on, e.g. ntu60_skeletons; None = not known.
        label_file: class texts, as `data.label_file`; None = those of `data`.
        tokenizer: vocabulary of the text encoder: package, a folder or builtin.
        text_heads: attention heads of the text encoder; None = one per 64 channels.

    Raises:
        InputError: no file, none of these layouts, parts missing; the output exists.
    """
    source = published_file(checkpoint, "a checkpoint of pyskl or of SkeletonCLIP (.pth)")
    from datamodules.skeletonclip.texts import load_class_texts
    from lightning_modules.skeletonclip.imported import import_clip

    folder = run_folder(source, output, output_dir, "skeletonclip")
    known = {} if data is None else _data(data)
    labels = label_file or known.get("label_file")
    if label_file is not None:
        known["label_file"] = label_file
    texts = None if labels is None else [list(own) for own in load_class_texts(labels).texts]
    clip = import_clip(source, variant, tokenizer, text_heads, texts, known)
    imported = {
        "epoch": clip.checkpoint["epoch"],
        "variant": clip.variant,
        "used_keys": clip.taken,
        "ignored_keys": clip.ignored,
        "missing": clip.missing,
    }
    module = write_run(folder, "skeletonclip", source, clip.checkpoint, imported, force)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    absent = f"not in the file: {_some(clip.missing)} (starts afresh)" if clip.missing else "none missing"
    lines = [
        f"{len(clip.taken)} keys taken over, {len(clip.ignored)} ignored, {absent}",
        f"variant {clip.variant}: {parameters:,} parameters, epoch {clip.checkpoint['epoch']}; "
        "strides are not in a file, they are the published ones",
    ]
    if texts is None and clip.variant != "slowonly":
        lines.append("class texts unknown: source.data=ntu60_skeletons or source.label_file=<csv> names them")
    return Conversion(
        folder, lines, f"python -m entrypoints.evaluate run={folder} data.root=<folder of the pickle>", clip.ignored
    )


def _data(name: str) -> dict[str, Any]:
    """What an option of `data` says of the data themselves.

    Raises:
        InputError: no such option.
    """
    from omegaconf import OmegaConf

    options = sorted(file.stem for file in _CONFIGS.glob("*_skeletons*.yaml") if file.stem != "synthetic_skeletons")
    if name not in options:
        raise InputError(f"source.data={name}{did_you_mean(name, options)}: expected one of {', '.join(options)}")
    config = OmegaConf.to_container(OmegaConf.load(_CONFIGS / f"{name}.yaml"))
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items() if key in _KEPT}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
