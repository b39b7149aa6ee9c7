"""A synthetic action data set of 2D skeletons in pyskl's format: our body does twelve actions before random cameras.

People and cameras of the three splits have nothing in common. Joints are those of COCO, as a pose detector would give
them (`detector_noise`).
"""

import math
import shutil
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from components.errors import InputError
from components.files.atomic import write_text
from components.keypoints.annotations import SkeletonClip, SkeletonSet, read_skeleton_set, write_skeleton_set
from components.media.pictures import write_png
from components.progress import Progress, no_progress
from components.synthetic.actions import ACTIONS
from components.synthetic.curves import FPS, Draw
from components.synthetic.detector_noise import Detections, detect, stack_persons
from components.synthetic.performers import Performer, draw_performers
from components.synthetic.skeleton_people import draw_shape, idle, perform
from components.synthetic.skeleton_sheet import draw_sheet
from components.synthetic.skeleton_views import View, draw_view
from components.synthetic.video_sets import Item, write_set

# Texts of the classes, in the order of their labels.
CLASS_TEXTS: dict[str, str] = {
    "warm_up": "warm up",
    "walk": "walk",
    "run": "run",
    "jump": "jump",
    "drink": "drink water",
    "lift_dumbbell": "lift dumbbells",
    "sit": "sit down",
    "eat": "eat a meal",
    "turn_steering_wheel": "turn steering wheel",
    "phone": "make a phone call",
    "boxing": "boxing",
    "throw": "throw a ball",
}
ANNOTATIONS, LABELS, SHEET = "skeletons.pkl", "labels.csv", "overview.png"
# Number of people of each split; nobody is in two.
CASTS: dict[str, int] = {"train": 20, "val": 6, "test": 8}
FEWEST_FRAMES, MOST_FRAMES = 30, 100
# Changes when the same settings give other clips than before.
_VERSION = 1
# Streams of random numbers, far from those of other synthetic data.
_STREAMS: dict[str, int] = {"train": 60_001, "val": 60_002, "test": 60_003}
# Deeds that are done once: frames (20 per second) that a clip holds at least, from near their beginning. Anything else
# goes on and on, and a clip is any piece of it.
_ONCE: dict[str, int] = {"drink": 56, "phone": 44, "sit": 46, "throw": 50}
_SHORTEST, _LONGEST = 32, 72
# Probability that somebody else stands there too.
_COMPANY = 0.12


