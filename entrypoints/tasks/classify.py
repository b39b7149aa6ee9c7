"""task=classify: what people do in clips of skeletons or in videos, told by any list of texts."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import InputError
from components.files.atomic import check_writable
from components.stopwatch import Stopwatch
from entrypoints.config_check import Fault
from entrypoints.run_data import DATAMODULES
from entrypoints.tasks.classify_journal import Journal
from entrypoints.tasks.classify_record import key_of, place_of, record_of
from entrypoints.tasks.classify_report import Timing, show_results, write_attention, write_results
from entrypoints.tasks.classify_texts import run_texts, wanted_texts
from entrypoints.tasks.options import choose_device, raise_faults
from entrypoints.tasks.progress import progress

if TYPE_CHECKING:
    import numpy as np

    from components.keypoints.annotations import SkeletonClip
    from datamodules.skeletonclip.sources import Source, SourceItem
    from entrypoints.runs import LoadedRun

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 20.0


@dataclass(frozen=True)
class Options:
    """Keys of `conf/task/classify.yaml`, which explains them.

    Raises:
        ConfigError: values out of range, all of them together.
    """

    input: str | None = None
    kind: Literal["auto", "pickle", "coco", "openpose", "npz", "videos"] = "auto"
    split: str | None = None
    texts: list[str] | str | None = None
    templates: list[str] = ()  # type: ignore[assignment]
    top_k: int = 5
    calibrated: bool = True
    num_clips: int | None = None
    double_flip: bool | None = None
    max_persons: int = 2
    img_shape: list[int] | None = None
    third: Literal["z", "score"] = "z"
    pose: dict[str, Any] | None = None
    batch_size: int = 4
    clip_chunk: int = 20
    attention: int = 100
    strip_frames: int = 12
    on_error: Literal["skip", "raise"] = "skip"
    device: str = "auto"
    output: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.pose or {}) - {"python", "command"})
        rules = {
            "top_k": (self.top_k >= 1, "must be at least 1"),
            "num_clips": (self.num_clips is None or 1 <= self.num_clips <= 1000, "must lie in 1..1000"),
            "max_persons": (1 <= self.max_persons <= 100, "must lie in 1..100"),
            "batch_size": (self.batch_size >= 1, "must be at least 1"),
            "clip_chunk": (self.clip_chunk >= 1, "must be at least 1"),
            "attention": (self.attention >= 0, "must not be negative"),
            "strip_frames": (1 <= self.strip_frames <= 60, "must lie in 1..60"),
            "pose": (not unknown, f"unknown key '{', '.join(unknown)}'; expected python or command"),
        }
        faults = [Fault(f"{key}={getattr(self, key)}", rule) for key, (fine, rule) in rules.items() if not fine]
        if self.input is None:
            faults.append(
                Fault("source", "missing; give a .pkl, a COCO .json, a folder of OpenPose, npz files or videos")
            )
        raise_faults(faults, "task=classify")


def perform(run: "LoadedRun", options: Options) -> Path:
    """Classify every clip of the source; clips that are done already are left as they are.

    Returns:
        The folder with the results.

    Raises:
        InputError: bad input, or a folder that holds answers of other settings.
    """
    from entrypoints.runs import build_datamodule, load_module

    source = _open(options)
    device = choose_device(options.device)
    module = load_module(run).to(device)
    module, names, read_as = _with_texts(run, module, options)
    data = build_datamodule({**run.config, "data": _data(run, options)})
    record = record_of(run, options, names, read_as)
    target = place_of(run, options, record)
    check_writable(target.parent, "output")
    timing = Timing(Stopwatch(_synchronise(device)))
    with Journal(target, record, options.force) as journal:
        keys = {item.name: key_of(item) for item in source.items}
        waiting = [item for item in source.items if keys[item.name] not in journal.answers]
        if len(waiting) < len(source.items):
            log.info("%d of %d clips are done already in %s", len(source.items) - len(waiting), len(keys), target)
        problems = [f"{name}: {reason}" for name, reason in source.skipped.items()]
        if waiting:
            _classify(waiting, keys, module, data, options, device, names, target, journal, timing, problems)
        answers = [journal.answers[keys[item.name]] for item in source.items if keys[item.name] in journal.answers]
    if not answers:
        raise InputError(
            f"source={options.input}: none of {len(source.items)} clips can be used, for example\n"
            + "\n".join(problems[:2])
        )
    write_results(target, answers, names, options.top_k, record, problems, timing)
    show_results(answers, names, options.top_k, problems, timing)
    return target


def _open(options: Options) -> "Source":
    from components.keypoints.pose_estimation import estimator_command
    from datamodules.skeletonclip.sources import SourceOptions, open_source

    given = options.pose or {}

    def estimator() -> list[str]:
        return estimator_command(given.get("python"), given.get("command"))

    reading = SourceOptions(options.max_persons, options.img_shape, options.third, estimator, options.split)
    source = open_source(str(options.input), options.kind, reading)
    if source.kind == "videos":
        estimator()  # not there: said before any work
    if options.on_error == "raise" and source.skipped:
        name, reason = next(iter(source.skipped.items()))
        raise InputError(
            f"source={options.input}: {len(source.skipped)} clips are broken, for example\n{name}: {reason}"
        )
    return source


def _with_texts(run: "LoadedRun", module: Any, options: Options) -> tuple[Any, list[str], list[list[str]]]:
    """The module that knows the wanted texts, names of the classes, and the texts as they are read."""
    wanted = wanted_texts(options.texts, options.templates)
    if wanted is None:
        names = run_texts(run, module)
        if options.templates and hasattr(module, "with_texts"):
            wanted = wanted_texts(names, options.templates)
    if wanted is None:
        read_as = [list(own) for own in module.texts.texts] if hasattr(module, "texts") else [[name] for name in names]
        return module, names, read_as
    if not hasattr(module, "with_texts"):
        raise InputError(
            f"texts: {run.checkpoint_path} is a classifier, which knows the classes of its training alone.\n"
            "Leave texts and templates out, or take a run of a model with texts, e.g. experiment=skeletonclip_pacl"
        )
    names, read_as = wanted
    module = module.with_texts(read_as)
    if len(names) == 1:
        log.warning("there is one text only: its probability is always 1, look at the similarity")
    return module, names, read_as


def _data(run: "LoadedRun", options: Options) -> dict[str, Any]:
    """The run's data settings with what the options set; no file of theirs is needed."""
    # An imported run knows neither the class of its data nor where they are.
    imported = {"_target_": DATAMODULES["skeletonclip"]} if "_target_" not in run.config["data"] else {}
    data = {**run.config["data"], **imported, "synthetic": None, "synthetic_root": None, "num_workers": 0}
    data["root"] = data.get("root") or "."
    settings = "datamodules.skeletonclip.settings"
    changes = (("clips", "ClipCounts", options.num_clips), ("double_flip", "DoubleFlip", options.double_flip))
    for key, kind, value in changes:
        if value is not None:
            node = data.get(key) or {"_target_": f"{settings}.{kind}"}
            data[key] = {**node, "test": value}
    return data


