"""What `task=propagate` starts from: films, and the masks or joints of their first frames."""

import csv
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import InputError
from components.media.frame_sequences import PICTURE_SUFFIXES, Frames, FrameSequence, open_frames
from components.media.mask_sequences import VOID, late_objects
from components.media.masks import read_mask

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

# Frames per second of a folder of frames.
_FOLDER_FPS = 24.0
_MOST_JOINTS = 1000


@dataclass(frozen=True)
class Film:
    """One film with what its first frame shows: either masks or joints.

    Attributes:
        sequence: the frames.
        fps: frames per second of what is written.
        files: everything it was read from.
        ids: object ids of the first frame, uint8 `[H, W]`.
        palette: colours of the written masks, uint8 `[256, 3]`; None = those of DAVIS.
        later_masks: files of other frames; they are not used, only looked at for objects that the first lacks.
        joints: x and y of the first frame in pixels, float32 `[2, J]`.
        joint_names: one per joint.
    """

    sequence: Frames
    fps: float
    files: tuple[Path, ...]
    ids: "np.ndarray | None" = None
    palette: "np.ndarray | None" = None
    later_masks: tuple[Path, ...] = ()
    joints: "np.ndarray | None" = None
    joint_names: tuple[str, ...] = ()

    @property
    def objects(self) -> list[int]:
        """Ids of the objects of the first mask."""
        import numpy as np

        return [] if self.ids is None else [index for index in np.unique(self.ids).tolist() if index]

    def report_late_objects(self) -> None:
        """Say which objects come into view only later: nothing tells what they look like, so they are left out."""
        late = "" if self.ids is None else late_objects(self.ids, self.later_masks)
        if late:
            log.warning("%s: ids that the first mask does not have are ignored: %s", self.sequence.name, late)


def read_films(
    video: str,
    mask: str | None,
    joints: str | None,
    fps: float | None,
    sequences: Sequence[str] | None = None,
    split: str = "val",
    resolution: str = "480p",
) -> list[Film]:
    """The films of `video=...` with what is to be followed.

    Args:
        video: folder of frames, video file, or the root of a data set in the layout of DAVIS.
        mask: indexed PNG or folder of such.
        joints: csv or npz.
        fps: of what is written; None = that of the file.
        sequences: of a data set.
        split: of a data set.
        resolution: of a data set.

    Raises:
        InputError: something is missing or cannot be read, or does not fit together.
    """
    from components.media.video_frames import VideoFrames

    place = Path(video).expanduser()
    if not place.exists():
        raise InputError(
            f"video={video}: no such file or folder.\n"
            "Give a folder of frames, a video file, or a data set in the layout of DAVIS."
        )
    if (place / "JPEGImages").is_dir():
        if mask is not None or joints is not None:
            raise InputError(
                f"video={video} is a data set with masks of its own; leave mask and joints out,\n"
                f"or choose one of its films: video={place / 'JPEGImages' / resolution}/<film>"
            )
        return _data_set(place, fps, sequences, split, resolution)
    if sequences is not None:
        raise InputError(f"sequences={list(sequences)} chooses films of a data set, and video={video} is a single film")
    sequence: Frames
    if place.is_dir():
        folder = open_frames(place)
        sequence, files, rate = folder, folder.frames, fps or _FOLDER_FPS
    else:
        stream = VideoFrames(place)
        sequence, files, rate = stream, (place,), fps or stream.fps
    if (mask is None) == (joints is None):
        raise InputError(
            f"mask={mask}, joints={joints}: expected one of them, what is to be followed through {sequence.name}.\n"
            "Give mask=<indexed PNG of the first frame> or joints=<csv or npz>."
        )
    if joints is not None:
        points, names = read_joints(joints)
        return [Film(sequence, rate, (*files, Path(joints).expanduser()), joints=points, joint_names=names)]
    path = Path(str(mask)).expanduser()
    masks = open_frames(path).frames if path.is_dir() else (path,)
    return [_with_mask(sequence, rate, files, masks[0], masks[1:])]


