"""Pictures of classes: confusion matrices side by side, samples as points in a plane."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

# Up to so many classes the cells of a confusion matrix hold numbers.
_WITH_NUMBERS = 20
# Told apart in light and shade too, and by marker from the thirteenth on.
_COLOURS = (
    "#1f77b4", "#d62728", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b",
    "#e377c2", "#17becf", "#bcbd22", "#3f4a5a", "#7fc97f", "#fdb462",
)  # fmt: skip
_MARKERS = "os^DvPX*"


def class_mark(label: int) -> tuple[str, str]:
    """Colour and marker of a class; they repeat from the 97th on."""
    return _COLOURS[label % len(_COLOURS)], _MARKERS[label // len(_COLOURS) % len(_MARKERS)]


def draw_confusions(
    matrices: "Mapping[str, Tensor]", names: Sequence[str], split: str = "", of: tuple[str, str] = ("action", "motion")
) -> "Figure":
    """Confusion matrices `[true, recognised]` by title, rows in per cent.

    Args:
        matrices: counts `[C, K]`; columns beyond the names (pairs of actions) become one.
        names: of the classes.
        split: added to the titles.
        of: what the classes are called, and one of their samples.
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
        _write_shares(axes, shares, totals, f"no {of[1]}")
    panels[0].set_ylabel(of[0], fontsize=9)
    figure.colorbar(image, ax=list(panels), shrink=0.6, pad=0.01, label=f"% of the {of[1]}s of each {of[0]}")
    return figure


def _write_shares(axes: "Axes", shares: "Tensor", totals: "Tensor", nothing: str) -> None:
    """Numbers into the cells, where there is room for them."""
    count = len(shares)
    if count > _WITH_NUMBERS:
        return
    for row in range(count):
        if float(totals[row]) == 0:
            axes.text((count - 1) / 2, row, nothing, ha="center", va="center", fontsize=7, color="#94a3b8")
            continue
        for column in range(shares.shape[1]):
            share = float(shares[row, column])
            if share >= 0.5:
                ink = "white" if share > 55 else "#1e293b"
                axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=ink)


def draw_points(
    panels: "Mapping[str, Tensor]",
    labels: Sequence[int],
    names: Sequence[str],
    axes_names: Mapping[str, tuple[str, str]],
) -> "Figure":
    """Samples in planes side by side, a colour and marker per class.

    Args:
        panels: coordinates `[N, 2]` by title.
        labels: N classes.
        names: of the classes.
        axes_names: of a panel's two axes, by its title; a panel that is not in it has no axes worth reading.
    """
    from matplotlib.figure import Figure

    from callbacks.figures import plain_axes

    present = sorted(set(labels))
    columns = 1 if len(present) <= 24 else 2 if len(present) <= 60 else 3
    legend = columns * (0.35 + 0.062 * max(len(names[label]) for label in present))
    figure = Figure(figsize=(5.2 * len(panels) + legend, 5.4), layout="constrained")
    for number, (axes, (title, spots)) in enumerate(
        zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True)
    ):
        for label in present:
            colour, marker = class_mark(label)
            mine = spots[[row for row, each in enumerate(labels) if each == label]]
            axes.scatter(
                mine[:, 0], mine[:, 1], s=24, color=colour, marker=marker, alpha=0.85, linewidths=0.4,
                edgecolors="white", label=names[label].replace("_", " ") if number == 0 else None,
            )  # fmt: skip
        plain_axes(axes, title)
        axes.set_aspect("equal", adjustable="datalim")
        if title in axes_names:
            axes.set_xlabel(axes_names[title][0], fontsize=9)
            axes.set_ylabel(axes_names[title][1], fontsize=9)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
    figure.legend(loc="outside right upper", fontsize=7, frameon=False, ncols=columns)
    return figure
