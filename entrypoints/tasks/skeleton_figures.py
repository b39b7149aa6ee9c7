"""Pictures of an evaluation of skeletonclip: features in a plane, curves of several runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints.tasks.class_figures import class_mark, draw_points
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from entrypoints.tasks.skeleton_scores import Answers

# Fewer samples make no picture of neighbourhoods.
FEWEST = 10
_PANELS = (("train", "loss", "training loss"), ("val", "loss", "validation loss"), ("val", "top1", "validation top-1"))


def add_features(
    report: Report,
    answers: "Answers",
    samples: int,
    perplexity: float,
    steps: int,
    seed: int,
    told: Callable[[int], None],
) -> None:
    """Features of the samples in the plane of their principal axes and by t-SNE, as picture, table and arrays.

    Args:
        report: gets the figure `pca50-t_sne_vis`, or `pca_vis` without t-SNE, the table file `features.csv` and the
            arrays `t_sne_vis_out`.
        answers: of the run.
        samples: t-SNE looks at so many at most, chosen by `seed`; 0 = principal axes only.
        perplexity, steps: of t-SNE.
        seed: see `samples`.
        told: called with 1 after every step.
    """
    import numpy as np
    import torch

    from components.projections.principal_axes import principal_axes
    from components.projections.tsne import tsne

    report.arrays["t_sne_vis_out"] = {"target_outputs": answers.features, "target_labels": answers.labels}
    features = torch.from_numpy(answers.features)
    if features.shape[1] < 2:
        return
    axes = principal_axes(features)
    places = {"pca": axes.project(features)}
    chosen = np.arange(len(features))
    if samples and len(features) >= FEWEST:
        if len(features) > samples:
            chosen = np.sort(np.random.default_rng(seed).choice(len(features), samples, replace=False))
        places = {"pca": places["pca"][chosen], "t_sne": tsne(features[chosen], perplexity, steps, told=told)}
    labels = answers.labels[chosen].tolist()
    rows: list[list[Value]] = [
        [answers.names[place], answers.class_names[label], *spots]
        for place, label, *spots in zip(
            chosen.tolist(), labels, *(column for spot in places.values() for column in spot.T.tolist()), strict=True
        )
    ]
    columns = ["sample", "class", *(f"{name}_{axis}" for name in places for axis in (1, 2))]
    report.files["features.csv"] = Table("", columns, rows).to_csv()
    first, second = axes.share
    used = min(perplexity, (len(chosen) - 1) / 3)  # of fewer samples than that, as `tsne` takes it
    titles = {"pca": f"principal axes of {len(labels)} samples' features", "t_sne": f"t-SNE, perplexity {used:.3g}"}
    named = (f"first axis, {100 * first:.0f} % of the variance", f"second axis, {100 * second:.0f} %")

    def draw() -> "Figure":
        panels = {titles[name]: spots for name, spots in places.items()}
        return draw_points(panels, labels, answers.class_names, {titles["pca"]: named})

    report.figures["pca50-t_sne_vis" if "t_sne" in places else "pca_vis"] = draw


def add_curves(report: Report, runs: Mapping[str, Path]) -> list[str]:
    """Loss and accuracy over the epochs of several runs in one picture, from their `metrics.csv`.

    Args:
        report: gets the figure `curves_of_runs`, if any run has curves.
        runs: folders by name.

    Returns:
        Runs without curves.
    """
    from callbacks.loss_curves import read_curves
    from callbacks.metrics_csv import METRICS_CSV

    found = {name: read_curves(folder / METRICS_CSV) for name, folder in runs.items()}
    drawn = {name: curves for name, curves in found.items() if curves[0]}
    if drawn:
        report.figures["curves_of_runs"] = lambda: _draw_curves(drawn)
    return [name for name in runs if name not in drawn]


def _draw_curves(runs: Mapping[str, tuple[Mapping[str, Mapping[str, list[tuple[float, float]]]], str]]) -> "Figure":
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from callbacks.figures import plain_axes

    figure = Figure(figsize=(4.2 * len(_PANELS), 3.3), layout="constrained")
    for axes, (stage, quantity, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS, strict=True):
        for number, (name, (curves, _)) in enumerate(runs.items()):
            points = curves.get(quantity, {}).get(stage, [])
            if points:
                marker = "o" if len(points) < 3 else None
                axes.plot(*zip(*points, strict=True), color=class_mark(number)[0], label=name, linewidth=1.6,
                          marker=marker, markersize=3)  # fmt: skip
        plain_axes(axes, title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlabel(next(iter(runs.values()))[1], fontsize=8)
    handles = {label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=min(3, len(runs)), fontsize=8,
        frameon=False,
    )  # fmt: skip
    return figure
