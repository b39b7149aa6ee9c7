"""The table of a sweep: which runs make a row, in which order, which one is best."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from components.errors import InputError
from components.spelling import did_you_mean
from entrypoints.sweep_results import RunResult
from entrypoints.table_columns import Column

SEED = "seed"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of `n` runs; `std` is None for a single one."""

    mean: float
    std: float | None = None
    n: int = 1


@dataclass(frozen=True)
class Row:
    """One run, or the finished runs that differ in their seed only."""

    runs: tuple[str, ...]
    settings: dict[str, str]
    metrics: dict[str, Spread] = field(default_factory=dict)
    n: int = 1
    status: str = "finished"
    reason: str | None = None
    minutes: float | None = None
    best: bool = False

    @property
    def finished(self) -> bool:
        """Whether its numbers count."""
        return self.status == "finished"


@dataclass(frozen=True)
class ResultTable:
    """Rows and columns, ready to be written.

    `columns` are keys in order, `numbers` those of measured quantities (a `Spread` in each row), the others texts;
    `headings` are their titles, `common` is what all runs share; `mode` of the monitored metric is "min" or "max";
    `grouped` says that rows put seeds together.
    """

    rows: tuple[Row, ...]
    columns: tuple[str, ...]
    numbers: frozenset[str]
    headings: dict[str, str]
    common: dict[str, str]
    monitor: str | None
    mode: str
    grouped: bool

    @property
    def settings(self) -> tuple[str, ...]:
        """Keys of the columns of texts."""
        return tuple(key for key in self.columns if key not in self.numbers)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Keys of the columns of measured quantities."""
        return tuple(key for key in self.columns if key in self.numbers)

    def heading(self, key: str) -> str:
        """Title of a column."""
        return self.headings.get(key, key)


def build_table(
    results: Sequence[RunResult],
    *,
    columns: Sequence[str] | Mapping[str, str] | Sequence[Column] | None = None,
    sort: str = "monitor",
    descending: bool | None = None,
    group_seeds: bool = True,
) -> ResultTable:
    """Arrange results.

    Args:
        results: runs of one sweep or experiment.
        columns: metrics to show, in order; a mapping gives columns (settings too) their headings. `Column`s make the
            whole table, behind the settings that differ and that none of them shows. None = the monitored metric and
            every `test/*`.
        sort: "monitor" (best first), "job" (as they ran), or the name of a column.
        descending: direction of the sort; None = the monitored metric's own direction, other columns ascending.
        group_seeds: put finished runs together that differ in `seed` only.

    Raises:
        InputError: an unknown column.
    """
    monitor, mode = _monitor_of(results)
    common, varying = split_settings(results)
    grouped = group_seeds and SEED in varying
    settings = tuple(key for key in varying if not (grouped and key == SEED))
    made = [column for column in columns or () if isinstance(column, Column)]
    if made:
        results, keys, numbers = _with_columns(results, made, settings)
        headings: dict[str, str] = {}
    else:
        metrics, headings = _choose_metrics(results, columns, monitor, {*varying, *common})  # type: ignore[arg-type]
        keys, numbers = (*settings, *metrics), frozenset(metrics)
    rows = [_group(runs) for runs in _groups(results, settings, grouped)] if grouped else [_single(r) for r in results]
    if grouped:
        rows += [_single(result) for result in results if not result.finished]
    rows = _sorted(rows, sort, descending, monitor, mode)
    rows = _mark_best(rows, monitor, mode)
    return ResultTable(tuple(rows), keys, numbers, headings, common, monitor, mode, grouped)


def _with_columns(
    results: Sequence[RunResult], columns: Sequence[Column], settings: tuple[str, ...]
) -> tuple[list[RunResult], tuple[str, ...], frozenset[str]]:
    """Results that carry the columns' values under their headings, all keys in order, and which are numbers."""
    values = {column.heading: [column.value(result) for result in results] for column in columns}
    numbers = frozenset(
        column.heading
        for column in columns
        if column.computed or any(isinstance(value, float) for value in values[column.heading])
    )
    shown = {name for column in columns for name in column.of}
    keys = (*(key for key in settings if key not in shown), *values)
    carrying = []
    for index, result in enumerate(results):
        own = {heading: found[index] for heading, found in values.items()}
        texts = {heading: str(value) for heading, value in own.items() if value is not None and heading not in numbers}
        floats = {heading: value for heading, value in own.items() if isinstance(value, float)}
        carrying.append(replace(result, settings={**result.settings, **texts}, metrics={**result.metrics, **floats}))
    return carrying, keys, numbers


