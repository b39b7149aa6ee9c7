"""Pictures of a recogniser's figures: confusion matrices side by side, metrics with their intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from entrypoints.tasks.recognition_tables import HEADINGS, SCALES, published_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from lightning_modules.actor.protocol import ProtocolResult, RealSplit
    from lightning_modules.actor.published import PublishedRow

_COLOURS = {"gen": "#2b6cb0", "gt": "#94a3b8", "gt2": "#cbd5e1"}
_LABELS = {"gen": "generated", "gt": "real", "gt2": "real, again"}
# Up to so many classes the cells of a confusion matrix hold numbers.
_WITH_NUMBERS = 20
_PUBLISHED = {"real": "#64748b", "ACTOR": "#dd6b20"}


def draw_confusions(matrices: "Mapping[str, Tensor]", names: Sequence[str], split: str = "") -> "Figure":
    """Confusion matrices `[true, recognised]` by title, rows in per cent.

    Args:
        matrices: counts `[C, K]`; columns beyond the names (pairs of actions) become one.
        names: of the classes.
        split: added to the titles.
    """
    import torch
    from matplotlib.figure import Figure

    count = len(names)
    labels = [name.replace("_", " ") for name in names]
    extra = any(matrix.shape[1] > count for matrix in matrices.values())
    columns = [*labels, "two actions"] if extra else labels
    # Inches; numbers need room in their cells, many classes get none.
    cell, text = 0.36 if count <= _WITH_NUMBERS else 0.19, 0.065 * max(map(len, columns))
    width, height = (max(2.4, cell * number) for number in (len(columns), count))
    size = (len(matrices) * (width + 0.15) + text + 1.3, height + 0.72 * text + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
    for axes, (title, matrix) in zip(panels, matrices.items(), strict=True):
        counts = matrix[:count].double()
        if extra:
            counts = torch.cat([counts[:, :count], counts[:, count:].sum(1, keepdim=True)], dim=1)
        totals = counts.sum(1, keepdim=True)
        shares = 100 * counts / totals.clamp(min=1)
        accuracy = 100 * float(counts[:, :count].trace() / totals.sum().clamp(min=1))
        image = axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=100)
        axes.set_title(f"{title}{', ' + split if split else ''}: {accuracy:.1f} % right", fontsize=10, loc="left")
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(count), labels, fontsize=8)
        axes.set_xlabel("recognised as", fontsize=9)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks([place - 0.5 for place in range(1, len(columns))], minor=True)
        axes.set_yticks([place - 0.5 for place in range(1, count)], minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="minor", length=0)
        _write_shares(axes, shares, totals, count)
    panels[0].set_ylabel("action", fontsize=9)
    figure.colorbar(image, ax=list(panels), shrink=0.6, pad=0.01, label="% of the motions of an action")
    return figure


def _write_shares(axes: "Axes", shares: "Tensor", totals: "Tensor", count: int) -> None:
    """Numbers into the cells, where there is room for them."""
    if count > _WITH_NUMBERS:
        return
    for row in range(count):
        if float(totals[row]) == 0:
            axes.text((count - 1) / 2, row, "no motion", ha="center", va="center", fontsize=7, color="#94a3b8")
            continue
        for column in range(shares.shape[1]):
            share = float(shares[row, column])
            if share >= 0.5:
                ink = "white" if share > 55 else "#1e293b"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)


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
