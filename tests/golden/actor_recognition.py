"""Golden cases of ACTOR that its recognisers answer."""

from collections.abc import Callable

import torch

from components.body.skeleton import SMPL_PARENTS
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer
from lightning_modules.actor.networks.recognition import Recognition
from lightning_modules.actor.networks.stgcn import STGCNRecognizer, spatial_partitions
from lightning_modules.actor.recognizer_upstream import gru_from_upstream, stgcn_from_upstream
from tests.golden.harness import Case


def _check(case: Case, result: Recognition) -> None:
    case.check("out/features", result.features)
    case.check("out/logits", result.logits)


@torch.no_grad()
def gru_classifier(case: Case) -> None:
    config, weights = case.meta["config"], case.weights()
    feature_size = len(weights["linear1.bias"])
    net = GRURecognizer(
        config["input_size"], config["hidden_size"], config["hidden_layer"], feature_size, config["output_size"]
    ).eval()
    net.load_state_dict(gru_from_upstream(weights))
    points, lengths, hidden = (case.tensor(f"in/{name}") for name in ("xyz", "lengths", "hidden0"))
    _check(case, net(points, lengths, hidden))
    for row, length in enumerate(lengths):
        # A batch of one without padding says the same.
        alone = net(points[row : row + 1, ..., :length], lengths[row : row + 1], hidden[:, row : row + 1].contiguous())
        torch.testing.assert_close(alone.logits[0], case.tensor("out/logits")[row], **case.tolerance("out/logits"))


@torch.no_grad()
def stgcn_classifier(case: Case) -> None:
    config, weights = case.meta["config"], case.weights()
    assert tuple(case.arrays["in/parents"]) == SMPL_PARENTS
    case.check("state/A", spatial_partitions())
    net = STGCNRecognizer(config["in_channels"], config["num_class"], config["edge_importance_weighting"]).eval()
    # Constant entries are not in the file; edge weights among them stay at 1, their first value.
    missing, unexpected = net.load_state_dict(stgcn_from_upstream(weights), strict=False)
    assert not unexpected
    assert set(missing) == {name for name in case.meta["constant_buffers"] if name != "A"}
    motion = case.tensor("in/x")
    _check(case, net(motion))
    _check(case, net(motion, torch.full((len(motion),), motion.shape[-1])))


HANDLERS: dict[str, Callable[[Case], None]] = {
    "gru_classifier": gru_classifier,
    "gru_classifier_rich": gru_classifier,
    "stgcn_classifier": stgcn_classifier,
    "stgcn_classifier_rich": stgcn_classifier,
}
