"""`prepare dataset=skeletons`: a set of skeleton clips from keypoint files or videos of one's own."""

from pathlib import Path
from typing import Any, Literal

from components.errors import InputError
from components.files.atomic import write_json
from entrypoints.preparations import REPORT, Preparation


def skeletons(
    source: str,
    output: str,
    kind: Literal["auto", "pickle", "coco", "openpose", "npz", "videos"] = "auto",
    labels: str | None = None,
    label_file: str | None = None,
    splits: str | None = None,
    val_ratio: float = 0.2,
    test_ratio: float = 0.0,
    seed: int = 0,
    skeleton: str = "coco17",
    max_persons: int = 2,
    img_shape: list[int] | None = None,
    third: Literal["z", "score"] = "z",
    min_frames: int = 2,
    pose: dict[str, Any] | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    force: bool = False,
) -> Preparation:
    """Write pyskl's annotation pickle, the class texts and a report.

    Raises:
        InputError: nothing to read, joints that do not fit the skeleton, a broken clip and `on_error=raise`, videos
            without a pose estimator, or the output cannot be written.
    """
    from components.keypoints.pose_estimation import estimator_command
    from components.keypoints.skeletons import load_skeleton
    from datamodules.skeletonclip.skeleton_builder import CARD, BuildOptions, build_skeleton_set
    from datamodules.skeletonclip.sources import SourceOptions, open_source
    from entrypoints.tasks.progress import progress

    place, given = Path(output).expanduser(), pose or {}
    unknown = sorted(set(given) - {"python", "command"})
    if unknown:
        raise InputError(f"dataset.pose.{unknown[0]}: unknown key; expected python or command")

    def estimator() -> list[str]:
        return estimator_command(given.get("python"), given.get("command"))

    joints = load_skeleton(skeleton)
    options = BuildOptions(labels, label_file, splits, val_ratio, test_ratio, seed, min_frames, on_error)
    reading = SourceOptions(max_persons, img_shape, third, estimator)
    found = open_source(source, kind, reading, "dataset.source")
    settings: dict[str, Any] = {"max_persons": max_persons, "img_shape": img_shape, "third": third}
    if found.kind == "videos":
        settings["pose"] = estimator()
    done = build_skeleton_set(found, place, joints, options, settings, force, progress)
    counts = dict(zip(done.class_names, done.clips_per_class))
    lines = [
        f"{sum(done.clips_per_split.values())} clips in splits ("
        + ", ".join(f"{split} {count}" for split, count in done.clips_per_split.items())
        + f"), {done.frames} frames, at most {done.persons} persons, {len(counts)} classes; {done.read} read now"
    ]
    lines += [f"  {label:2d} {name}: {count} clips" for label, (name, count) in enumerate(counts.items())]
    report = place / REPORT
    write_json(
        report,
        {
            "source": source,
            "kind": found.kind,
            "card": CARD,
            "clips_per_class": counts,
            "clips_per_split": done.clips_per_split,
            "problems": done.problems,
        },
    )
    changed = "" if skeleton == "coco17" else f" data.skeleton={skeleton}"
    changed += _chosen_splits([name for name, count in done.clips_per_split.items() if count])
    next_step = f"python -m entrypoints.train experiment=skeletonclip_pacl data=skeletons data.root={output}{changed}"
    return Preparation(place, done.fresh, lines, next_step, done.problems, report)


def _chosen_splits(names: list[str]) -> str:
    """Overrides for the splits of a set, where the config's `train` and `val` are not what it has.

    A pickle has names of its own: `train1` goes with `test1`, `xsub_train` with `xsub_val`.
    """
    train = "train" if "train" in names else next((name for name in names if "train" in name), names[0])
    held_back = next((twin for side in ("val", "test") if (twin := train.replace("train", side)) in names), train)
    wanted = {"train_split": train, "val_split": held_back, "test_split": held_back}
    usual = {"train_split": "train", "val_split": "val", "test_split": "val"}
    return "".join(f" data.{key}={name}" for key, name in wanted.items() if name != usual[key])
