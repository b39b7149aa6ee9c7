"""Tables, metrics and bars of an evaluation of videowalk, from the stored results of every row and sequence."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value, finite_mean
from entrypoints.tasks.videowalk_benchmarks import Content
from entrypoints.tasks.videowalk_parts import ADAPTED, COPY, TRAINED, UNTRAINED, WHITENED

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

# Results by row and sequence, and of one row by sequence.
Results = Mapping[tuple[str, str], Content]
RowResults = Mapping[str, Content]
_SHORT = {"J&F-Mean": "jf", "J-Mean": "j", "F-Mean": "f", "J-Recall": "j_recall", "J-Decay": "j_decay",
          "F-Recall": "f_recall", "F-Decay": "f_decay"}  # fmt: skip
_COLORS = {"trained": "#2b6cb0", "adapted": "#2f9e6e", "untrained": "#94a3b8",
           "untrained_whitened": "#64748b", "copy_first": "#e2b04a"}  # fmt: skip


def add_davis(report: Report, results: Results, sequences: Sequence[Any], rows: Sequence[str]) -> None:
    """J and F: the published files of the trained network, tables that hold all rows against each other, bars."""
    from components.metrics.davis import GLOBAL_COLUMNS, global_scores

    names = [sequence.name for sequence in sequences]

    def of_row(found: RowResults) -> dict[str, float]:
        return global_scores(_object_rows(found))

    scores = {row: of_row(_of_row(results, row)) for row in rows}
    _compare(report, "davis", "DAVIS: means over all objects", scores, GLOBAL_COLUMNS, _SHORT)
    per_sequence = {row: {name: of_row({name: results[row, name]}) for name in names} for row in rows}
    lines: list[list[Value]] = []
    for name in names:
        of = [[per_sequence[row][name]["J&F-Mean"] for row in group] for group in _groups(rows).values()]
        trained = per_sequence[TRAINED][name]
        objects = len(results[TRAINED, name]["objects"])
        lines.append([name, objects, *map(finite_mean, of), trained["J-Mean"], trained["F-Mean"]])
    columns = ["sequence", "objects", *(f"J&F {group}" for group in _groups(rows)), "J trained", "F trained"]
    report.tables["davis_sequences"] = Table("DAVIS: J&F of every sequence", columns, lines)
    report.files["global_results-val.csv"] = _published(
        GLOBAL_COLUMNS, [[scores[TRAINED][column] for column in GLOBAL_COLUMNS]]
    )
    report.files["per-sequence_results-val.csv"] = _published(
        ("Sequence", "J-Mean", "F-Mean"),
        [
            [f"{name}_{each['id']}", finite_mean(each["j"]), finite_mean(each["f"])]
            for name in names
            for each in results[TRAINED, name]["objects"]
        ],
    )
    report.figures["davis_sequences"] = _bars(report.tables["davis_sequences"], _groups(rows), "DAVIS: J&F", skip=2)


def add_jhmdb(report: Report, results: Results, sequences: Sequence[Any], rows: Sequence[str]) -> None:
    """PCK as published and strict, percent; by joint for the trained network."""
    from components.metrics.pck import THRESHOLDS
    from datamodules.videowalk.jhmdb import JHMDB_JOINTS

    published = {row: _pck(_of_row(results, row), sequences, strict=False) for row in rows}
    strict = {row: _pck(_of_row(results, row), sequences, strict=True) for row in rows}
    columns = [f"PCK@{limit}" for limit in THRESHOLDS]
    strict_columns = [f"strict PCK@{limit}" for limit in THRESHOLDS]
    scores = {
        row: dict(zip([*columns, *strict_columns], [*published[row].mean, *strict[row].mean], strict=True))
        for row in rows
    }
    short = {name: name.lower().replace("strict ", "strict_").replace("@", "_") for name in [*columns, *strict_columns]}
    _compare(report, "jhmdb", "JHMDB: PCK, mean over joints, percent", scores, [*columns, *strict_columns], short)
    groups = _groups(rows)
    lines: list[list[Value]] = []
    for joint, name in enumerate(JHMDB_JOINTS):
        others = [finite_mean(published[row].joints[0, joint] for row in group) for group in groups.values()]
        lines.append(
            [name, *others, *published[TRAINED].joints[1:, joint].tolist(), int(published[TRAINED].counts[joint])]
        )
    report.tables["jhmdb_joints"] = Table(
        "JHMDB: PCK of every joint, percent",
        ["joint", *(f"PCK@{THRESHOLDS[0]} {group}" for group in groups),
         *(f"{column} trained" for column in columns[1:]), "found"],
        lines,
    )  # fmt: skip
    report.figures["jhmdb_joints"] = _bars(
        report.tables["jhmdb_joints"], groups, f"JHMDB: PCK@{THRESHOLDS[0]}, percent", skip=1
    )


def add_vip(report: Report, results: Results, sequences: Sequence[Any], rows: Sequence[str]) -> None:
    """IoU of the parts over all videos."""
    import numpy as np

    from components.metrics.part_iou import part_scores
    from datamodules.videowalk.vip import VIP_CLASSES

    found = {
        row: part_scores(sum(np.array(each["confusion"]) for each in _of_row(results, row).values()))  # type: ignore[arg-type]
        for row in rows
    }
    columns = ("mIoU", "overall accuracy", "mean accuracy", "frequency-weighted IoU")
    scores = {
        row: dict(zip(columns, (each.mean_iou, each.overall_accuracy, each.mean_accuracy, each.frequency_weighted_iou),
                      strict=True))
        for row, each in found.items()
    }  # fmt: skip
    short = dict(zip(columns, ("miou", "overall_accuracy", "mean_accuracy", "fw_iou"), strict=True))
    _compare(report, "vip", "VIP: body parts, all videos together", scores, columns, short)
    groups = _groups(rows)
    lines: list[list[Value]] = [
        [name, *(finite_mean(found[row].iou[index] for row in group) for group in groups.values())]
        for index, name in enumerate(VIP_CLASSES)
    ]
    report.tables["vip_classes"] = Table(
        "VIP: IoU of every class", ["class", *(f"IoU {group}" for group in groups)], lines
    )
    report.figures["vip_classes"] = _bars(report.tables["vip_classes"], groups, "VIP: IoU", skip=1)


ADD: dict[str, Callable[[Report, Results, Sequence[Any], Sequence[str]], None]] = {
    "davis": add_davis,
    "jhmdb": add_jhmdb,
    "vip": add_vip,
}


def sequence_score(benchmark: str, content: Content, sequence: Any) -> float:
    """One number of a sequence, greater is better: J&F, PCK@0.1 (percent) or mean IoU."""
    import numpy as np

    from components.metrics.davis import global_scores
    from components.metrics.part_iou import part_scores

    if benchmark == "davis":
        return global_scores(_object_rows({sequence.name: content}))["J&F-Mean"]
    if benchmark == "jhmdb":
        return float(_pck({sequence.name: content}, [sequence], strict=True).mean[0])
    return part_scores(np.array(content["confusion"])).mean_iou


def _of_row(results: Results, row: str) -> dict[str, Content]:
    return {name: content for (own, name), content in results.items() if own == row}


def _object_rows(found: RowResults) -> "np.ndarray":
    import numpy as np

    from components.metrics.davis import ObjectScores

    return np.array([
        ObjectScores(each["id"], np.array(each["j"]), np.array(each["f"])).row()
        for content in found.values() for each in content["objects"]
    ])  # fmt: skip


def _pck(found: RowResults, sequences: Sequence[Any], strict: bool) -> Any:
    import numpy as np

    from components.metrics.pck import Pck

    score = Pck(strict)
    for sequence in sequences:
        score.update(sequence.joints, np.array(found[sequence.name]["joints"]))
    return score.scores()


def _groups(rows: Sequence[str]) -> dict[str, list[str]]:
    """Rows by what they are called in metrics: fresh networks together."""
    fresh = {kind: [row for row in rows if row.startswith(f"{kind}_")] for kind in (UNTRAINED, WHITENED)}
    groups = {"trained": [TRAINED], "adapted": [ADAPTED], "untrained": fresh[UNTRAINED],
              "untrained_whitened": fresh[WHITENED], "copy_first": [COPY]}  # fmt: skip
    return {group: found for group, found in groups.items() if found and found[0] in rows}


def _compare(
    report: Report,
    name: str,
    title: str,
    scores: Mapping[str, Mapping[str, float]],
    columns: Sequence[str],
    short: Mapping[str, str],
) -> None:
    """The headline table and the metrics that follow from it."""
    lines: list[list[Value]] = []
    for group, rows in _groups(list(scores)).items():
        values = {column: [scores[row][column] for row in rows] for column in columns}
        prefix = "" if group == "trained" else f"{group}_"
        for column in columns:
            report.metrics[f"eval/{prefix}{short[column]}"] = statistics.fmean(values[column])
        if not group.startswith("untrained"):
            lines.append([{"copy_first": COPY}.get(group, group), *(values[column][0] for column in columns)])
            continue
        label = group.replace("_", ", ")
        lines.append([_counted(label, "mean", len(rows)), *(statistics.fmean(values[column]) for column in columns)])
        if len(rows) > 1:
            lines.append([_counted(label, "std", len(rows)), *(statistics.stdev(values[c]) for c in columns)])
            report.metrics[f"eval/{prefix}{short[columns[0]]}_std"] = statistics.stdev(values[columns[0]])
    report.tables[name] = Table(title, ["row", *columns], lines)


def _counted(label: str, what: str, seeds: int) -> str:
    return f"{label}, {what} of {seeds} seeds" if seeds > 1 else label


def _published(columns: Sequence[str], lines: Sequence[Sequence[Value]]) -> str:
    """A table as the published evaluation writes it: three decimals, no row names."""
    shown = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in line] for line in lines]
    return "".join(",".join(line) + "\n" for line in [list(columns), *shown])


def _bars(table: Table, groups: Mapping[str, Any], title: str, skip: int) -> "Callable[[], Figure]":
    """Horizontal bars, a group of rows each; the table's columns from `skip` on are the groups."""

    def draw() -> "Figure":
        import numpy as np
        from matplotlib.figure import Figure

        from callbacks.figures import plain_axes

        names = [str(row[0]) for row in table.rows]
        figure = Figure(figsize=(7.2, 1.3 + 0.42 * len(names)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(names))[::-1]
        height = 0.8 / len(groups)
        for index, group in enumerate(groups):
            values = [float(row[skip + index]) for row in table.rows]
            axes.barh(places + 0.4 - (index + 0.5) * height, np.nan_to_num(values), height,
                      color=_COLORS[group], label=group.replace("_", " "))  # fmt: skip
        axes.set_yticks(places, names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        plain_axes(axes, title, grid="x")
        figure.legend(loc="outside lower center", ncols=len(groups), fontsize=8, frameon=False)
        return figure

    return draw
