"""Numbers, tables and files of an evaluation of skeletonclip, from the class scores of every sample."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrypoints.tasks.class_tables import class_rows, confusion_rows
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from components.metrics.retrieval import Retrieval
    from entrypoints.tasks.skeleton_scores import Answers

_COLUMNS = ("top-1 %", "95 % from", "to", "top-5 %", "mean class %", "95 % from", "to", "chance %", "samples")


@dataclass(frozen=True)
class Judged:
    """Class scores of N samples held against their labels."""

    names: list[str]
    labels: "np.ndarray"
    scores: "np.ndarray"
    """`[N, L]`."""
    class_names: list[str]
    confusion: "Tensor"
    """Counts `[true, predicted]`."""
    predictions: "np.ndarray"
    ranks: "np.ndarray"
    """Place of the true class, from 0 on."""

    def top(self, k: int) -> float:
        """Share of the samples whose class is among the k best."""
        return float((self.ranks < k).mean())

    @property
    def mean_class_accuracy(self) -> float:
        """See `components.metrics.classification`."""
        from components.metrics.classification import mean_class_accuracy

        return float(mean_class_accuracy(self.confusion))


def judge(names: list[str], labels: "np.ndarray", scores: "np.ndarray", class_names: list[str]) -> Judged:
    """Hold scores `[N, L]` against labels `[N]`."""
    import torch

    from components.metrics.classification import confusion_matrix, label_ranks

    truth = torch.from_numpy(labels)
    ranks, predictions = label_ranks(torch.from_numpy(scores), truth)
    confusion = confusion_matrix(truth, predictions, len(class_names))
    return Judged(names, labels, scores, class_names, confusion, predictions.numpy(), ranks.numpy())


def judge_answers(answers: "Answers") -> Judged:
    """The samples of one run."""
    return judge(answers.names, answers.labels, answers.probabilities(), answers.class_names)


def figures_of(judged: Judged) -> dict[str, float]:
    """Shares of 1 with their 95 % intervals, which are about other samples of the same kind, not other trainings.

    Top-k has Wilson's interval. Mean class accuracy has a normal one with the variance of each class's recall at its
    Agresti-Coull estimate, so that classes with few samples, all of them right, do not seem certain.
    """
    from components.metrics.classification import wilson_interval

    values: dict[str, float] = {}
    for k in (1, 5):
        low, high = wilson_interval(judged.top(k), len(judged.labels))
        values |= {f"top{k}": judged.top(k), f"top{k}_low": low, f"top{k}_high": high}
    mean, half = judged.mean_class_accuracy, _half_interval(judged.confusion.numpy())
    values |= {
        "mean_class_acc": mean,
        "mean_class_acc_low": max(0.0, mean - half),
        "mean_class_acc_high": min(1.0, mean + half),
    }
    return values


def _half_interval(confusion: "np.ndarray") -> float:
    """Half of the 95 % interval of mean class accuracy."""
    import numpy as np

    totals = confusion.sum(1)
    share = (np.diag(confusion) + 2) / (totals + 4)
    variances = np.where(totals > 0, share * (1 - share) / (totals + 4), 0)
    occurring = int((totals + confusion.sum(0) > 0).sum())
    return 1.96 * math.sqrt(float(variances.sum())) / occurring


def score_row(name: str, figures: Mapping[str, float], classes: int, samples: int) -> list[Value]:
    """A row of the headline table, in percent."""
    keys = ("top1", "top1_low", "top1_high", "top5", "mean_class_acc", "mean_class_acc_low", "mean_class_acc_high")
    return [name, *(100 * figures[key] for key in keys), 100 / classes, samples]


def score_table(title: str, rows: Sequence[Sequence[Value]]) -> Table:
    """The headline table."""
    return Table(title, ["run", *_COLUMNS], rows)


def add_run(report: Report, judged: Judged, split: str) -> dict[str, float]:
    """Metrics, the table by class, and the files of a run's own scores.

    Returns:
        Of `figures_of`.
    """
    from components.metrics.classification import class_scores, macro_mean

    figures = figures_of(judged)
    report.metrics |= {f"test/{name}": value for name, value in figures.items()}
    scores = class_scores(judged.confusion)
    macro = {name: macro_mean(getattr(scores, name), judged.confusion) for name in ("precision", "recall", "f1")}
    report.metrics |= {f"test/macro_{name}": value for name, value in macro.items()}
    report.metrics |= {"test/samples": float(len(judged.labels)), "test/chance": 1 / len(judged.class_names)}
    report.tables["classes"] = Table(
        f"Classes of {split}",
        ["class", "samples", "precision", "recall", "F1", "mostly mistaken for"],
        class_rows(judged.confusion, judged.class_names),
    )
    counts = Table("", ["", *judged.class_names], confusion_rows(judged.confusion, judged.class_names))
    report.files["confusion_matrix.csv"] = counts.to_csv()
    published = {
        "top1_acc": figures["top1"], "top5_acc": figures["top5"], "mean_class_accuracy": figures["mean_class_acc"],
        **{
            f"Class Wise {title}": [round(value, 3) for value in getattr(scores, name).nan_to_num(0.0).tolist()]
            for title, name in (("Precision", "precision"), ("Recall", "recall"), ("F1-score", "f1"))
        },
        "Overall Precision": macro["precision"], "Overall Recall": macro["recall"], "Overall F1-score": macro["f1"],
    }  # fmt: skip
    report.files["test_metric.json"] = json.dumps(published, indent=2) + "\n"
    wrong = {
        name: f"{judged.class_names[label]} but wrong predicted as {judged.class_names[said]}"
        for name, label, said in zip(judged.names, judged.labels, judged.predictions, strict=True)
        if label != said
    }
    report.files["wrong_sample_statistics.json"] = json.dumps(wrong, indent=2, ensure_ascii=False) + "\n"
    add_results(report, judged, "results")

    def draw() -> object:
        from entrypoints.tasks.class_figures import draw_confusions

        return draw_confusions({split: judged.confusion}, judged.class_names, of=("class", "sample"))

    report.figures["confusion_matrix"] = draw  # type: ignore[assignment]
    return figures


def add_results(report: Report, judged: Judged, name: str) -> None:
    """Scores of every sample as `<name>.npz` and `<name>.json`."""
    import numpy as np

    report.arrays[name] = {
        "outputs": judged.scores,
        "sample_names": np.array(judged.names, dtype=str),
        "labels": judged.labels,
        "class_names": np.array(judged.class_names, dtype=str),
    }
    samples = [
        {"name": sample, "label": int(label), "predicted": int(said), "scores": [round(value, 9) for value in row]}
        for sample, label, said, row in zip(
            judged.names, judged.labels, judged.predictions, judged.scores.tolist(), strict=True
        )
    ]
    lines = ",\n".join(json.dumps(sample, ensure_ascii=False) for sample in samples)
    classes = json.dumps(judged.class_names, ensure_ascii=False)
    report.files[f"{name}.json"] = f'{{"class_names": {classes},\n"samples": [\n{lines}\n]}}\n'


def add_retrieval(report: Report, directions: "Mapping[str, Retrieval]") -> None:
    """R@k and mAP of both directions beside chance."""
    rows: list[list[Value]] = []
    for name, found in directions.items():
        shares = (found.recall[1], found.chance[1], found.recall[5], found.chance[5], found.mean_average_precision)
        rows.append([name.replace("_", " "), *(100 * share for share in shares), found.queries])
        report.metrics |= {f"test/{name}_r{k}": share for k, share in found.recall.items()}
        report.metrics[f"test/{name}_map"] = found.mean_average_precision
    columns = ["query", "R@1 %", "chance %", "R@5 %", "chance %", "mAP %", "queries"]
    report.tables["retrieval"] = Table("Retrieval: texts and clips of the same class", columns, rows)


def add_unseen(report: Report, answers: "Answers", unseen: Sequence[int]) -> None:
    """Clips of classes that training has not seen: told apart among themselves, and among all classes.

    The last column says how often namings of these classes at random are as good, see `share_as_good_permuted`.

    Args:
        report: gets the table `unseen` and `test/unseen_...`, `test/seen_...` metrics.
        answers: of all classes; clips of seen classes may be among the samples.
        unseen: labels.
    """
    import numpy as np

    from components.metrics.classification import share_as_good_permuted

    classes = len(answers.class_names)
    alone = judge_answers(answers.among(unseen))
    rows = [_unseen_row(report, "unseen", f"unseen among the {len(unseen)} unseen", alone)]
    tops = {}
    for name, unknown in (("unseen", True), ("seen", False)):
        kept = np.flatnonzero(np.isin(answers.labels, list(unseen)) == unknown)
        if len(kept):
            part = judge_answers(answers.take(kept))
            tops[name] = part.top(1)
            rows.append(_unseen_row(report, f"{name}_among_all", f"{name} among all {classes}", part))
    if len(tops) == 2:
        both = sum(tops.values())
        report.metrics["test/seen_unseen_harmonic_top1"] = 2 * math.prod(tops.values()) / both if both else 0.0
    luck = share_as_good_permuted(alone.confusion)
    report.metrics["test/unseen_p_permuted"] = luck
    rows = [[*row, luck if row is rows[0] else math.nan] for row in rows]
    names = ", ".join(answers.class_names[label] for label in unseen)
    columns = ["samples of classes", "top-1 %", "95 % from", "to", "chance %", "mean recall %", "samples"]
    title = f"Classes that training has not seen: {names} (intervals: other samples, not other classes)"
    report.tables["unseen"] = Table(title, [*columns, "p, names permuted"], rows)


def _unseen_row(report: Report, key: str, title: str, judged: Judged) -> list[Value]:
    from components.metrics.classification import class_scores, macro_mean, wilson_interval

    samples, top1, chance = len(judged.labels), judged.top(1), 1 / len(judged.class_names)
    low, high = wilson_interval(top1, samples)
    recall = macro_mean(class_scores(judged.confusion).recall, judged.confusion)
    named = {"top1": top1, "top1_low": low, "top1_high": high, "chance": chance, "mean_recall": recall}
    report.metrics |= {f"test/{key}_{name}": value for name, value in named.items()}
    report.metrics[f"test/{key}_samples"] = float(samples)
    return [title, 100 * top1, 100 * low, 100 * high, 100 * chance, 100 * recall, samples]
