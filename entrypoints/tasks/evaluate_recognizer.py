"""Evaluation of a recogniser itself: which actions of the test split it tells apart, and which it mistakes."""

from typing import TYPE_CHECKING, Any

from entrypoints.tasks.class_tables import class_rows, confusion_rows
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from entrypoints.runs import LoadedRun


def evaluate_recognizer(run: "LoadedRun", module: Any, datamodule: Any) -> Report:
    """Accuracy, precision, recall and F1 by class, and the confusion matrix.

    Args:
        run: what is evaluated.
        module: its `RecognizerModule`, in evaluation mode.
        datamodule: set up for testing; gives motions and the names of the classes.
    """
    names = list(datamodule.action_names)
    counts, top2 = _count(module, datamodule)
    rows = class_rows(counts, names)
    report = Report(f"{run.experiment}: {run.checkpoint_path}")
    report.tables["recognition"] = Table(
        "Recognition of the test split",
        ["action", "motions", "precision", "recall", "F1", "mostly mistaken for"],
        rows,
    )
    report.tables["confusion"] = Table(
        "Motions of an action (row) recognised as (column)", ["action", *names], confusion_rows(counts, names)
    )
    total = int(counts.sum())
    report.metrics = {"eval/accuracy": int(counts.trace()) / total, "eval/top2_accuracy": top2 / total}
    report.metrics["eval/macro_f1"] = float(rows[-1][4])
    report.metrics["eval/motions"] = float(total)
    report.metrics |= {f"eval/recall/{row[0]}": float(row[3]) for row in rows[:-1] if row[1]}

    def draw() -> "Figure":
        from entrypoints.tasks.class_figures import draw_confusions

        return draw_confusions({"test split": counts}, names)

    report.figures["confusion"] = draw
    return report


def _count(module: Any, datamodule: Any) -> "tuple[Tensor, int]":
    """Counts `[true, recognised]` of the test split, and how often the label is among the two likeliest."""
    import torch

    from components.metrics.classification import confusion_matrix, top_k_hits

    device = next(module.parameters()).device
    counts = torch.zeros(module.num_classes, module.num_classes, dtype=torch.int64)
    top2 = 0
    with torch.no_grad():
        for batch in datamodule.test_dataloader():
            label = batch["action"]
            logits = module.recognize(batch["motion"].to(device), batch["mask"].to(device)).logits.cpu()
            counts += confusion_matrix(label, logits.argmax(dim=1), module.num_classes)
            top2 += int(top_k_hits(logits, label, 2).sum())
    return counts, top2
