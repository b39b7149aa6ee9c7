"""Pictures of a run's curves, drawn from its `metrics.csv`."""

import math
import re
from collections import defaultdict
from pathlib import Path
from typing import Literal

from lightning.pytorch import LightningModule, Trainer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from callbacks.figures import plain_axes, save_figure
from callbacks.metrics_csv import METRICS_CSV, read_metrics
from callbacks.periodic_pictures import PeriodicPictures

# One quantity: its points per stage, {"train": [(epoch, value), ...], "val": [...]}.
Curves = dict[str, list[tuple[float, float]]]
_STAGES = ("train", "val")
_COLOURS = {"train": "#2b6cb0", "val": "#dd6b20", "": "#4a5568"}
_LABELS = {"train": "training", "val": "validation", "": ""}


class LossCurves(PeriodicPictures):
    """Draws `figures/loss.png` (the loss) and `figures/curves.png` (every logged quantity) every few epochs.

    Reads the csv that the run writes anyway, so the pictures cover the epochs before a resume too. Without a csv
    logger there is nothing to draw and nothing happens.

    Args:
        run_dir: folder of `metrics.csv`; pictures go to its `figures`.
        monitor: logged name of the monitored quantity; its best epoch is marked.
        mode: "min" or "max".
        every_n_epochs: epochs between two drawings; 0 = at the end only.
    """

    subject = "loss curves"

    def __init__(self, run_dir: str, monitor: str | None = None, mode: str = "min", every_n_epochs: int = 25) -> None:
        super().__init__(every_n_epochs)
        self.run_dir = Path(run_dir)
        self.monitor = monitor
        self.mode = mode

    def draw_now(self, trainer: Trainer, pl_module: LightningModule) -> None:
        draw_run(self.run_dir, self.monitor, self.mode)


def draw_run(run_dir: str | Path, monitor: str | None = None, mode: str = "min") -> list[Path]:
    """Draw the pictures of a run folder from its `metrics.csv`.

    Returns:
        The files written, none where there are no numbers.
    """
    quantities, axis = read_curves(Path(run_dir) / METRICS_CSV)
    figures = Path(run_dir) / "figures"
    written = []
    if "loss" in quantities:
        written.append(save_figure(figures / "loss.png", draw_loss(quantities["loss"], axis, monitor, mode)))
    if quantities:
        written.append(save_figure(figures / "curves.png", draw_grid(quantities, axis, monitor, mode)))
    return written


def read_curves(file: str | Path) -> tuple[dict[str, Curves], Literal["epoch", "step"]]:
    """Curves by quantity, `{"loss": {"train": [(1, 0.5), ...], "val": [...]}, "lr": {"": [...]}}`, and their x axis.

    Rows are averaged per epoch, which counts from 1; a run of less than three epochs is shown by step instead.
    """
    rows = read_metrics(file)
    by_epoch = len({row["epoch"] for row in rows if "epoch" in row}) >= 3
    sums: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        where = row.get("epoch", math.nan) + 1 if by_epoch else row.get("step", math.nan) + 1
        for column, value in row.items():
            stage, name = _stage_and_name(column)
            if name and stage != "test" and math.isfinite(where):
                sums[name, stage][where].append(value)
    quantities: dict[str, Curves] = defaultdict(dict)
    for (name, stage), points in sorted(sums.items()):
        quantities[name][stage] = [(where, sum(values) / len(values)) for where, values in sorted(points.items())]
    return dict(quantities), "epoch" if by_epoch else "step"


def _stage_and_name(column: str) -> tuple[str, str]:
    """`train/loss_epoch` -> ("train", "loss"); `lr-AdamW` -> ("", "lr-AdamW"); the x columns -> ("", "")."""
    if column in ("epoch", "step"):
        return "", ""
    name = re.sub(r"_(step|epoch)$", "", column)
    stage, slash, rest = name.partition("/")
    return (stage, rest) if slash and stage in (*_STAGES, "test") else ("", name)


def draw_loss(curves: Curves, axis: str, monitor: str | None, mode: str) -> Figure:
    """One large panel: training and validation loss."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.add_subplot()
    _panel(axes, "loss", curves, monitor, mode)
    axes.set_xlabel(axis, fontsize=8)
    return figure


def draw_grid(quantities: dict[str, Curves], axis: str, monitor: str | None, mode: str) -> Figure:
    """Small panels, one per quantity, the loss first."""
    columns = min(3, len(quantities))
    rows = math.ceil(len(quantities) / columns)
    figure = Figure(figsize=(4.2 * columns, 2.9 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    in_order = sorted(quantities.items(), key=lambda item: (item[0] != "loss", item[0]))
    for axes, (name, curves) in zip(panels, in_order, strict=False):
        _panel(axes, name, curves, monitor, mode)
        axes.set_xlabel(axis, fontsize=8)
    for axes in panels[len(quantities) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, name: str, curves: Curves, monitor: str | None, mode: str) -> None:
    epochs: set[float] = set()
    values: list[float] = []
    for stage, points in curves.items():
        finite = [(x, y) for x, y in points if math.isfinite(y)]
        if not finite:
            continue
        xs, ys = zip(*finite, strict=True)
        epochs.update(xs)
        values.extend(ys)
        marker = "o" if len(xs) < 3 else None
        axes.plot(xs, ys, color=_COLOURS[stage], label=_LABELS[stage], linewidth=1.6, marker=marker, markersize=3)
        if monitor == (f"{stage}/{name}" if stage else name):
            x, y = (max if mode == "max" else min)(finite, key=lambda point: point[1])
            axes.plot(x, y, "o", color=_COLOURS[stage], markersize=6, markerfacecolor="white", markeredgewidth=1.6)
            # Towards the middle: at the left edge it would cover the numbers of the axis.
            side = "left" if 2 * x < xs[0] + xs[-1] else "right"
            axes.annotate(f"best {y:.4g}", (x, y), xytext=(0, 8), textcoords="offset points", ha=side, fontsize=8)
    if wants_log_axis(values):
        axes.set_yscale("log")
    plain_axes(axes, name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if any(_LABELS[stage] for stage in curves) and len(curves) > 1:
        axes.legend(fontsize=8, frameon=False)


def wants_log_axis(values: list[float]) -> bool:
    """A log axis pays off for positive values that span more than a factor of 20."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > 20
