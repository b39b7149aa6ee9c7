"""VIP (Video Instance-level Parsing) in its official layout: films with the body part of every pixel.

`Images/<video>/<frame>.jpg`, `Annotations/Category_ids/<video>/<frame>.png` (grey values are the classes) and
`lists/val_videos.txt`, in the folder itself or in `VIP_Fine` below it. Not every frame need be annotated; the first one
must be.
Source: Zhou et al. 2018 (arXiv:1808.00661).
"""

from collections.abc import Sequence
from pathlib import Path

from components.body.evaluation_names import VIP_CLASSES as VIP_CLASSES
from components.errors import InputError
from components.media.frame_sequences import open_frames
from components.media.mask_sequences import MaskSequence
from datamodules.videowalk.listing import chosen, read_names


def is_vip(root: str | Path) -> bool:
    """Whether a folder has the layout of VIP."""
    return (_base(Path(root)) / "Annotations" / "Category_ids").is_dir()


def read_vip(root: str | Path, split: str = "val", sequences: Sequence[str] | None = None) -> list[MaskSequence]:
    """The videos of a split, in the order of its list.

    Args:
        root: the folder with `Images`, `Annotations` and `lists`, or the one above (`VIP_Fine`).
        split: `lists/<split>_videos.txt` is read.
        sequences: names to take; None = the whole list.

    Raises:
        InputError: another layout, an unknown video, or a first frame without annotation.
    """
    root = Path(root).expanduser()
    base = _base(root)
    images, annotations, listed = (
        base / "Images",
        base / "Annotations" / "Category_ids",
        base / "lists" / f"{split}_videos.txt",
    )
    for place in (images, annotations, listed):
        if not place.exists():
            raise InputError(
                f"data.root={root} is not in the layout of VIP: {place.relative_to(base)} is missing.\n"
                f"Expected Images/<video>, Annotations/Category_ids/<video> and lists/{split}_videos.txt"
            )
    return [_sequence(name, images, annotations) for name in chosen(read_names(listed), sequences, root)]


def _base(root: Path) -> Path:
    return root / "VIP_Fine" if (root / "VIP_Fine").is_dir() else root


def _sequence(name: str, images: Path, annotations: Path) -> MaskSequence:
    frames = open_frames(images / name, name)
    files = [annotations / name / f"{path.stem}.png" for path in frames.frames]
    masks = tuple(path if path.is_file() else None for path in files)
    if masks[0] is None:
        raise InputError(f"{files[0]}: no such file; the first frame needs its annotation, it is what is carried on")
    if len([mask for mask in masks if mask is not None]) < 2:
        raise InputError(f"{annotations / name}: only the first frame is annotated, so nothing can be scored")
    return MaskSequence(frames, masks)
