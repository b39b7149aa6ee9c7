"""Late fusion: class scores of several runs of the same clips, added with factors (keypoint and limb, two streams)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from components.errors import InputError
from components.metrics.classification import fuse_scores
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.skeleton_report import Judged, add_results, figures_of, judge, score_row
from entrypoints.tasks.tables import Value

if TYPE_CHECKING:
    import numpy as np

# Factors that papers print for two streams.
_PUBLISHED = ((1.0, 1.0), (2.0, 1.0), (1.0, 2.0))


def add_fusion(
    report: Report,
    own: Judged,
    others: "Mapping[str, tuple[list[str], np.ndarray, list[str] | None]]",
    weights: Sequence[float] | None,
) -> list[list[Value]]:
    """Metrics `test/fused_2_1_top1`, ... and the scores of the asked factors as `results_fused`.

    Args:
        report: gets them.
        own: scores of the run.
        others: names, scores and classes of the others by name.
        weights: one per run, the run itself first; None = all 1.

    Returns:
        Rows of the headline table: each run, then each fusion.

    Raises:
        InputError: other classes or samples.
    """
    rows: list[list[Value]] = []
    labels = dict(zip(own.names, own.labels.tolist(), strict=True))
    for name, (names, scores, classes) in others.items():
        if classes is not None and classes != own.class_names:
            raise InputError(
                f"fuse: the classes of {name} are {', '.join(classes[:5])} ... ({len(classes)}),\n"
                f"those of the run {', '.join(own.class_names[:5])} ... ({len(own.class_names)}); "
                "only scores of the same classes can be added"
            )
        matched, again = fuse_scores([(own.names, own.scores), (names, scores)], [0, 1])
        judged = judge(matched, own.labels, again, own.class_names)
        rows.append(score_row(name, figures_of(judged), len(own.class_names), len(labels)))
    parts = [(own.names, own.scores), *((names, scores) for names, scores, _ in others.values())]
    asked = tuple(float(weight) for weight in weights or [1.0] * len(parts))
    ratios = list(dict.fromkeys([*(_PUBLISHED if len(parts) == 2 else ()), asked]))
    for ratio in ratios:
        names, scores = fuse_scores(parts, ratio)
        judged = judge(names, own.labels, scores, own.class_names)
        figures = figures_of(judged)
        key = "_".join(f"{weight:g}" for weight in ratio)
        report.metrics |= {f"test/fused_{key}_{name}": value for name, value in figures.items()}
        rows.append(score_row(f"fused {key.replace('_', ':')}", figures, len(own.class_names), len(labels)))
        if ratio == asked:
            add_results(report, judged, "results_fused")
    return rows
