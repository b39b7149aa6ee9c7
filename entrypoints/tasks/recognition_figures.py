"""Pictures of a recogniser's figures: metrics with their intervals."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from entrypoints.tasks.recognition_tables import HEADINGS, SCALES, published_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lightning_modules.actor.protocol import ProtocolResult, RealSplit
    from lightning_modules.actor.published import PublishedRow

_COLOURS = {"gen": "#2b6cb0", "gt": "#94a3b8", "gt2": "#cbd5e1"}
_LABELS = {"gen": "generated", "gt": "real", "gt2": "real, again"}
_PUBLISHED = {"real": "#64748b", "ACTOR": "#dd6b20"}


def draw_metric_bars(result: "ProtocolResult", split: "RealSplit", published: "Sequence[PublishedRow]") -> "Figure":
    """A panel per metric: bars of the sets with 95 % intervals, each seed as a dot, published figures as lines."""
    from matplotlib.figure import Figure

    from callbacks.figures import plain_axes
    from lightning_modules.actor.protocol import METRICS, SETS

    figure = Figure(figsize=(2.35 * len(METRICS), 3.3), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(METRICS)), METRICS, strict=True):
        scale = SCALES.get(metric, 1.0)
        for place, which in enumerate(SETS):
            name = split.figure(metric, which)
            summary = result.summary(name)
            if not math.isfinite(summary.mean):
                continue
            error = scale * summary.interval if math.isfinite(summary.interval) else None
            axes.bar(
                place, scale * summary.mean, 0.7, yerr=error, capsize=3, color=_COLOURS[which],
                error_kw={"elinewidth": 1, "ecolor": "#1e293b"},
            )  # fmt: skip
            values = [scale * each.metrics[name] for each in result.seeds]
            spread = [place + 0.5 * ((index + 0.5) / len(values) - 0.5) for index in range(len(values))]
            axes.plot(spread, values, ".", color="#1e293b", alpha=0.35, markersize=3)
        for row in published:
            number = published_figure(row, metric, split.name)
            if row.method in _PUBLISHED and number is not None:
                label = f"published: {row.method}"
                axes.axhline(
                    scale * number.mean, color=_PUBLISHED[row.method], linewidth=1.1, linestyle="--", label=label
                )
        plain_axes(axes, HEADINGS[metric], grid="y")
        axes.set_axisbelow(True)
        axes.set_xticks(range(len(SETS)), [_LABELS[which] for which in SETS], rotation=30, ha="right", fontsize=8)
    seeds = "1 seed" if len(result.seeds) == 1 else f"{len(result.seeds)} seeds, 95 % intervals of the mean"
    which_motions = {"": "", "train": "training motions, ", "test": "held-out motions, "}
    figure.suptitle(f"{which_motions.get(split.name, split.name + ', ')}{seeds}", fontsize=9, x=0.01, ha="left")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8, frameon=False)
    return figure
