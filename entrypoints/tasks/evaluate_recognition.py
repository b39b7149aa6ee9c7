"""What a recogniser says about generated motions: the published protocol over seeds, its tables and pictures."""

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints.run_data import action_names, single_actions
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.progress import progress
from entrypoints.tasks.recognition_tables import published_rows, recognition_table

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun
    from lightning_modules.actor.protocol import ProtocolOptions, ProtocolResult, RealSplit
    from lightning_modules.actor.recognizer import RecognizerModule

log = logging.getLogger(__name__)

# Beside the results; what is in there is used again if nothing has changed.
SEEDS_FOLDER = "recognition_seeds"


def load_recognizer(
    path: str, names: list[str], where: str, key: str = "recognizer"
) -> "tuple[LoadedRun, RecognizerModule]":
    """A recogniser for motions of these classes.

    Args:
        path: run folder or checkpoint of a recogniser.
        names: classes of the motions, by label.
        where: the generator's run, for messages.
        key: what the user wrote the path behind, for messages.

    Raises:
        InputError: no recogniser, or one of other classes.
    """
    from entrypoints.runs import load_module, load_run

    try:
        run = load_run(path, system="actor")
    except InputError as error:
        raise InputError(str(error).replace("run=", f"{key}=", 1)) from error
    if not run.is_recognizer:
        raise InputError(
            f"{key}={path} is a run of {run.experiment}, which generates motions.\n"
            "Train a recogniser on the same data: python -m entrypoints.train experiment=actor_recognizer_gru"
        )
    module = load_module(run)
    ours, theirs = single_actions(names), single_actions(action_names(run))
    # Imported recognisers have names by convention only.
    same = len(ours) == module.num_classes if "imported_from" in run.facts else ours == theirs
    if not same:
        raise InputError(
            f"{key}={path}: its classes are {', '.join(theirs)},\nand those of run={where} are "
            f"{', '.join(ours)}.\nTrain a recogniser on the data of that run"
        )
    return run, module


@dataclass(frozen=True)
class Recognizing:
    """A recogniser that fits the motions of a generator.

    `seen` is the number of held-out clips of the generator that it trained on; None where that cannot be told.
    """

    run: "LoadedRun"
    module: Any
    seen: int | None


def prepare_recognizer(path: str, run: "LoadedRun", datamodule: Any, key: str = "recognizer") -> Recognizing:
    """Load a recogniser and hold it against the motions of a generator; warns where it knows clips held out there.

    Args:
        path: run folder or checkpoint of the recogniser.
        run: the generator's.
        datamodule: set up, of the generator's run.
        key: what the user wrote the path behind, for messages.

    Raises:
        InputError: no recogniser, other classes, or a pose format that the motions cannot be turned into.
    """
    import torch

    from lightning_modules.actor.pose_conversion import convert_motion

    recognizer_run, module = load_recognizer(path, list(datamodule.action_names), str(run.checkpoint_path), key)
    source = datamodule.pose_format
    nothing = torch.zeros(1, source.num_joints, source.num_feats, 1)
    convert_motion(nothing, torch.zeros(1, 1, dtype=torch.bool), source, module.pose_format)
    seen = datamodule.held_out_clips_in(recognizer_run.config.get("data") or {})
    if seen != 0:
        log.warning(
            "%s=%s trained on %s clips that the run %s holds out: figures of held-out clips look better than they are. "
            "Train both with the same data.val_fraction, split_seed and split_file",
            key, path, "possibly some" if seen is None else seen, run.run_dir,
        )  # fmt: skip
    return Recognizing(recognizer_run, module, seen)


def add_recognition(
    run: "LoadedRun",
    module: Any,
    datamodule: Any,
    judge: Recognizing,
    options: dict[str, Any],
    device: Any,
    report: Report,
) -> None:
    """Run the protocol and add metrics, tables, figures and files to the report.

    Args:
        run: the generator's run.
        module: its module, in evaluation mode on `device`.
        datamodule: set up, of the generator's run.
        judge: of `prepare_recognizer`; its module is moved to the device.
        options: `seeds`, `seed`, `num_seq_max`, `batch_size`, `ema`, `folder` (of the results).
        device: of both models.
        report: is added to.

    Raises:
        InputError: pose formats that do not fit, or the folder cannot be written.
    """
    from datamodules.actor.collate import collate_motions
    from lightning_modules.actor.protocol import ProtocolOptions, motions_per_seed, run_protocol
    from lightning_modules.actor.seed_store import SeedFiles, checksum

    recognizer = judge.module.to(device).eval()
    names = single_actions(datamodule.action_names)
    splits = real_splits(datamodule)
    sizes = ProtocolOptions(options["num_seq_max"], options["batch_size"])
    settings = {
        "generator": run.config.get("model"), "recognizer": judge.run.config.get("model"),
        "pose_format": str(datamodule.pose_format), "sizes": str(sizes), "device": device.type,
    }  # fmt: skip
    store = SeedFiles(Path(options["folder"]) / SEEDS_FOLDER, checksum([module.net, recognizer], splits, settings))
    seeds = range(options["seed"], options["seed"] + options["seeds"])
    ready = sum(store.load(seed) is not None for seed in seeds)
    if ready:
        log.info("%d of %d seeds are there already (%s)", ready, len(seeds), store.folder)
    with progress("recogniser", len(seeds) * motions_per_seed(splits, sizes)) as advance:
        result = run_protocol(
            module.net, recognizer, splits, datamodule.pose_format, collate_motions, len(names), seeds, sizes, device,
            store, names, advance,
        )  # fmt: skip
    _add_metrics(report, result, splits)
    synthetic = bool(getattr(datamodule, "is_synthetic", False))
    published = [] if synthetic else published_rows(names)
    report.tables["recognition"] = recognition_table(result, splits, published)
    report.files["recognition.json"] = _json(result, splits, sizes, run, judge, options["ema"])
    report.files[f"evaluation_metrics_{_epoch(run):04d}_all.yaml"] = published_yaml(result)
    _add_figures(report, result, splits, names, published)


