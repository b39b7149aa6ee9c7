"""Clips of videos that lie as folders of pictures: named in a list file, or found below a folder."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.media.clip_reader import broken_video
from components.media.frame_sequences import PICTURE_SUFFIXES, frame_files, read_picture


class FrameFolder(NamedTuple):
    """A video as a folder: its first `num_frames` pictures, in the order of the numbers in their names."""

    path: str
    num_frames: int


def clip_gap(num_frames: int, clip_len: int, gap: int) -> int:
    """Distance of a clip's frames: as asked for, or lowered until `clip_len * gap` frames fit; 0 at worst."""
    return min(gap, num_frames // clip_len)


class FrameClips:
    """Clips of frame folders: `clip_len` pictures, `frame_gap` apart, from any start (published rule of lists).

    A video too short for the gap gets the largest one that fits. One with fewer pictures than a clip has would give
    the same picture several times; a walk learns nothing from it, so that is refused.

    Args:
        folders: the videos.
        clip_len: pictures of a clip.
        frame_gap: distance of its pictures, frames.
        on_error: a video with fewer than `clip_len` pictures: `raise`, or `skip` it (it then has no clips).
        allow_repeated_frames: take clips of identical pictures from such a video, as published.
        skipped: folders that cannot be used, with the reason.
        root: folder of all; `keys` are the paths below it.

    Raises:
        InputError: a value out of range, or a video that is too short.
    """

    def __init__(
        self,
        folders: Iterable[FrameFolder],
        clip_len: int = 4,
        frame_gap: int = 8,
        on_error: Literal["skip", "raise"] = "skip",
        allow_repeated_frames: bool = False,
        skipped: Mapping[str, str] | None = None,
        root: str | Path = "",
    ) -> None:
        if clip_len < 1 or frame_gap < 1:
            raise InputError(
                f"data.clip_len={clip_len} and data.frame_gap={frame_gap} must be at least 1 picture and 1 frame"
            )
        self.folders = list(folders)
        self.keys = [_below(folder.path, Path(root)) for folder in self.folders]
        self.clip_len = clip_len
        self.skipped = dict(skipped or {})
        lengths = np.array([folder.num_frames for folder in self.folders], dtype=np.int64)
        self.gaps = np.array([clip_gap(length, clip_len, frame_gap) for length in lengths.tolist()], dtype=np.int64)
        # A clip takes clip_len * gap frames, the last of its gaps included.
        self._counts: np.ndarray = np.where(self.gaps > 0, lengths - clip_len * self.gaps + 1, 0)
        short = np.flatnonzero(self.gaps == 0)
        if allow_repeated_frames:
            self._counts[short] = lengths[short]
        elif len(short) and on_error == "raise":
            folder = self.folders[short[0]]
            raise InputError(
                f"{folder.path}: {folder.num_frames} pictures are fewer than data.clip_len={clip_len}, so a clip would "
                f"show the same ones again{_others(len(short))}.\nLower data.clip_len, leave such videos out with "
                "data.on_error=skip, or take them so with data.allow_repeated_frames=true"
            )

    @property
    def counts(self) -> np.ndarray:
        """Possible starts of a clip in every video, `[V]` int64."""
        return self._counts

    def name(self, video: int) -> str:
        """The folder."""
        return self.folders[video].path

    def read(self, video: int, clip: int) -> Tensor:
        """Pictures clip, clip + gap, ..., uint8 `[T, 3, H, W]`.

        Raises:
            BrokenVideoError: pictures are missing, unreadable or of different sizes.
        """
        path, num_frames = self.folders[video]
        numbers = [clip + int(self.gaps[video]) * step for step in range(self.clip_len)]
        try:
            files = frame_files(path)
            if len(files) < num_frames:
                raise broken_video(path, f"it holds {len(files)} pictures, {num_frames} were expected")
            frames = [torch.from_numpy(read_picture(files[number])) for number in numbers]
        except InputError as error:
            raise broken_video(path, str(error).splitlines()[0]) from error
        if any(frame.shape != frames[0].shape for frame in frames):
            raise broken_video(path, "its pictures have different sizes")
        return torch.stack(frames).permute(0, 3, 1, 2).contiguous()


def open_frames_of(root: str | Path, key: str = "data.root") -> tuple[list[FrameFolder], dict[str, str]]:
    """The videos of a list file or below a folder, and the folders that cannot be used with the reason.

    Raises:
        InputError: no such path, a malformed list, or no frame folders.
    """
    root = Path(root).expanduser()
    if root.is_file():
        return read_frame_list(root, key)
    if root.is_dir():
        return find_frame_folders(root, key)
    raise InputError(
        f"{key}={root}: no such file or folder.\n"
        "Give a list file (lines `folder number_of_frames`) or a folder that holds one folder of pictures per video"
    )


def read_frame_list(file: Path, key: str = "data.root") -> tuple[list[FrameFolder], dict[str, str]]:
    """Videos of a list, one line `folder number_of_frames` each; relative folders lie beside the list.

    Raises:
        InputError: the file is no such list or names no video.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{key}={file}: cannot be read as a list of frame folders ({error})") from error
    folders, missing = [], {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, count = (["", *line.rsplit(maxsplit=1)])[-2:]
        if not name or not count.isdecimal() or len(count) > 9 or "\0" in name:
            raise InputError(
                f"{key}={file}, line {number}: '{line.strip()[:80]}' is not `folder number_of_frames`,\n"
                "for example `videos/jump 120`"
            )
        path = str(file.parent / name.strip())
        if Path(path).is_dir():
            folders.append(FrameFolder(path, int(count)))
        else:
            missing[path] = "no such folder"
    if not folders and not missing:
        raise InputError(f"{key}={file}: the list is empty; expected lines `folder number_of_frames`")
    return folders, missing


def find_frame_folders(root: Path, key: str = "data.root") -> tuple[list[FrameFolder], dict[str, str]]:
    """Every folder at or below a root that holds pictures, sorted by path; only names are looked at.

    Raises:
        InputError: there is none.
    """
    folders, bad = [], {}
    for path, children, files in os.walk(root):
        children[:] = sorted(name for name in children if not name.startswith("."))
        if not any(name.lower().endswith(PICTURE_SUFFIXES) and not name.startswith(".") for name in files):
            continue
        try:
            folders.append(FrameFolder(path, len(frame_files(path))))
        except InputError as error:
            bad[path] = str(error).splitlines()[0].removeprefix(f"frames {path}: ").removesuffix(".")
    if not folders and not bad:
        raise InputError(
            f"{key}={root}: no pictures below it ({', '.join(suffix[1:] for suffix in PICTURE_SUFFIXES)}).\n"
            "Expected one folder per video with pictures named by number; for video files take data=kinetics_clips"
        )
    return folders, bad


def _below(path: str, root: Path) -> str:
    return Path(path).relative_to(root).as_posix() if Path(path).is_relative_to(root) else path


def _others(number: int) -> str:
    return f" ({number - 1} more videos like it)" if number > 1 else ""
