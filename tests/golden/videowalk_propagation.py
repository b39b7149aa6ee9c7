"""Golden cases of label propagation."""

from typing import Any

import numpy as np
import torch

from lightning_modules.videowalk.propagation.labels import to_cells, upsample_ids
from lightning_modules.videowalk.propagation.propagator import LabelPropagator
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from lightning_modules.videowalk.propagation.source_bank import padded_sources
from tests.golden.harness import Case


def label_propagation(case: Case) -> None:
    """Soft labels, masks and source indices of all settings."""
    config, compare = case.meta["config"], case.meta["compare"]
    features, labels0 = case.tensor("in/features"), case.tensor("in/labels0").permute(2, 0, 1)
    assert labels0.shape[0] == config["labels"]
    whole = case.tensor("in/onehot_full").float().permute(2, 0, 1)
    torch.testing.assert_close(to_cells(whole, (labels0.shape[1], labels0.shape[2])), labels0)
    for name, values in config["settings"].items():
        settings = _settings({**config["defaults"], **values})
        soft = torch.stack(list(LabelPropagator(settings).run(iter(features), labels0)))
        rules = compare.get(f"out/{name}/soft", compare["out/<other>/soft"])
        expected = case.tensor(f"out/{name}/soft").permute(0, 3, 1, 2)
        torch.testing.assert_close(soft, expected, rtol=rules.get("rtol", 0), atol=rules["atol"])
        assert (soft - expected).abs().mean() <= rules.get("mean_abs_at_most", rules["atol"])
        ids = torch.stack([upsample_ids(each, tuple(config["output_size"]), range(config["labels"])) for each in soft])
        rules = compare.get(f"out/{name}/mask", compare["out/<other>/mask"])
        equal = (ids.numpy() == case.arrays[f"out/{name}/mask"]).mean()
        assert equal >= rules["fraction_equal_at_least"], f"{name}: {equal:.4f} of the pixels are equal"
    for name, values in config["banks"].items():
        settings = _settings({**config["defaults"], "topk": 1, "radius": 1, **values})
        table = [padded_sources(target, settings) for target in range(values["frames"])]
        np.testing.assert_array_equal(table, case.arrays[f"out/{name}"])


def _settings(values: dict[str, Any]) -> PropagationSettings:
    return PropagationSettings(
        context=values["n_context"],
        topk=values["topk"],
        radius=values["radius"],
        temperature=values.get("temperature", 1.0),
        long_memory=tuple(values["long_mem"]),
        published_long_memory=True,
        norm_mask=values["norm_mask"],
        normalize=not values["no_l2"],
    )


HANDLERS = {"label_propagation": label_propagation}
