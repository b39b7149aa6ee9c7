"""Picture of pairs of actions: are both recognised, and whose legs and arms are they."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from entrypoints.tasks.evaluate_pairs import PairResult

_GENERATED, _MIXTURES, _ALONE, _INK = "#2b6cb0", "#94a3b8", "#dd6b20", "#334155"


def draw_pairs(results: "Sequence[PairResult]") -> "Figure":
    """A row per pair: both labels recognised, then legs and arms between the second action and the first."""
    from matplotlib.figure import Figure

    count = len(results)
    figure = Figure(figsize=(12.5, 0.34 * count + 1.9), layout="constrained")
    recognised, legs, arms = figure.subplots(1, 3, sharey=True, width_ratios=[1.15, 1, 1])
    _draw_recognised(recognised, results)
    for axes, part in ((legs, "legs"), (arms, "arms")):
        _draw_likeness(axes, results, part)
    names = [each.pair.name.replace("_", " ").replace("+", " + ") for each in results]
    recognised.set_yticks(range(count), names, fontsize=8)
    recognised.set_ylim(count - 0.4, -0.6)
    handles, labels = recognised.get_legend_handles_labels()
    figure.legend(
        handles[-1:] + handles[:-1],
        labels[-1:] + labels[:-1],
        loc="outside lower center",
        ncols=len(labels),
        fontsize=8,
        frameon=False,
    )
    return figure


def _draw_recognised(axes: "Axes", results: "Sequence[PairResult]") -> None:
    from callbacks.figures import plain_axes

    generated = [100 * each.generated.both for each in results]
    axes.barh(range(len(results)), generated, 0.62, color=_GENERATED, label="generated pair")
    _points(axes, [100 * each.mixtures.both for each in results], "D", _MIXTURES, "real clips blended")
    _points(axes, [100 * each.alone.both for each in results], "|", _ALONE, "one action alone, generated")
    named = [100 * each.generated.named for each in results]
    if any(math.isfinite(value) for value in named):
        _points(axes, named, ".", _INK, "generated, named as this pair")
    axes.set_xlim(-2, 104)
    plain_axes(axes, "Both labels among the two highest, % of motions", grid="x")
    axes.set_axisbelow(True)


def _draw_likeness(axes: "Axes", results: "Sequence[PairResult]", part: str) -> None:
    from callbacks.figures import plain_axes

    axes.axvspan(0.5, 1.0, color="#eff6ff", zorder=0)
    axes.axvline(0.5, color="#cbd5e1", linewidth=0.8, zorder=1)
    for place, each in enumerate(results):
        ends = [each.generated.likeness[part], each.mixtures.likeness[part]]
        axes.plot(ends, [place, place], color="#cbd5e1", linewidth=1.2, zorder=2)
    _points(axes, [each.mixtures.likeness[part] for each in results], "D", _MIXTURES, "real clips blended")
    _points(axes, [each.generated.likeness[part] for each in results], "o", _GENERATED, "generated pair")
    axes.set_xlim(0.0, 1.0)
    axes.set_xticks([0, 0.5, 1], ["as the second\naction alone", "between", "as the first\naction alone"])
    left, _, right = axes.get_xticklabels()
    left.set_horizontalalignment("left")
    right.set_horizontalalignment("right")
    plain_axes(axes, f"How the {part} move", grid="x")


def _points(axes: "Axes", values: Sequence[float], marker: str, colour: str, label: str) -> None:
    size, width = {"|": (130, 2.2), ".": (45, 1.0)}.get(marker, (34, 1.0))
    axes.scatter(
        values, range(len(values)), size, color=colour, marker=marker, linewidths=width, label=label, zorder=4,
        edgecolors=None if marker in "|." else "white",
    )  # fmt: skip
