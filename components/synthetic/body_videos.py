"""Synthetic stand-ins for JHMDB (joints) and VIP (body parts): films of our own body, of which both are known."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from components.errors import InputError
from components.files.atomic import write_text
from components.files.mat_writer import write_mat
from components.progress import Progress, no_progress
from components.synthetic.curves import Draw
from components.synthetic.video_scenes import Casting, Film, Scene, draw_scene
from components.synthetic.video_sets import Item, write_set
from components.synthetic.videos import FULL_LENGTH, check_counts, check_size, is_worthwhile, write_pictures

JHMDB_ACTIONS: tuple[str, ...] = ("jump", "run", "throw", "walk")
_VIP_ACTIONS = ("walk", "run", "boxing", "throw", "warm_up", "lift_dumbbell")
# Of the films of an action every third is listed for training, as JHMDB's lists hold both.
_TRAINING_EVERY = 3
_JHMDB_STREAM, _VIP_STREAM = 50_004, 50_005
# Of the height: how far joints have to get from where they began, on average over joints and frames.
_LEAST_WAY = 0.05
_TRIES = 40


def write_jhmdb(
    folder: str | Path,
    videos_per_action: int = 3,
    frames: int = 30,
    height: int = 240,
    width: int = 320,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Write films with joints in the layout of JHMDB.

    `Rename_Images/<action>/<video>/00001.png`, `joint_positions/<action>/<video>/joint_positions.mat` (`pos_img`
    `[2, 15, F]`, pixels, the first pixel's centre is 1) and `splits/<action>_test_split1.txt` (`<video>.avi 1` for
    training, `2` for testing).

    Args:
        folder: made if missing.
        videos_per_action: films of each of the four actions; every third is listed for training.
        frames: of each film.
        height, width: of the pictures, even.
        seed: the same seed gives the same films.
        force: write it again even if it is there.
        progress: told of each film.

    Returns:
        Whether anything was written: a set with these settings is left as it is.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    check_counts(videos_per_action=(videos_per_action, 1), frames=(frames, 2))
    check_size(height, width)
    settings = dict(videos_per_action=videos_per_action, frames=frames, height=height, width=width, seed=seed)
    items, lists = [], dict[str, list[str]]()
    for kind, action in enumerate(JHMDB_ACTIONS):
        for index in range(videos_per_action):
            name = f"{action}_{index:03d}"
            images, joints = f"Rename_Images/{action}/{name}", f"joint_positions/{action}/{name}"
            seeds = (seed, _JHMDB_STREAM, kind, index)
            write = partial(_write_joints, images, joints, seeds, action, (height, width), frames)
            items.append(Item([images, joints], write))
            training = index % _TRAINING_EVERY == _TRAINING_EVERY - 1
            lists.setdefault(action, []).append(f"{name}.avi {1 if training else 2}\n")

    def finish(place: Path) -> None:
        for action, lines in lists.items():
            write_text(place / "splits" / f"{action}_test_split1.txt", "".join(lines))

    return write_set(folder, "synthetic_jhmdb", settings, items, finish, force, progress)


def write_vip(
    folder: str | Path,
    videos: int = 6,
    frames: int = 20,
    height: int = 240,
    width: int = 432,
    seed: int = 0,
    force: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Write films with body parts in the layout of VIP.

    `Images/videos<id>/000000000001.jpg`, `Annotations/Category_ids/videos<id>/000000000001.png` (grey pictures whose
    values count `VIP_CLASSES`) and `lists/val_videos.txt`.

    Args:
        folder: made if missing.
        videos: number of films, of one or two people.
        frames: of each film.
        height, width: of the pictures, even.
        seed: the same seed gives the same films.
        force: write it again even if it is there.
        progress: told of each film.

    Returns:
        Whether anything was written: a set with these settings is left as it is.

    Raises:
        InputError: as for `write_jhmdb`.
    """
    check_counts(videos=(videos, 1), frames=(frames, 2))
    check_size(height, width)
    settings = dict(videos=videos, frames=frames, height=height, width=width, seed=seed)
    names = [f"videos{index + 1}" for index in range(videos)]
    items = [
        Item(
            [f"Images/{name}", f"Annotations/Category_ids/{name}"],
            partial(_write_parts, name, (seed, _VIP_STREAM, index), (height, width), frames),
        )
        for index, name in enumerate(names)
    ]

    def finish(place: Path) -> None:
        write_text(place / "lists" / "val_videos.txt", "".join(f"{name}\n" for name in names))

    return write_set(folder, "synthetic_vip", settings, items, finish, force, progress)


def jhmdb_scene(seeds: tuple[int, ...], action: str, size: tuple[int, int], frames: int) -> Scene:
    """The first scene of a stream whose person begins inside the picture, stays there and moves."""
    casting = Casting(
        sprites=0, people=1, distractors=2, actions=(action,), tall=(0.68, 0.9), radius=(0.12, 0.2), speed=0.7,
        people_in_front=True,
    )  # fmt: skip
    least_way = _LEAST_WAY * size[0] * min(1.0, frames / FULL_LENGTH)
    limit = torch.tensor([size[1] - 1.0, size[0] - 1.0])
    for attempt in range(_TRIES):
        scene = draw_scene(Draw(*seeds, attempt), casting, size, frames, side=2)
        joints = scene.people[0].jhmdb_joints()
        inside = ((joints >= 0) & (joints <= limit)).all(-1)
        way = (joints - joints[0]).norm(dim=-1).mean()
        if inside[0].all() and inside.float().mean() > 0.97 and way > least_way:
            return scene
    raise InputError(_none_found(frames, size))


def vip_film(seeds: tuple[int, ...], size: tuple[int, int], frames: int) -> Film:
    """The first film of a stream whose people begin inside the picture and move."""
    casting = Casting(
        sprites=0, people=1 + seeds[-1] % 2, distractors=1, actions=_VIP_ACTIONS, tall=(0.75, 0.95), radius=(0.1, 0.17)
    )
    for attempt in range(_TRIES):
        film = draw_scene(Draw(*seeds, attempt), casting, size, frames, side=2).render()
        if is_worthwhile(film.ids, casting.people):
            return film
    raise InputError(_none_found(frames, size))


def _none_found(frames: int, size: tuple[int, int]) -> str:
    return (
        f"no film of {frames} frames at {size[0]} x {size[1]} pixels shows its people moving; give more frames "
        "(frames) or another size (height, width)"
    )


def _write_joints(
    images: str, joints: str, seeds: tuple[int, ...], action: str, size: tuple[int, int], frames: int, folder: Path
) -> None:
    scene = jhmdb_scene(seeds, action, size, frames)
    write_pictures(folder / images, scene.render().images, [f"{at:05d}.png" for at in range(1, frames + 1)])
    # [F, 15, 2] from 0 to [2, 15, F] from 1.
    positions = scene.people[0].jhmdb_joints().permute(2, 1, 0).double().numpy() + 1
    write_mat(folder / joints / "joint_positions.mat", "pos_img", positions)


def _write_parts(name: str, seeds: tuple[int, ...], size: tuple[int, int], frames: int, folder: Path) -> None:
    film = vip_film(seeds, size, frames)
    numbers = [f"{at:012d}" for at in range(1, frames + 1)]
    write_pictures(folder / "Images" / name, film.images, [f"{number}.jpg" for number in numbers])
    categories = folder / "Annotations" / "Category_ids" / name
    categories.mkdir(parents=True)
    for number, parts in zip(numbers, film.parts, strict=True):
        Image.fromarray(np.asarray(parts)).save(categories / f"{number}.png")
