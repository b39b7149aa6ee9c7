"""What `prepare` can do with synthetic films and skeletons, one function per set. Each writes only what is missing."""

from pathlib import Path

from entrypoints.preparations import Preparation


def synthetic_kinetics(
    folder: str,
    train_videos: int = 36,
    val_videos: int = 8,
    frames: int = 48,
    height: int = 192,
    width: int = 256,
    fps: float = 24.0,
    seed: int = 0,
    force: bool = False,
) -> Preparation:
    """Write films to train on in the layout of Kinetics.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    from components.synthetic.videos import KINETICS_CLASSES, write_kinetics
    from entrypoints.tasks.progress import progress

    fresh = write_kinetics(folder, train_videos, val_videos, frames, height, width, fps, seed, force, progress)
    lines = [
        f"{train_videos} synthetic videos to train and {val_videos} to validate on, "
        f"in {len(KINETICS_CLASSES)} classes, {frames} frames of {width} x {height} pixels each, seed {seed}"
    ]
    next_step = f"python -m entrypoints.train experiment=videowalk data.root={folder}"
    return Preparation(Path(folder).expanduser(), fresh, lines, next_step)


def synthetic_davis(
    folder: str,
    sequences: int = 6,
    frames: int = 24,
    height: int = 240,
    width: int = 432,
    seed: int = 0,
    force: bool = False,
) -> Preparation:
    """Write films with masks in the layout of DAVIS 2017.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    from components.synthetic.videos import write_davis
    from entrypoints.tasks.progress import progress

    fresh = write_davis(folder, sequences, frames, height, width, seed, force, progress)
    return _evaluation(folder, fresh, f"{sequences} synthetic sequences with masks", frames, width, height, seed)


def synthetic_jhmdb(
    folder: str,
    videos_per_action: int = 3,
    frames: int = 30,
    height: int = 240,
    width: int = 320,
    seed: int = 0,
    force: bool = False,
) -> Preparation:
    """Write films with joint positions in the layout of JHMDB.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    from components.synthetic.body_videos import JHMDB_ACTIONS, write_jhmdb
    from entrypoints.tasks.progress import progress

    fresh = write_jhmdb(folder, videos_per_action, frames, height, width, seed, force, progress)
    what = f"{len(JHMDB_ACTIONS) * videos_per_action} synthetic videos with joints"
    return _evaluation(folder, fresh, what, frames, width, height, seed)


def synthetic_vip(
    folder: str,
    videos: int = 6,
    frames: int = 20,
    height: int = 240,
    width: int = 432,
    seed: int = 0,
    force: bool = False,
) -> Preparation:
    """Write films with body parts in the layout of VIP.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    from components.synthetic.body_videos import write_vip
    from entrypoints.tasks.progress import progress

    fresh = write_vip(folder, videos, frames, height, width, seed, force, progress)
    return _evaluation(folder, fresh, f"{videos} synthetic videos with body parts", frames, width, height, seed)


def synthetic_skeletons(
    folder: str,
    train_clips: int = 30,
    val_clips: int = 8,
    test_clips: int = 12,
    view_angle: float = 75.0,
    seed: int = 0,
    force: bool = False,
) -> Preparation:
    """Write 2D skeletons of our body in action in pyskl's format.

    Raises:
        InputError: a number is out of range; the folder holds something else or cannot be written.
    """
    from components.synthetic.skeleton_clips import CLASS_TEXTS, SHEET, write_skeletons
    from entrypoints.tasks.progress import progress

    fresh = write_skeletons(folder, train_clips, val_clips, test_clips, view_angle, seed, force, progress)
    place = Path(folder).expanduser()
    lines = [
        f"{train_clips} synthetic clips to train, {val_clips} to validate and {test_clips} to test on "
        f"of each of {len(CLASS_TEXTS)} classes, seed {seed}",
        f"clips of each class to look at: {place / SHEET}",
    ]
    return Preparation(
        place, fresh, lines, f"python -m entrypoints.train experiment=skeletonclip_pacl data.root={folder}"
    )


def _evaluation(folder: str, fresh: bool, what: str, frames: int, width: int, height: int, seed: int) -> Preparation:
    lines = [f"{what}, {frames} frames of {width} x {height} pixels each, seed {seed}"]
    next_step = f"python -m entrypoints.evaluate run=<folder of a run> data.root={folder}"
    return Preparation(Path(folder).expanduser(), fresh, lines, next_step)