def split_settings(results: Sequence[RunResult]) -> tuple[dict[str, str], list[str]]:
    """What all runs share, and the keys in which they differ, in the order of the command line."""
    keys = list(dict.fromkeys(key for result in results for key in result.settings))
    varying = [key for key in keys if len({result.settings.get(key) for result in results}) > 1]
    first = results[0].settings if results else {}
    return {key: first[key] for key in keys if key not in varying}, varying


def _monitor_of(results: Sequence[RunResult]) -> tuple[str | None, str]:
    known = Counter((result.monitor, result.mode) for result in results if result.monitor)
    return known.most_common(1)[0][0] if known else (None, "min")


def _choose_metrics(
    results: Sequence[RunResult],
    columns: Sequence[str] | Mapping[str, str] | None,
    monitor: str | None,
    settings: set[str],
) -> tuple[tuple[str, ...], dict[str, str]]:
    present = sorted({name for result in results for name in result.metrics})
    if columns is None:
        shown = [monitor] if monitor else []
        return (*shown, *(name for name in present if name.startswith("test/") and name != monitor)), {}
    known = {*present, *settings} | ({monitor} if monitor else set())
    for name in columns:
        if name not in known:
            raise _unknown("columns", name, known)
    headings = dict(columns) if isinstance(columns, Mapping) else {}
    return tuple(name for name in columns if name not in settings), headings


def _unknown(key: str, name: str, known: set[str]) -> InputError:
    names = sorted(known)
    return InputError(f"{key}: no column '{name}'{did_you_mean(name, names)}\nThere are: {', '.join(names) or 'none'}")


def _groups(results: Sequence[RunResult], settings: tuple[str, ...], grouped: bool) -> list[list[RunResult]]:
    groups: dict[tuple[str | None, ...], list[RunResult]] = {}
    for result in results:
        if result.finished:
            groups.setdefault(tuple(result.settings.get(key) for key in settings), []).append(result)
    return list(groups.values())


def _single(result: RunResult) -> Row:
    return Row(
        runs=(result.name,),
        settings=result.settings,
        metrics={name: Spread(value) for name, value in result.metrics.items()},
        n=1 if result.finished else 0,
        status=result.status,
        reason=result.reason,
        minutes=result.minutes,
    )


def _group(runs: list[RunResult]) -> Row:
    names = {name for run in runs for name in run.metrics}
    minutes = [run.minutes for run in runs if run.minutes is not None]
    texts = {key: dict.fromkeys(run.settings.get(key, "") for run in runs) for key in runs[0].settings}
    return Row(
        runs=tuple(run.name for run in runs),
        # Where each seed's run is, for example, differs between them.
        settings={key: " ".join(values) for key, values in texts.items()},
        metrics={name: spread([run.metrics[name] for run in runs if name in run.metrics]) for name in names},
        n=len(runs),
        minutes=round(statistics.fmean(minutes), 2) if minutes else None,
    )


def spread(values: Sequence[float]) -> Spread:
    """Mean and sample standard deviation."""
    std = None if len(values) < 2 else statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
    return Spread(statistics.fmean(values), std, len(values))


def _sorted(rows: list[Row], sort: str, descending: bool | None, monitor: str | None, mode: str) -> list[Row]:
    """Rows that finished in the wanted order, then the others as they ran."""
    finished, others = [row for row in rows if row.finished], [row for row in rows if not row.finished]
    if sort == "monitor":
        sort = monitor or "job"
    if sort == "job":
        return (finished[::-1] if descending else finished) + others
    if descending is None:
        descending = sort == monitor and mode == "max"
    known = {key for row in rows for key in (*row.metrics, *row.settings)} | {"minutes"}
    if sort not in known and sort != monitor:
        raise _unknown("sort", sort, known | {"monitor", "job"})
    have = [row for row in finished if _sort_key(row, sort) is not None]
    rest = [row for row in finished if _sort_key(row, sort) is None]
    numbers = all(isinstance(_sort_key(row, sort), float) for row in have)
    have.sort(key=lambda row: _sort_key(row, sort) if numbers else str(_sort_key(row, sort)), reverse=descending)  # type: ignore[arg-type, return-value]
    return have + rest + others


def _sort_key(row: Row, column: str) -> float | str | None:
    if column == "minutes":
        return row.minutes
    if column in row.metrics:
        mean = row.metrics[column].mean
        return None if math.isnan(mean) else mean
    value = row.settings.get(column)
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


def _mark_best(rows: list[Row], monitor: str | None, mode: str) -> list[Row]:
    scores = {i: row.metrics[monitor].mean for i, row in enumerate(rows) if row.finished and monitor in row.metrics}
    scores = {i: score for i, score in scores.items() if math.isfinite(score)}
    if len(scores) < 2:
        return rows
    best = (max if mode == "max" else min)(scores, key=lambda i: scores[i])
    return [Row(**{**row.__dict__, "best": i == best}) for i, row in enumerate(rows)]