def _classify(
    waiting: Sequence["SourceItem"], keys: dict[str, str], module: Any, data: Any, options: Options, device: Any,
    names: Sequence[str], target: Path, journal: Journal, timing: Timing, problems: list[str],
) -> None:  # fmt: skip
    from datamodules.skeletonclip.dataset import stack_persons
    from lightning_modules.skeletonclip.zero_shot import ZeroShotClassifier

    pipeline = data.pipelines["test"]
    classifier = ZeroShotClassifier(
        module.eval(), data.volumes["test"], pipeline.size, options.clip_chunk, options.calibrated, timing.watch
    )
    told = time.monotonic()
    with progress("classifying", len(waiting)) as advance:
        for batch in _batches(waiting, data, options, timing, problems, advance):
            with timing.watch("pipeline"):
                points, scores = stack_persons([(sample["keypoint"], sample["score"]) for _, _, sample in batch])
                points, scores = points.to(device), scores.to(device)
            pictures = options.attention > 0 and classifier.weighs_frames
            answers = classifier(points, scores, pictures)
            with timing.watch("scores"):
                probabilities = answers.probabilities.cpu().numpy()
                similarities = answers.similarities.cpu().numpy()
                attention = None if answers.attention is None else answers.attention.cpu().numpy()
            for place, (item, clip, _) in enumerate(batch):
                entry: dict[str, Any] = {
                    "key": keys[item.name],
                    "name": item.name,
                    "frames": clip.total_frames,
                    "persons": clip.num_persons,
                    "label": clip.label,
                    "probabilities": [round(float(value), 6) for value in probabilities[place]],
                    "similarities": [round(float(value), 6) for value in similarities[place]],
                }
                if attention is not None:
                    entry["weights"] = _per_frame(attention[place], clip.total_frames, pipeline)
                    if len(journal.answers) < options.attention:
                        with timing.watch("pictures"):
                            entry["picture"] = write_attention(
                                target, entry, clip, data.skeleton.limbs, names, options.strip_frames
                            )
                journal.add(entry)
            timing.clips += len(batch)
            advance(len(batch))
            if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
                told = time.monotonic()
                log.info("%d of %d clips, %s", timing.clips, len(waiting), timing)


def _batches(
    items: Sequence["SourceItem"], data: Any, options: Options, timing: Timing, problems: list[str], advance: Any
) -> Iterator[list[tuple["SourceItem", "SkeletonClip", Any]]]:
    """Clips that could be read, with their samples; others go to `problems`."""
    import numpy as np

    from components.keypoints.annotations import SkeletonSet
    from components.keypoints.joint_orders import fit_joints
    from components.keypoints.projection import in_pixels
    from datamodules.skeletonclip.dataset import SkeletonDataset

    batch: list[tuple[SourceItem, SkeletonClip, Any]] = []
    zero = np.zeros(1, dtype=np.int64)  # the label is not used
    for item in items:
        try:
            with timing.watch("read"):
                clip = fit_joints(item.read().clip, data.skeleton)
            with timing.watch("pipeline"):
                clip = in_pixels(SkeletonSet([clip], source=str(item.files[0])), data.camera).clips[0]
                sample = SkeletonDataset([clip], zero, data.pipelines["test"], data.heatmap.use_score)[0]
        except InputError as error:
            if options.on_error == "raise":
                raise InputError(f"{item.problem(str(error))}\n(on_error=skip leaves broken clips out)") from error
            problems.append(item.problem(str(error)))
            advance(1)
            continue
        problems += [f"{item.name}: {line}" for line in item.problems]
        batch.append((item, clip, sample))
        if len(batch) == options.batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _per_frame(weights: "np.ndarray", frames: int, pipeline: Any) -> list[float]:
    """Weights `[K, T']` of frame features as weights of the video's frames, mean 1; see `spread_weights`."""
    from components.keypoints.frame_weights import spread_weights
    from datamodules.skeletonclip.sampling import evaluation_frames

    indices = evaluation_frames(frames, pipeline.clip_len, pipeline.num_clips, pipeline.seed)
    return [round(float(value), 5) for value in spread_weights(weights, indices, frames)]


def _synchronise(device: Any) -> Any:
    """What waits for a device; None where it works at once."""
    import torch

    return torch.cuda.synchronize if device.type == "cuda" else None