def read_joints(path: str) -> "tuple[np.ndarray, tuple[str, ...]]":
    """Joints of one frame: float32 `[2, J]` and a name for each.

    Raises:
        InputError: no such file, another format, or no numbers.
    """
    file = Path(path).expanduser()
    expected = "Expected a csv with the columns x and y (and name), or an npz with joints [2, J] (and names)."
    if not file.is_file():
        raise InputError(f"joints={path}: no such file.\n{expected}")
    try:
        points, names = _joints_of_npz(file) if file.suffix == ".npz" else _joints_of_csv(file)
    except (OSError, ValueError, KeyError, TypeError, csv.Error, zipfile.BadZipFile) as error:
        raise InputError(f"joints={path}: cannot be read ({' '.join(str(error).split())}).\n{expected}") from error
    if points.ndim != 2 or points.shape[0] != 2 or not 1 <= points.shape[1] <= _MOST_JOINTS:
        raise InputError(f"joints={path}: has shape {list(points.shape)}, 1 to {_MOST_JOINTS} joints.\n{expected}")
    if len(names) not in (0, points.shape[1]):
        raise InputError(f"joints={path}: {points.shape[1]} joints and {len(names)} names.\n{expected}")
    return points, tuple(names) or tuple(f"joint_{index}" for index in range(points.shape[1]))


def _joints_of_npz(file: Path) -> "tuple[np.ndarray, list[str]]":
    import numpy as np

    with np.load(file, allow_pickle=False) as content:
        points = np.asarray(content["joints"], dtype=np.float32)
        return points, [str(name) for name in content["names"]] if "names" in content else []


def _joints_of_csv(file: Path) -> "tuple[np.ndarray, list[str]]":
    import numpy as np

    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    points = np.array([[float(row[axis]) for row in rows] for axis in ("x", "y")], dtype=np.float32)
    return points, [row["name"] for row in rows] if rows and "name" in rows[0] else []


def _data_set(
    root: Path, fps: float | None, sequences: Sequence[str] | None, split: str, resolution: str
) -> list[Film]:
    from datamodules.videowalk.listing import chosen, read_names

    images, annotations = root / "JPEGImages" / resolution, root / "Annotations" / resolution
    listed = root / "ImageSets" / "2017" / f"{split}.txt"
    for place in (images, annotations, listed):
        if not place.exists():
            raise InputError(
                f"video={root}: {place.relative_to(root)} is missing, which the layout of DAVIS has.\n"
                "Other folders and lists are chosen with resolution=... and split=..."
            )
    films = []
    for name in chosen(read_names(listed), sequences, root):
        frames: FrameSequence = open_frames(images / name, name)
        masks = [annotations / name / f"{path.stem}.png" for path in frames.frames]
        later = tuple(path for path in masks[1:] if path.is_file())
        films.append(_with_mask(frames, fps or _FOLDER_FPS, frames.frames, masks[0], later))
    return films


def _with_mask(sequence: Frames, fps: float, files: tuple[Path, ...], first: Path, later: tuple[Path, ...]) -> Film:
    import numpy as np

    if first.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"mask={first}: is no picture; give an indexed PNG whose values are object ids")
    mask = read_mask(first, sequence.size)
    ids = mask.ids
    if mask.palette is None and set(np.unique(ids).tolist()) <= {0, VOID}:
        log.info("%s is black and white: what is white is object 1", first.name)
        ids = (ids == VOID).astype(np.uint8)
    elif (ids == VOID).any():
        log.info("%s: id %d means that nobody knows; these pixels count as background", first.name, VOID)
        ids = np.where(ids == VOID, 0, ids).astype(np.uint8)
    if not ids.any():
        raise InputError(
            f"mask {first}: is empty, all pixels are background (0).\n"
            "Mark each object of the first frame with an id of its own from 1 on."
        )
    return Film(sequence, fps, (*files, first), ids, mask.palette, later)