def write_skeletons(
    folder: str | Path,
    train_clips: int = 30,
    val_clips: int = 8,
    test_clips: int = 12,
    view_angle: float = 75.0,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Write a set in pyskl's format.

    `skeletons.pkl` holds the annotations with the splits train, val and test, `labels.csv` (`id,name`) number and text
    of each class, `overview.png` clips of each class to look at.

    Args:
        folder: made if missing.
        train_clips, val_clips, test_clips: clips of each of the twelve classes; 30 to 100 frames, 20 to 30 per
            second.
        view_angle: how far to the side of a person cameras may stand, degrees; 180 sees them from behind too.
        seed: the same seed gives the same clips.
        force: write it again even if it is there.
        progress: told of each class.

    Returns:
        Whether anything was written: a set with these settings is left as it is.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    counts = {"train": train_clips, "val": val_clips, "test": test_clips}
    for split, count in counts.items():
        if count < 1:
            raise InputError(f"{split}_clips={count}, expected at least 1 clip of each class")
    if not 0.0 <= view_angle <= 180.0:
        raise InputError(f"view_angle={view_angle:g}, expected degrees between 0 and 180")
    settings = {f"{split}_clips": count for split, count in counts.items()} | {"view_angle": view_angle, "seed": seed}
    items = [
        Item([f"parts/{action}.pkl"], partial(_write_class, action, counts, float(view_angle), seed))
        for action in ACTIONS
    ]
    return write_set(
        folder, "synthetic_skeletons", settings, items, _finish, force, progress, "skeletons", _VERSION
    )  # fmt: skip


def draw_clip(action: str, split: str, index: int, view_angle: float = 75.0, seed: int = 0) -> SkeletonClip:
    """One clip of the set: the `index`-th of an action and split, float16."""
    label = list(ACTIONS).index(action)
    draw = Draw(seed, _STREAMS[split], label, index)
    # People take turns, beginning with another one in each class.
    who = (index + label) % CASTS[split]
    number = who + sum(list(CASTS.values())[: list(CASTS).index(split)])
    performer, shape = _cast(split, seed)[who], draw_shape(seed + _STREAMS[split], who)
    fps = draw.uniform(20.0, 30.0)
    span = draw.integer(_ONCE.get(action, _SHORTEST), _LONGEST)
    start = draw.uniform(0.0, 3.0 if action in _ONCE else 25.0)
    frames = min(MOST_FRAMES, max(FEWEST_FRAMES, round(span * fps / FPS)))
    motion = perform(action, performer, shape, start, frames, fps, draw)
    view = draw_view(draw, motion.keypoints, view_angle)
    people = [detect(view.pixels(motion.keypoints), motion.hidden_from(view.eye), view.img_shape, draw)]
    if draw.chance(_COMPANY):
        people.append(_bystander(split, who, seed, frames, fps, motion.keypoints.mean((0, 1)), view, draw))
    keypoint, score = stack_persons(people)
    name = f"{action}_p{number:02d}_{split}{index:03d}"
    return SkeletonClip(name, label, keypoint, score, view.img_shape, frames)


def _bystander(
    split: str, who: int, seed: int, frames: int, fps: float, beside: Tensor, view: View, draw: Draw
) -> Detections:
    """Somebody else of the cast, who stands near the place `beside [3]` and does nothing."""
    cast = _cast(split, seed)
    other = (who + draw.integer(1, len(cast) - 1)) % len(cast)
    motion = idle(cast[other], draw_shape(seed + _STREAMS[split], other), frames, fps, draw)
    way = draw.uniform(0.9, 1.8) * (1 if draw.chance(0.5) else -1)
    place = torch.stack([beside[0] + way, torch.zeros(()), beside[2] - draw.uniform(0.3, 1.5)])
    motion = motion.placed(draw.uniform(-math.pi, math.pi), place)
    return detect(view.pixels(motion.keypoints), motion.hidden_from(view.eye), view.img_shape, draw)


@lru_cache(maxsize=len(CASTS))
def _cast(split: str, seed: int) -> list[Performer]:
    return draw_performers(CASTS[split], seed + _STREAMS[split])


def _write_class(action: str, counts: Mapping[str, int], view_angle: float, seed: int, folder: Path) -> None:
    """All clips of one class, as a set of their own."""
    splits = {
        split: [draw_clip(action, split, index, view_angle, seed) for index in range(count)]
        for split, count in counts.items()
    }
    names = {split: [clip.name for clip in clips] for split, clips in splits.items()}
    clips = [clip for members in splits.values() for clip in members]
    write_skeleton_set(folder / "parts" / f"{action}.pkl", SkeletonSet(clips, names))


def _finish(folder: Path) -> None:
    """Put the classes together."""
    parts = [read_skeleton_set(folder / "parts" / f"{action}.pkl") for action in ACTIONS]
    clips = [clip for part in parts for clip in part.clips]
    splits = {split: [name for part in parts for name in part.splits[split]] for split in CASTS}
    rows = [f"{label},{CLASS_TEXTS[action]}\n" for label, action in enumerate(ACTIONS)]
    write_text(folder / LABELS, "".join(["id,name\n", *rows]))
    shown = [part.clips[place] for part in parts for place in _shown(part)]
    write_png(folder / SHEET, draw_sheet(shown, [CLASS_TEXTS[action] for action in ACTIONS]))
    write_skeleton_set(folder / ANNOTATIONS, SkeletonSet(clips, splits))
    shutil.rmtree(folder / "parts")


def _shown(part: SkeletonSet) -> list[int]:
    """The clips of a class that stand in the picture: its first to train on and its first to test with."""
    names = [clip.name for clip in part.clips]
    return [names.index(part.splits[split][0]) for split in ("train", "test")]
