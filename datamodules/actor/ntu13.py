"""NTU13: 13 actions of NTU RGB+D 120 as estimated by VIBE, in the files that ACTOR distributed.

The folder holds `ntu_vibe_list.txt` (one relative path per line); each path is a joblib file whose entry 1 holds `pose`
[T,72] axis-angle and `joints3d` [T,49,3] metres. Camera convention: x right, y down, z away, 30 frames per second.
The set is no longer distributed. Source: ACTOR, section 4.1 and its published reader.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.errors import InputError
from components.files.safe_pickle import load_joblib
from datamodules.actor.clips import ClipPlan, MotionClips, cache_folder, check_skipped, open_clips, store_clips
from datamodules.actor.vibe import A2M_JOINTS, read_lines, select_joints, vibe_fault

LIST = "ntu_vibe_list.txt"
FPS = 30
# Number of the action in NTU RGB+D -> name, in the order of the labels.
NTU13_ACTIONS: dict[int, str] = {
    6: "pickup", 7: "throw", 8: "sitting_down", 9: "standing_up", 22: "cheer_up", 23: "hand_waving", 24: "kicking",
    38: "salute", 80: "squat_down", 93: "shake_fist", 99: "running_on_the_spot", 100: "butt_kicks", 102: "side_kick",
}  # fmt: skip
_LABELS = {action: label for label, action in enumerate(NTU13_ACTIONS)}
# The file name SsssCcccPpppRrrrAaaa.ext: person and action. The extension is four characters long.
_ACTION = re.compile(r"A(\d+).{4}$")
_PERSON = re.compile(r"P(\d{3})")


def open_ntu13(
    root: str | Path, num_classes: int = 13, on_error: Literal["skip", "raise"] = "raise", cache_dir: str | None = None
) -> MotionClips:
    """The clips of NTU13, 18 joints each; converted on first use.

    Training and evaluation clips are the same (published). Motions of one person are a group, for `val_fraction`.
    Files without the keys are left out, as published, and reported.

    Args:
        root: folder with `ntu_vibe_list.txt`.
        num_classes: 13.
        on_error: what a missing or broken file does: `raise` stops, `skip` leaves it out and says so.
        cache_dir: where the arrays go if the data folder is read-only.

    Raises:
        InputError: the list is missing or empty, or files are broken and `on_error=raise`.
    """
    if num_classes != len(NTU13_ACTIONS):
        raise InputError(f"data.num_classes={num_classes}: NTU13 has {len(NTU13_ACTIONS)} actions")
    listing = Path(root).expanduser() / LIST
    entries = read_lines(
        listing, "it lists one joblib file per line.\nGive the folder that holds it with data.root=<folder>"
    )
    files = [listing.parent / entry for entry in entries]
    present = [file for file in files if file.is_file()]
    folder = cache_folder(listing, ["ntu13", len(present)], cache_dir, "ntu13", present)
    if not (folder / "index.json").is_file():
        _convert(listing, entries, folder)
    clips = open_clips(folder)
    # Entries without a tracked person are part of the published set and never stop.
    broken = [entry for entry in clips.skipped if not entry.get("expected")]
    check_skipped(clips, listing, on_error if broken else "skip", "the list is empty")
    names = tuple(entries[place] for place in clips.sources.tolist())
    return replace(
        clips,
        action_names=tuple(NTU13_ACTIONS.values()),
        fps=FPS,
        names=names,
        groups=_people(names),
        group_kind="person",
    )


def _people(names: tuple[str, ...]) -> tuple[str, ...]:
    """Person of every clip; empty where file names do not tell."""
    found = [_PERSON.search(name.rsplit("/", 1)[-1]) for name in names]
    return tuple(match[0] for match in found if match) if all(found) else ()


def _convert(listing: Path, entries: list[str], folder: Path) -> None:
    plan: list[ClipPlan] = []
    content: list[tuple[np.ndarray, np.ndarray]] = []
    skipped: list[dict[str, Any]] = []
    for place, entry in enumerate(entries):
        try:
            label, poses, joints = _read(listing.parent / entry, entry)
        except _UntrackedError as error:
            skipped.append({"sample": place, "reason": f"{entry}: {error}", "expected": True})
        except InputError as error:
            reason = str(error).splitlines()[0]
            skipped.append({"sample": place, "reason": reason if entry in reason else f"{entry}: {reason}"})
        else:
            plan.append(ClipPlan(place, label, len(poses)))
            content.append((poses, select_joints(joints)))
    store_clips(folder, listing, plan, content, len(A2M_JOINTS), skipped)


class _UntrackedError(Exception):
    """The file has no motion of a person, which the published reader passes over."""


def _read(path: Path, entry: str) -> tuple[int, np.ndarray, np.ndarray]:
    """Label, poses `[T, 72]` and joints `[T, 49, 3]` of one file."""
    match = _ACTION.search(entry)
    if match is None or int(match[1]) not in _LABELS:
        raise InputError(f"its name has no action of NTU13 (A and one of {', '.join(map(str, _LABELS))})")
    people = load_joblib(path)
    try:
        person = people[1]
        poses, joints = person["pose"], person["joints3d"]
    except (LookupError, TypeError) as error:
        raise _UntrackedError("no person 1 with pose and joints3d") from error
    fault = vibe_fault(poses, joints)
    if fault is not None:
        raise InputError(fault)
    return _LABELS[int(match[1])], poses, joints
