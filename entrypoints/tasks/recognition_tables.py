"""The table of a recogniser's figures: sets of motions in rows, published figures below them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    from lightning_modules.actor.metrics import Summary
    from lightning_modules.actor.protocol import ProtocolResult, RealSplit
    from lightning_modules.actor.published import PublishedFigure, PublishedRow

_TITLES = {"gen": "generated (gen)", "gt": "real (gt)", "gt2": "real, second draw (gt2)"}
HEADINGS = {
    "accuracy": "accuracy %", "fid": "FID", "kid": "KID x 1000", "diversity": "diversity",
    "multimodality": "multimodality",
}  # fmt: skip
# Figures are stored as they are (accuracy as a share) and shown times this.
SCALES = {"accuracy": 100.0, "kid": 1000.0}


@dataclass(frozen=True)
class SummaryTable(Table):
    """Reads well as markdown; its csv holds `numbers` in full precision, one row per set and metric."""

    numbers: Table | None = None

    def to_csv(self) -> str:
        return super().to_csv() if self.numbers is None else self.numbers.to_csv()


def published_rows(action_names: Sequence[str]) -> "list[PublishedRow]":
    """Published figures of the data set with these classes; none for other data."""
    from lightning_modules.actor.published import PUBLISHED, data_set_of

    return list(PUBLISHED.get(data_set_of(action_names) or "", ()))


def recognition_table(
    result: "ProtocolResult", splits: "Sequence[RealSplit]", published: "Sequence[PublishedRow]"
) -> SummaryTable:
    """Rows gen, gt, gt2 of every split with both intervals, then what papers print."""
    from lightning_modules.actor.protocol import METRICS, SETS

    rows: list[list[Value]] = []
    numbers: list[list[Value]] = []
    for split in splits:
        for which in SETS:
            summaries = {metric: result.summary(split.figure(metric, which)) for metric in METRICS}
            title = f"{_TITLES[which]}, {split.name}" if split.name else _TITLES[which]
            rows.append([title, *(_cell(summary, metric) for metric, summary in summaries.items())])
            for metric, summary in summaries.items():
                numbers.append([split.figure("", which), metric, *summary, len(result.seeds)])
        rows += [_published(row, split.name) for row in published]
    count = len(result.seeds)
    seeds = "1 seed, which has no interval" if count == 1 else f"{count} seeds, ± 95 % interval of the mean"
    title = f"What the recogniser says: mean over {seeds} [1.96 x variance, as published tables print]"
    if published:
        title += ". Published figures were taken with the published recogniser"
    columns = ["motions", *(HEADINGS[metric] for metric in METRICS)]
    return SummaryTable(
        title,
        columns,
        rows,
        Table(title, ["set", "metric", "mean", "interval", "published_interval", "seeds"], numbers),
    )


def _cell(summary: "Summary", metric: str) -> str:
    scale = SCALES.get(metric, 1.0)
    if not math.isfinite(summary.mean):
        return "-"
    if not math.isfinite(summary.interval):
        return _short(scale * summary.mean)
    # The variance of a scaled figure.
    published = scale**2 * summary.published_interval
    return f"{_short(scale * summary.mean)} ± {_short(scale * summary.interval)} [{_short(published)}]"


def _short(value: float) -> str:
    """Three decimals, more where they would all be 0."""
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def _published(row: "PublishedRow", split: str) -> list[Value]:
    from lightning_modules.actor.protocol import METRICS

    cells: list[Value] = []
    for metric in METRICS:
        figure = published_figure(row, metric, split)
        scale = SCALES.get(metric, 1.0)
        if figure is None:
            cells.append("-")
        elif figure.interval is None:
            cells.append(f"{scale * figure.mean:g}")
        else:
            cells.append(f"{scale * figure.mean:g} [{scale * figure.interval:g}]")
    return [f"published: {row.method}{'' if row.verified else ' (unverified)'}", *cells]


def published_figure(row: "PublishedRow", metric: str, split: str) -> "PublishedFigure | None":
    """What a paper says of a metric, of this split where it tells splits apart."""
    return row.figures.get(f"{metric}_{split}") or row.figures.get(metric)
