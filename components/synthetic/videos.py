"""Synthetic stand-ins for Kinetics (films to train on) and DAVIS (films with masks to evaluate on).

The two share nothing: every film draws its colours, textures, outlines, people and ways from a stream of its own.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from components.errors import InputError
from components.media.masks import write_mask
from components.media.video import write_mp4
from components.progress import Progress, no_progress
from components.synthetic.curves import Draw
from components.synthetic.video_scenes import Casting, Film, draw_scene
from components.synthetic.video_sets import Item, write_set

_LIVELY = ("walk", "run", "jump", "warm_up", "boxing", "throw", "lift_dumbbell")
# Classes of the training films: what they show. Walks do not use the class; it only makes the folders.
KINETICS_CLASSES: dict[str, Casting] = {
    "crossing_sprites": Casting(sprites=4, distractors=0, radius=(0.14, 0.24), speed=1.2),
    "drifting_sprites": Casting(sprites=3, distractors=1, radius=(0.12, 0.20), speed=0.8),
    "exercising": Casting(sprites=1, people=2, distractors=1, actions=_LIVELY, tall=(0.7, 1.0), radius=(0.09, 0.15)),
    "people_and_sprites": Casting(sprites=2, people=1, distractors=1, actions=_LIVELY, radius=(0.10, 0.18)),
    "walking": Casting(sprites=0, people=2, distractors=1, actions=("walk", "run"), radius=(0.10, 0.16)),
    "zooming": Casting(sprites=3, people=0, distractors=1, zoom=1.8, light=1.2, radius=(0.12, 0.24)),
}
# Sequences of the evaluation films take these in turn.
_DAVIS: dict[str, Casting] = {
    "sprite": Casting(sprites=1, distractors=2, radius=(0.18, 0.24)),
    "walker": Casting(
        sprites=0, people=1, distractors=1, actions=("walk", "run"), tall=(0.7, 0.9), radius=(0.10, 0.16)
    ),
    "sprites": Casting(sprites=3, distractors=1, radius=(0.14, 0.20)),
    "company": Casting(sprites=2, people=1, distractors=0, actions=_LIVELY, tall=(0.7, 0.9), radius=(0.12, 0.18)),
    "pair": Casting(sprites=2, distractors=1, radius=(0.15, 0.24), zoom=1.5),
    "athletes": Casting(sprites=0, people=2, distractors=1, actions=_LIVELY, tall=(0.65, 0.9), radius=(0.10, 0.16)),
}
# Streams of random numbers, far from those of other synthetic data.
_TRAIN, _VAL, _EVALUATION = 50_001, 50_002, 50_003
# What a sequence must offer: shares of the picture, of the frames, and overlap of the first mask with later ones.
_LEAST_AREA, _LEAST_SEEN, _MOST_STILL = 0.006, 0.7, 0.5
# Films shorter than this cannot get that far: what they must offer shrinks with their length.
FULL_LENGTH = 16
_TRIES = 40


def write_kinetics(
    folder: str | Path,
    train_videos: int = 36,
    val_videos: int = 8,
    frames: int = 48,
    height: int = 192,
    width: int = 256,
    fps: float = 24.0,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Write films in the layout of Kinetics: `train_256/<class>/<video>.mp4` and `val_256/...`, H.264.

    Args:
        folder: made if missing.
        train_videos, val_videos: number of films; the classes take them in turn.
        frames: of each film.
        height, width: of the pictures, even.
        fps: frames per second that the files claim.
        seed: the same seed gives the same films.
        force: write it again even if it is there.
        progress: told of each film.

    Returns:
        Whether anything was written: a set with these settings is left as it is.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    check_counts(train_videos=(train_videos, 1), val_videos=(val_videos, 0), frames=(frames, 2))
    check_size(height, width)
    if not fps > 0:
        raise InputError(f"fps={fps}; synthetic films need a rate above 0")
    settings = dict(
        train_videos=train_videos, val_videos=val_videos, frames=frames, height=height, width=width, fps=fps, seed=seed
    )
    items = []
    for split, stream, count in (("train_256", _TRAIN, train_videos), ("val_256", _VAL, val_videos)):
        for index in range(count):
            group = list(KINETICS_CLASSES)[index % len(KINETICS_CLASSES)]
            place = f"{split}/{group}/{group}_{index:04d}.mp4"
            draw = (seed, stream, index)
            items.append(Item([place], partial(_write_film, place, draw, group, (height, width), frames, fps)))
    return write_set(folder, "synthetic_kinetics", settings, items, force=force, progress=progress)


def write_davis(
    folder: str | Path,
    sequences: int = 6,
    frames: int = 24,
    height: int = 240,
    width: int = 432,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Write films with masks in the layout of DAVIS 2017.

    `JPEGImages/480p/<sequence>/00000.jpg`, `Annotations/480p/<sequence>/00000.png` (indexed, 0 is background, one to
    three objects) and `ImageSets/2017/val.txt`. Every object is to be seen in the first frame and in most others, and
    moves so far that the first mask alone is a bad answer.

    Args:
        folder: made if missing.
        sequences: number of films.
        frames: of each film.
        height, width: of the pictures, even.
        seed: the same seed gives the same films.
        force: write it again even if it is there.
        progress: told of each film.

    Returns:
        Whether anything was written: a set with these settings is left as it is.

    Raises:
        InputError: as for `write_kinetics`.
    """
    check_counts(sequences=(sequences, 1), frames=(frames, 3))  # the first and the last are not scored
    check_size(height, width)
    settings = dict(sequences=sequences, frames=frames, height=height, width=width, seed=seed)
    kinds = list(_DAVIS)
    names = [f"{kinds[index % len(kinds)]}-{index:02d}" for index in range(sequences)]
    items = [
        Item(
            [f"JPEGImages/480p/{name}", f"Annotations/480p/{name}"],
            partial(_write_sequence, name, index, seed, (height, width), frames),
        )
        for index, name in enumerate(names)
    ]

    def finish(place: Path) -> None:
        lists = place / "ImageSets" / "2017"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / "val.txt").write_text("".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")

    return write_set(folder, "synthetic_davis", settings, items, finish, force, progress)


def kinetics_film(seeds: tuple[int, ...], group: str, size: tuple[int, int], frames: int) -> Film:
    """The film of a class of `KINETICS_CLASSES` that these seeds give."""
    return draw_scene(Draw(*seeds), KINETICS_CLASSES[group], size, frames).render()


def davis_film(seed: int, index: int, size: tuple[int, int], frames: int) -> Film:
    """The film of sequence `index`: the first of its stream whose objects are seen and move."""
    casting = list(_DAVIS.values())[index % len(_DAVIS)]
    film = None
    for attempt in range(_TRIES):
        # Later tries show larger and faster things, so that tiny pictures find a film too.
        eager = 1 + attempt / _TRIES
        wanted = replace(casting, speed=casting.speed * eager)
        film = draw_scene(Draw(seed, _EVALUATION, index, attempt), wanted, size, frames, side=2).render()
        if is_worthwhile(film.ids, casting.sprites + casting.people):
            return film
    raise InputError(
        f"no film of {frames} frames at {size[0]} x {size[1]} pixels shows all its objects moving; give more "
        "frames (frames) or larger pictures (height, width)"
    )


def is_worthwhile(ids: torch.Tensor, objects: int) -> bool:
    """Whether films of masks `[T, H, W]` show objects 1..n at the start, mostly later, and moving."""
    most_still = 1 - (1 - _MOST_STILL) * min(1.0, len(ids) / FULL_LENGTH)
    for number in range(1, objects + 1):
        own = ids == number
        area = own.flatten(1).float().mean(1)
        if area[0] < 2 * _LEAST_AREA or (area > _LEAST_AREA).float().mean() < _LEAST_SEEN:
            return False
        union = (own | own[0]).flatten(1).sum(1).clamp(min=1)
        still = ((own & own[0]).flatten(1).sum(1) / union)[1:].mean()
        if still > most_still:
            return False
    return True


def write_pictures(folder: Path, images: torch.Tensor, names: list[str]) -> None:
    """Save `[T, H, W, 3]` uint8 pictures under their names; JPEG without chroma subsampling, or PNG."""
    folder.mkdir(parents=True)
    for name, image in zip(names, images, strict=True):
        options: dict[str, Any] = {"quality": 95, "subsampling": 0} if name.endswith(".jpg") else {"compress_level": 1}
        Image.fromarray(image.numpy()).save(folder / name, **options)


def check_size(height: int, width: int) -> None:
    """Sides that the painter and every codec take.

    Raises:
        InputError: a side is odd or below 32 pixels.
    """
    for key, side in (("height", height), ("width", width)):
        if side < 32 or side % 2:
            raise InputError(f"{key}={side}; synthetic films need an even number of pixels, at least 32")


def check_counts(**numbers: tuple[int, int]) -> None:
    """Numbers of the config as (value, least value), by key.

    Raises:
        InputError: one is too small.
    """
    for key, (value, least) in numbers.items():
        if value < least:
            raise InputError(f"{key}={value}; synthetic films need at least {least}")


def _write_film(
    place: str, seeds: tuple[int, ...], group: str, size: tuple[int, int], frames: int, fps: float, folder: Path
) -> None:
    write_mp4(folder / place, kinetics_film(seeds, group, size, frames).images, fps)


def _write_sequence(name: str, index: int, seed: int, size: tuple[int, int], frames: int, folder: Path) -> None:
    film = davis_film(seed, index, size, frames)
    write_pictures(folder / "JPEGImages" / "480p" / name, film.images, [f"{at:05d}.jpg" for at in range(frames)])
    for at, ids in enumerate(film.ids):
        write_mask(folder / "Annotations" / "480p" / name / f"{at:05d}.png", np.asarray(ids))