def real_splits(datamodule: Any) -> "list[RealSplit]":
    """The real motions that are compared with: training motions, and held-out ones where the data have such.

    Frames are drawn by chance on either, as the protocol asks for.
    """
    import copy

    from lightning_modules.actor.protocol import RealSplit

    if not datamodule.splits.held_out:
        return [RealSplit(datamodule.train_set.originals)]
    test = copy.copy(datamodule.test_set.originals)
    test.centred = False
    return [RealSplit(datamodule.train_set.originals, "train"), RealSplit(test, "test")]


def _add_metrics(report: Report, result: "ProtocolResult", splits: "list[RealSplit]") -> None:
    from lightning_modules.actor.protocol import METRICS, SETS

    for split in splits:
        for which in SETS:
            for metric in METRICS:
                name = split.figure(metric, which)
                summary = result.summary(name)
                if math.isfinite(summary.mean):
                    report.metrics[f"eval/recognition/{name}"] = summary.mean
                if math.isfinite(summary.interval):
                    report.metrics[f"eval/recognition/{name}_interval"] = summary.interval


def _json(
    result: "ProtocolResult",
    splits: "list[RealSplit]",
    sizes: "ProtocolOptions",
    run: "LoadedRun",
    judge: Recognizing,
    ema: bool,
) -> str:
    """Everything, for other programs; no time stamps, so equal seeds give equal bytes."""
    summaries = {name: result.summary(name) for name in result.seeds[0].metrics}
    content = {
        "generator": str(run.checkpoint_path),
        "recognizer": str(judge.run.checkpoint_path),
        "held_out_clips_seen_by_recognizer": judge.seen,
        "weights": "average" if ema and run.has_average else "raw",
        "motions": {split.name or "all": min(len(split.motions), sizes.num_seq_max) for split in splits},
        "num_seq_max": sizes.num_seq_max,
        "batch_size": sizes.batch_size,
        "summary": {
            name: {"mean": each.mean, "interval": each.interval, "published_interval": each.published_interval}
            for name, each in summaries.items()
        },
        "seeds": [{"seed": each.seed, "metrics": each.metrics, "confusion": each.confusion} for each in result.seeds],
    }
    return json.dumps(_without_nan(content), indent=1, allow_nan=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def published_yaml(result: "ProtocolResult") -> str:
    """The figures of all seeds in the layout that the published table scripts read: `feats`, metric_set, strings."""
    import yaml

    names = sorted(result.seeds[0].metrics)
    return yaml.safe_dump({"feats": {name: [f"{each.metrics[name]:.6}" for each in result.seeds] for name in names}})


def _epoch(run: "LoadedRun") -> int:
    """Epochs that the generator trained."""
    epoch = run.checkpoint.get("epoch")
    if not isinstance(epoch, int):
        return 0
    # Lightning counts from 0, published files are named by how many there were.
    return epoch if "imported_from" in run.facts else epoch + 1


def _add_figures(
    report: Report, result: "ProtocolResult", splits: "list[RealSplit]", names: list[str], published: list[Any]
) -> None:
    def confusions(split: "RealSplit") -> Any:
        from entrypoints.tasks.class_figures import draw_confusions

        matrices = {
            title: result.confusion(split.figure("", which)) for title, which in (("real", "gt"), ("generated", "gen"))
        }
        return lambda: draw_confusions(matrices, names, split.name)

    def bars(split: "RealSplit") -> Any:
        from entrypoints.tasks.recognition_figures import draw_metric_bars

        return lambda: draw_metric_bars(result, split, published)

    for split in splits:
        ending = f"_{split.name}" if split.name else ""
        report.figures[f"recognition_confusion{ending}"] = confusions(split)
        report.figures[f"recognition_metrics{ending}"] = bars(split)
