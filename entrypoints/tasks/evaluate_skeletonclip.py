"""Evaluation of skeletonclip: clips of a split are matched with the class texts and scored, alone and with other runs.

Each sample is seen as several clips, each plain and mirrored; the class texts are read once.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints.config_check import Fault
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.options import check_types
from entrypoints.tasks.progress import progress

if TYPE_CHECKING:
    import numpy as np

    from entrypoints.runs import LoadedRun
    from entrypoints.tasks.skeleton_models import Model
    from entrypoints.tasks.skeleton_scores import Answers

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """The keys of `conf/protocol/skeletonclip.yaml`."""

    split: str | None = None
    clips: int | None = 10
    flip: bool | None = True
    clip_chunk: int = 20
    use_temperature: bool | None = None
    fuse: list[str] | None = None
    fuse_weights: list[float] | None = None
    curves: list[str] | None = None
    tsne_samples: int = 1000
    perplexity: float = 30.0
    tsne_steps: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class Prepared:
    """Whom to ask."""

    model: "Model"
    others: "dict[str, Model]"
    stored: "dict[str, tuple[list[str], np.ndarray, list[str] | None]]"
    """Scores of earlier evaluations."""
    curves: dict[str, Path]
    """Folders of runs whose curves are drawn."""


def faults(config: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the keys of `conf/protocol/skeletonclip.yaml`.

    Raises:
        ConfigError: values of other types.
    """
    check_types(f"{__name__}.Options", {key: config[key] for key in Options.__annotations__}, "evaluate")
    weights, models = config["fuse_weights"], 1 + len(config["fuse"] or [])
    rules = {
        "split": (config["split"] != "", "names no split; null takes the run's, all every clip"),
        "clips": (config["clips"] is None or 1 <= config["clips"] <= 1000, "must lie in 1..1000"),
        "clip_chunk": (config["clip_chunk"] >= 1, "must be at least 1, clips in the network at a time"),
        "fuse_weights": (
            weights is None
            or (models > 1 and len(weights) == models and all(each >= 0 for each in weights) and sum(weights) > 0),
            "expected a factor from 0 on for the run and each of fuse=[...], [2,1]",
        ),
        "tsne_samples": (0 <= config["tsne_samples"] <= 5000, "must lie in 0..5000"),
        "perplexity": (config["perplexity"] > 1, "must be above 1"),
        "tsne_steps": (1 <= config["tsne_steps"] <= 100000, "must lie in 1..100000"),
        "seed": (config["seed"] >= 0, "must not be negative"),
    }
    return [Fault(f"{key}={config[key]}", rule) for key, (fine, rule) in rules.items() if not fine]


def prepare(run: "LoadedRun", config: Mapping[str, Any], device: Any) -> Prepared:
    """Build the models and their data and hold them against each other.

    Raises:
        InputError: a run of another system or with other classes, an unknown or empty split, no data.
    """
    from entrypoints.runs import find_checkpoint, folder_of
    from entrypoints.tasks.skeleton_models import load_model, read_results

    model = load_model(str(run.checkpoint_path), config, device)
    others, stored = {}, {}
    for path in config["fuse"] or []:
        if path.endswith(".npz"):
            stored[path] = read_results(path)
            continue
        other = load_model(path, config, device)
        name = other.name if other.name != model.name and other.name not in others else path
        others[name] = other
        if other.class_names != model.class_names or other.unseen != model.unseen:
            raise InputError(
                f"fuse={path}: its {len(other.class_names)} classes ({', '.join(other.class_names[:4])}, ...) are not "
                f"the {len(model.class_names)} of the run ({', '.join(model.class_names[:4])}, ...);\n"
                "only scores of the same classes can be added"
            )
    drawn = {model.name: model.run.run_dir} | {name: other.run.run_dir for name, other in others.items()}
    for path in config["curves"] or []:
        folder = folder_of(find_checkpoint(path))
        drawn.setdefault(f"{folder.parent.name} {folder.name}", folder)
    return Prepared(model, others, stored, drawn)


