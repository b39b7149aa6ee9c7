"""Evaluation of actor and actor_mix: how motions move, and with a recogniser what they are taken for."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints.run_data import action_names, check_actions
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value, finite_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from entrypoints.runs import LoadedRun
    from entrypoints.tasks.evaluate_pairs import PairPlan
    from entrypoints.tasks.evaluate_recognition import Recognizing
    from lightning_modules.actor.evaluation import MotionStatistics, Reconstruction
    from lightning_modules.actor.generation import ActionPair

log = logging.getLogger(__name__)

_REAL, _GENERATED = "#94a3b8", "#2b6cb0"


@dataclass(frozen=True)
class Judges:
    """What motions are judged with beyond how they move; None where nobody asked."""

    recognizer: "Recognizing | None" = None
    pairs: "PairPlan | None" = None


def prepare(run: "LoadedRun", module: Any, datamodule: Any, options: Mapping[str, Any]) -> Judges:
    """Load recognisers and hold all options against run and data.

    Args:
        run: what is evaluated.
        module: its module.
        datamodule: set up for testing.
        options: `recognizer`, `pair_recognizer` (runs, or None), `pairs` (names, or None), `max_pairs`.

    Raises:
        InputError: other actions than the run's, unknown pairs, pairs of a model that knows none, an unfit recogniser.
    """
    from entrypoints.tasks.evaluate_pairs import plan_pairs
    from entrypoints.tasks.evaluate_recognition import prepare_recognizer

    check_actions(run, datamodule, action_names(run))
    if run.is_recognizer:
        if options["recognizer"] is not None:
            raise InputError(
                f"run={run.checkpoint_path} is a recogniser itself.\n"
                "Evaluate it without recognizer=..., or name the run of a generator as run=..."
            )
        if options["pairs"] is not None:
            raise InputError(f"pairs={options['pairs']}: a recogniser makes no motions; leave it out")
        return Judges()
    if options["pairs"] is not None and module.net.sizes.conditioning == "single" and not datamodule.pairs:
        raise InputError(
            "pairs: this model was trained on single actions.\nUse a run of experiment=actor_mix for pairs"
        )
    if options["recognizer"] is None:
        if options["pairs"] is not None:
            plan_pairs(run, module.net, datamodule, None, options)
        return Judges()
    recognizer = prepare_recognizer(options["recognizer"], run, datamodule)
    return Judges(recognizer, plan_pairs(run, module.net, datamodule, recognizer, options))


def evaluate(
    run: "LoadedRun", module: Any, datamodule: Any, options: dict[str, Any], device: Any, judges: Judges
) -> Report:
    """Reconstruction, statistics of generated motions, and with `recognizer` the published protocol.

    Args:
        run: what is evaluated; the run of a recogniser gets figures of its own.
        module: its module, in evaluation mode on `device`.
        datamodule: set up for testing.
        options: `samples` (generated motions per class), `seed`, `pairs` (names, or None for telling ones),
            and what the protocol needs, see `add_recognition`.
        device: of the module.
        judges: of `prepare`.

    Raises:
        InputError: an empty split.
    """
    from entrypoints.tasks.evaluate_pairs import evaluate_pairs
    from entrypoints.tasks.evaluate_recognition import add_recognition
    from entrypoints.tasks.evaluate_recognizer import evaluate_recognizer

    if run.is_recognizer:
        return evaluate_recognizer(run, module, datamodule)
    report = _evaluate_motions(run, module, datamodule, options, device)
    if judges.recognizer is None:
        log.info(
            "FID, KID, accuracy, diversity and multimodality need a recogniser: train one on the same data with "
            "python -m entrypoints.train experiment=actor_recognizer_gru, then add recognizer=<its run folder>"
        )
        return report
    add_recognition(run, module, datamodule, judges.recognizer, options, device, report)
    if judges.pairs is not None:
        evaluate_pairs(module, datamodule, judges.recognizer, judges.pairs, options, device, report)
    return report


def _evaluate_motions(run: "LoadedRun", module: Any, datamodule: Any, options: dict[str, Any], device: Any) -> Report:
    """What needs no recogniser."""
    from components.body.loader import load_body
    from lightning_modules.actor import evaluation as measure
    from lightning_modules.actor.generation import ActionPair, parse_actions

    names = list(datamodule.action_names)
    net, pose_format = module.net, datamodule.pose_format
    body = load_body().to(device)
    samples, seed, fps = options["samples"], options["seed"], float(datamodule.fps)

    baseline = measure.mean_pose(item["motion"] for item in _items(datamodule.train_set))
    batches = datamodule.test_dataloader()
    errors = measure.evaluate_reconstruction(net, batches, baseline, pose_format, body, module.body)
    real = measure.real_statistics(
        ((item["motion"], item["action"]) for item in _items(datamodule.train_set)),
        len(names), samples, pose_format, body, fps,
    )  # fmt: skip
    frames = net.sizes.usual_frames
    settings = (frames, samples, pose_format, body, fps, seed, names)
    singles = [ActionPair(label, label) for label in range(len(names))]
    generated = measure.generated_statistics(net, singles, *settings)
    report = Report(f"{run.experiment}: {run.checkpoint_path}")
    _add_reconstruction(report, errors, names, net.samples)
    _add_generation(report, names, real, generated)
    if net.sizes.conditioning == "pair":
        pairs = measure.telling_pairs(real)
        if options["pairs"] is not None:
            pairs = parse_actions(options["pairs"], names)
        _add_pairs(report, names, pairs, real, generated, measure.generated_statistics(net, pairs, *settings))
    return report


def _items(dataset: Any) -> Any:
    # Indexing keeps the order and needs no loader; a plain index draws with seed 0.
    return (dataset[index] for index in range(len(dataset)))


def _add_reconstruction(report: Report, errors: "Reconstruction", names: list[str], samples: bool) -> None:
    """Table, metrics and bars of the reconstruction; latents of an autoencoder (`samples` is false) have no KL."""
    terms = errors.terms
    ratio = errors.by_class("rc") / errors.by_class("rc_mean_pose")
    overall_ratio = errors.overall("rc") / errors.overall("rc_mean_pose")
    rows: list[list[Value]] = []
    for label, name in enumerate(names):
        clips = int(errors.clips[label])
        rows.append([name, clips, *(float(errors.by_class(term)[label]) for term in terms), float(ratio[label])])
    rows.append(["all", int(errors.clips.sum()), *(errors.overall(term) for term in terms), overall_ratio])
    report.tables["reconstruction"] = Table(
        "Reconstruction of the test split", ["action", "clips", *terms, "rc / mean pose"], rows
    )
    report.metrics |= {f"eval/{term}": errors.overall(term) for term in terms}
    report.metrics |= {
        "eval/rc_to_mean_pose": overall_ratio,
        "eval/mpjpe_to_mean_pose": errors.overall("mpjpe_mm") / errors.overall("mpjpe_mean_pose_mm"),
    }
    if samples:
        report.metrics |= {"eval/kl_per_dim": errors.kl_per_dim(), "eval/active_dims": float(errors.active_dims())}
    seen = [row for row in rows[:-1] if row[1]]
    report.metrics |= {f"eval/rc/{row[0]}": float(row[2]) for row in seen}
    report.metrics |= {f"eval/mpjpe_mm/{row[0]}": float(row[2 + terms.index("mpjpe_mm")]) for row in seen}

    def draw() -> "Figure":
        return _bars(
            names,
            {
                "joint position error, mm": {
                    "always the mean pose": errors.by_class("mpjpe_mean_pose_mm").tolist(),
                    "reconstruction": errors.by_class("mpjpe_mm").tolist(),
                },
                "squared error of pose features (rc)": {
                    "always the mean pose": errors.by_class("rc_mean_pose").tolist(),
                    "reconstruction": errors.by_class("rc").tolist(),
                },
            },
        )

    report.figures["reconstruction"] = draw


def _add_generation(
    report: Report, names: list[str], real: "Sequence[MotionStatistics | None]", generated: "list[MotionStatistics]"
) -> None:
    """Table, metrics and bars of real and generated motions of single actions."""
    rows: list[list[Value]] = []
    columns = ("legs", "arms", "speed", "spread")
    for name, own, made in zip(names, real, generated):
        cells = [_value(one, column) for column in columns for one in (own, made)]
        rows.append([name, *cells])
        for column in columns:
            report.metrics[f"eval/{column}/{name}"] = _value(made, column)
    headings = [
        f"{title} {whose}" for title in ("legs cm", "arms cm", "speed m/s", "spread cm") for whose in ("r", "g")
    ]
    title = "How real (r) and generated (g) motions move; spread: distance between motions of one action"
    report.tables["generation"] = Table(title, ["action", *headings], rows)
    for column in columns:
        ours, theirs = ([_value(each, column) for each in each_set] for each_set in (generated, real))
        report.metrics[f"eval/{column}_to_real"] = finite_mean(ours) / finite_mean(theirs)
        report.metrics[f"eval/{column}_correlation"] = _correlation(ours, theirs)

    def draw() -> "Figure":
        panels = {"legs": "legs, cm", "arms": "arms, cm", "spread": "distance between motions of one action, cm"}
        return _bars(
            names,
            {
                title: {
                    "real": [_value(each, column) for each in real],
                    "generated": [_value(each, column) for each in generated],
                }
                for column, title in panels.items()
            },
        )

    report.figures["generation"] = draw


def _add_pairs(
    report: Report,
    names: list[str],
    pairs: "Sequence[ActionPair]",
    real: "Sequence[MotionStatistics | None]",
    singles: "list[MotionStatistics]",
    made: "list[MotionStatistics]",
) -> None:
    """Table and metrics of two actions at once: legs as of the one, arms as of the other."""
    rows: list[list[Value]] = []
    leg_shares, arm_shares = [], []
    for pair, own in zip(pairs, made):
        first, second = singles[pair.first], singles[pair.second]
        name = f"{names[pair.first]}+{names[pair.second]}"
        rows.append([name, own.legs, first.legs, second.legs, own.arms, first.arms, second.arms])
        leg_shares.append(own.legs / max(first.legs, second.legs))
        arm_shares.append(own.arms / max(first.arms, second.arms))
        report.metrics |= {f"eval/legs/{name}": own.legs, f"eval/arms/{name}": own.arms}
    columns = [f"{limb} {whose}" for limb in ("legs cm", "arms cm") for whose in ("both", "first", "second")]
    report.tables["pairs"] = Table("Two actions at once, and each of them alone (generated)", ["pair", *columns], rows)
    report.metrics |= {
        "eval/pair_legs_to_single": finite_mean(leg_shares),
        "eval/pair_arms_to_single": finite_mean(arm_shares),
    }


def _value(statistics: "MotionStatistics | None", name: str) -> float:
    return math.nan if statistics is None else float(getattr(statistics, name))


def _correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Pearson's, over the classes that have both; NaN for less than three."""
    both = [(a, b) for a, b in zip(ours, theirs) if math.isfinite(a) and math.isfinite(b)]
    if len(both) < 3:
        return math.nan
    mean_a, mean_b = finite_mean([a for a, _ in both]), finite_mean([b for _, b in both])
    covariance = sum((a - mean_a) * (b - mean_b) for a, b in both)
    scale = math.sqrt(sum((a - mean_a) ** 2 for a, _ in both) * sum((b - mean_b) ** 2 for _, b in both))
    return covariance / scale if scale > 0 else math.nan


def _bars(names: list[str], panels: dict[str, dict[str, list[float]]]) -> "Figure":
    """Panels one above the other, a group of two bars per class: the reference pale, ours in colour."""
    from matplotlib.figure import Figure

    from callbacks.figures import plain_axes

    figure = Figure(figsize=(max(5.0, 0.75 * len(names) + 1.5), 2.3 * len(panels) + 0.8), layout="constrained")
    all_axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, series) in zip(all_axes, panels.items(), strict=True):
        for index, ((label, values), colour) in enumerate(zip(series.items(), (_REAL, _GENERATED), strict=True)):
            places = [place + 0.4 * (index - 0.5) for place in range(len(names))]
            axes.bar(
                places, [value if math.isfinite(value) else 0.0 for value in values], 0.38, label=label, color=colour
            )
        plain_axes(axes, title, grid="y")
        axes.set_axisbelow(True)
    all_axes[0].legend(fontsize=8, frameon=False, ncols=2)
    labels = [name.replace("_", " ") for name in names]
    all_axes[-1].set_xticks(range(len(names)), labels, rotation=30, ha="right", fontsize=8)
    return figure
