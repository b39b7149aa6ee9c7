"""DAVIS in its official layout: films with indexed masks of their objects.

`JPEGImages/480p/<sequence>/00000.jpg`, `Annotations/480p/<sequence>/00000.png`, `ImageSets/2017/val.txt`. The first
frame needs its mask; a set without the others (as of the challenge's test split) can be carried through, not scored.
Source: Pont-Tuset et al. 2017 (arXiv:1704.00675).
"""

from collections.abc import Sequence
from pathlib import Path

from components.errors import InputError
from components.media.frame_sequences import open_frames
from components.media.mask_sequences import MaskSequence
from datamodules.videowalk.listing import chosen, read_names


def is_davis(root: str | Path) -> bool:
    """Whether a folder has the layout of DAVIS."""
    return (Path(root) / "JPEGImages").is_dir() and (Path(root) / "ImageSets").is_dir()


def read_davis(
    root: str | Path,
    split: str = "val",
    year: int = 2017,
    resolution: str = "480p",
    sequences: Sequence[str] | None = None,
) -> list[MaskSequence]:
    """The sequences of a split, in the order of its list; every frame has a mask.

    Args:
        root: the folder with `JPEGImages`, `Annotations` and `ImageSets`.
        split: name of the list below `ImageSets/<year>`.
        year: 2016 or 2017.
        resolution: the folder below `JPEGImages` and `Annotations`.
        sequences: names to take; None = the whole list.

    Raises:
        InputError: another layout, an unknown sequence, a frame without mask, or masks that begin elsewhere.
    """
    root = Path(root).expanduser()
    images, annotations = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    listed = root / "ImageSets" / str(year) / f"{split}.txt"
    for place in (images, annotations, listed):
        if not place.exists():
            raise InputError(
                f"data.root={root} is not in the layout of DAVIS: {place.relative_to(root)} is missing.\n"
                f"Expected JPEGImages/{resolution}, Annotations/{resolution} and ImageSets/{year}/{split}.txt"
            )
    return [_sequence(name, images, annotations) for name in chosen(read_names(listed), sequences, root)]


def _sequence(name: str, images: Path, annotations: Path) -> MaskSequence:
    frames = open_frames(images / name, name)
    masks = tuple(annotations / name / f"{path.stem}.png" for path in frames.frames)
    missing = [path.name for path in masks if not path.is_file()]
    if missing:
        raise InputError(
            f"{annotations / name}: no mask for {len(missing)} of {len(masks)} frames, the first is {missing[0]}.\n"
            "Scores need a mask for each; leave the sequence out with sequences=[...], or use predict task=propagate"
        )
    return MaskSequence(frames, masks)
