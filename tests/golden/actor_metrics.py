"""Golden case of ACTOR's evaluation metrics and of the numbers in its tables."""

from collections.abc import Callable

import numpy as np
import torch

from components.metrics.classification import accuracy, confusion_matrix
from components.metrics.frechet import frechet_distance, gaussian_fit
from lightning_modules.actor.metrics import mean_pair_distance, summarize
from tests.golden.harness import Case


def check_metrics(case: Case) -> None:
    """FID, diversity, multimodality and accuracy with the recorded draws, and the table's two numbers."""
    real, generated, labels = (case.tensor(f"in/{name}") for name in ("features_gt", "features_gen", "labels_gt"))
    mean, covariance = gaussian_fit(real)
    case.check("out/mean_gt", mean)
    case.check("out/cov_gt", covariance)
    case.check("out/fid_gen", frechet_distance(generated, real).reshape(1))
    case.check("out/fid_self", frechet_distance(real, real).reshape(1))
    pairs = torch.stack([case.tensor("in/diversity_first"), case.tensor("in/diversity_second")], dim=1)
    assert len(pairs) == case.meta["config"]["diversity_times"]
    case.check("out/diversity", mean_pair_distance(real, pairs).reshape(1))
    pairs = case.tensor("in/multimodality_pairs")
    assert len(pairs) == case.meta["config"]["multimodality_times"] * case.meta["config"]["num_classes"]
    case.check("out/multimodality", mean_pair_distance(real, pairs).reshape(1))
    confusion = confusion_matrix(labels, case.tensor("in/logits").argmax(1), case.meta["config"]["num_classes"])
    case.check("out/confusion", confusion)
    case.check("out/accuracy", accuracy(confusion).reshape(1))
    for name, scale, printed in (("fid", 1.0, "{:.2f} +/- {:.2f}"), ("accuracy", 100.0, "{:.1f} +/- {:.2f}")):
        summary = summarize((scale * case.arrays[f"in/{name}_per_seed"].astype(np.float64)).tolist())
        case.check(f"out/table_{name}", np.array([summary.mean, summary.published_interval]))
        assert printed.format(summary.mean, summary.published_interval) == case.meta["config"][f"printed_{name}"]


HANDLERS: dict[str, Callable[[Case], None]] = {"metrics": check_metrics}
