"""Evaluation of a recogniser itself: which actions of the test split it tells apart."""

from typing import TYPE_CHECKING, Any

from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from entrypoints.runs import LoadedRun


def evaluate_recognizer(run: "LoadedRun", module: Any, datamodule: Any) -> Report:
    """Accuracy by class and the confusion matrix, from the counts of the test loop that has just run.

    Args:
        run: what is evaluated.
        module: its `RecognizerModule`, tested.
        datamodule: gives the names of the classes.
    """
    counts = module.confusion.confmat.cpu()
    names = list(datamodule.action_names)
    rows: list[list[Value]] = []
    for label, name in enumerate(names):
        right, total = int(counts[label, label]), int(counts[label].sum())
        others = counts[label].clone()
        others[label] = 0
        taken_for = names[int(others.argmax())] if int(others.sum()) else "-"
        rows.append([name, total, right / total if total else float("nan"), taken_for])
    total = int(counts.sum())
    rows.append(["all", total, int(counts.trace()) / total if total else float("nan"), "-"])
    report = Report(f"{run.experiment}: {run.checkpoint_path}")
    report.tables["accuracy"] = Table(
        "Recognition of the test split", ["action", "motions", "right", "mostly mistaken for"], rows
    )
    report.metrics = {f"eval/accuracy/{row[0]}": float(row[2]) for row in rows if row[1]}

    def draw() -> "Figure":
        from entrypoints.tasks.recognition_figures import draw_confusions

        return draw_confusions({"test split": counts}, names)

    report.figures["confusion"] = draw
    return report
