"""JHMDB in its official layout: films of people with 15 joints in every frame.

`Rename_Images/<action>/<video>/00001.png`, `joint_positions/<action>/<video>/joint_positions.mat` (`pos_img`
`[2, 15, F]`, x and y in pixels from 1) and `splits/<action>_test_split1.txt` (`<video>.avi 2` for the test videos).
Source: Jhuang et al. 2013.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from components.body.evaluation_names import JHMDB_JOINTS
from components.errors import InputError
from components.files.mat_files import read_mat
from components.media.frame_sequences import FrameSequence, open_frames
from datamodules.videowalk.listing import chosen, read_names

_MARKS = {"train": "1", "test": "2"}
_VARIABLE = "pos_img"


@dataclass(frozen=True)
class JointSequence:
    """Frames and the joints of one person.

    Attributes:
        frames: as many as are annotated.
        joints: zero-based pixels, x above y, float64 `[2, 15, F]`.
        file: where the joints come from.
    """

    frames: FrameSequence
    joints: np.ndarray
    file: Path

    @property
    def name(self) -> str:
        """Of the film."""
        return self.frames.name

    def __len__(self) -> int:
        return len(self.frames)


def is_jhmdb(root: str | Path) -> bool:
    """Whether a folder has the layout of JHMDB."""
    return (Path(root) / "Rename_Images").is_dir() and (Path(root) / "joint_positions").is_dir()


def read_jhmdb(
    root: str | Path,
    split: Literal["train", "test"] = "test",
    number: int = 1,
    sequences: Sequence[str] | None = None,
) -> list[JointSequence]:
    """The videos of a split by action and name; split 1 has 268 test videos.

    Args:
        root: the folder with `Rename_Images`, `joint_positions` and `splits`.
        split: which half.
        number: of the split, 1 to 3.
        sequences: names to take; None = all.

    Raises:
        InputError: another layout, an unknown video, unreadable joints.
    """
    root = Path(root).expanduser()
    for place in ("Rename_Images", "joint_positions", "splits"):
        if not (root / place).is_dir():
            raise InputError(
                f"data.root={root} is not in the layout of JHMDB: {place} is missing.\n"
                "Expected Rename_Images, joint_positions and splits"
            )
    lists = sorted((root / "splits").glob(f"*_test_split{number}.txt"))
    if not lists:
        raise InputError(f"{root / 'splits'}: no <action>_test_split{number}.txt in it")
    places: dict[str, str] = {}
    for file in lists:
        action = file.name.removesuffix(f"_test_split{number}.txt")
        for line in read_names(file):
            name, _, mark = line.rpartition(" ")
            if mark == _MARKS[split]:
                places[name.strip().removesuffix(".avi")] = action
    if not places:
        raise InputError(f"{root / 'splits'}: no line ends in {_MARKS[split]}, so no video is of the {split} split")
    return [_sequence(root, places[name], name) for name in chosen(list(places), sequences, root)]


def _sequence(root: Path, action: str, name: str) -> JointSequence:
    frames = open_frames(root / "Rename_Images" / action / name, name)
    file = root / "joint_positions" / action / name / "joint_positions.mat"
    variables = read_mat(file)
    joints = variables.get(_VARIABLE)
    if joints is None:
        found = ", ".join(sorted(variables)) or "no numbers"
        raise InputError(f"{file}: no variable '{_VARIABLE}' in it; it has {found}")
    if joints.shape[:2] != (2, len(JHMDB_JOINTS)) or joints.ndim != 3 or not np.isfinite(joints).all():
        raise InputError(
            f"{file}: {_VARIABLE} has shape {list(joints.shape)}; expected finite numbers [2, {len(JHMDB_JOINTS)}, "
            "frames]"
        )
    count = min(len(frames), joints.shape[2])
    if count < 2:
        raise InputError(f"{file}: {count} annotated frames; the first one is given, so 2 are needed")
    # Frames beyond the annotation would be carried for nothing.
    return JointSequence(
        FrameSequence(name, frames.frames[:count], frames.expected_size), joints[:, :, :count] - 1, file
    )