def evaluate(run: "LoadedRun", config: dict[str, Any], device: Any, prepared: Prepared) -> Report:
    """Ask, score, fuse, draw.

    Args:
        run: what is evaluated.
        config: keys of `conf/evaluate.yaml` and of the protocol, and the `folder` of the results: `parts` in it keeps
            what is computed for the next time.
        device: of the networks.
        prepared: of `prepare`.

    Raises:
        InputError: a sample cannot be read, or runs of other samples are to be fused.
    """
    from entrypoints.tasks import skeleton_figures, skeleton_report
    from entrypoints.tasks.skeleton_fusion import add_fusion

    model, folder = prepared.model, Path(config["folder"]) / "parts"
    whole = _asked(model, folder, config, device)
    own = _own(model, whole)
    others = {name: _own(other, _asked(other, folder, config, device)) for name, other in prepared.others.items()}
    report = Report(f"{run.experiment} on {model.split}")
    judged = skeleton_report.judge_answers(own)
    figures = skeleton_report.add_run(report, judged, model.split)
    rows = [skeleton_report.score_row(model.name, figures, len(own.class_names), len(own.names))]
    scores = {name: (each.names, each.probabilities(), each.class_names) for name, each in others.items()}
    if scores or prepared.stored:
        given = {**scores, **prepared.stored}
        rows += add_fusion(report, judged, given, config["fuse_weights"])  # type: ignore[arg-type]
    title = f"Recognition of {model.split}: {len(own.class_names)} classes"
    # The headline comes first on the terminal.
    report.tables = {"recognition": skeleton_report.score_table(title, rows), **report.tables}
    if model.unseen:
        skeleton_report.add_unseen(report, whole, model.unseen)
    if hasattr(model.module, "with_texts"):
        _add_retrieval(report, own)
    samples = config["tsne_samples"]
    steps = config["tsne_steps"] if samples and len(own.names) >= skeleton_figures.FEWEST else 0
    with progress("t-SNE", steps) as told:
        skeleton_figures.add_features(
            report, own, samples, config["perplexity"], config["tsne_steps"], config["seed"], told
        )
    without = skeleton_figures.add_curves(report, prepared.curves)
    if len(without) < len(prepared.curves):
        for name in without:
            log.warning("%s has no metrics.csv, so no curve in figures/curves_of_runs.png", name)
    report.files["protocol.json"] = json.dumps(_facts(model, prepared, config), indent=2) + "\n"
    return report


def _asked(model: "Model", folder: Path, config: Mapping[str, Any], device: Any) -> "Answers":
    samples = len(model.datamodule.sample_names("test"))
    log.info(
        "%s on %s: %d samples of %d clips%s, %d classes",
        model.name, model.split, samples, model.datamodule.clips.test,
        ", each mirrored too" if model.datamodule.double_flip.test else "", len(model.class_names),
    )  # fmt: skip
    with progress("samples", samples) as told:
        return model.answers(folder, config["clip_chunk"], device, told)


def _own(model: "Model", answers: "Answers") -> "Answers":
    """What the run is judged by: with unseen classes these alone, as in its own test."""
    return answers.among(model.unseen) if model.unseen else answers


def _add_retrieval(report: Report, answers: "Answers") -> None:
    from components.metrics.retrieval import clips_of_texts, texts_of_clips
    from entrypoints.tasks.skeleton_report import add_retrieval

    similarities = answers.similarities()
    add_retrieval(
        report,
        {
            "text_to_clip": clips_of_texts(similarities, answers.labels),
            "clip_to_text": texts_of_clips(similarities, answers.labels),
        },
    )


def _facts(model: "Model", prepared: Prepared, config: Mapping[str, Any]) -> dict[str, Any]:
    data = model.datamodule
    return {
        "checkpoint": str(model.run.checkpoint_path),
        "annotations": str(data.ann_path),
        "synthetic": data.is_synthetic,
        "split": model.split,
        "samples": len(data.sample_names("test")),
        "clips": data.clips.test,
        "flip": data.double_flip.test,
        "classes": model.class_names,
        "unseen_classes": [model.class_names[label] for label in model.unseen],
        "fuse": [*(str(other.run.checkpoint_path) for other in prepared.others.values()), *prepared.stored],
        "fuse_weights": config["fuse_weights"],
        "clip_chunk": config["clip_chunk"],
        "temperature": model.temperature,
        "seed": config["seed"],
    }
