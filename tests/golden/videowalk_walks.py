"""Golden cases of the contrastive random walk: network, transitions, cycles, losses, gradients, Sinkhorn."""

from collections.abc import Callable

import numpy as np
import torch

from lightning_modules.videowalk import upstream
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.sinkhorn import sinkhorn, sinkhorn_published
from lightning_modules.videowalk.walk import (
    EdgeDraws,
    Walk,
    affinity,
    dropped_edges,
    palindromes,
    transitions,
)
from tests.golden.harness import Case


def crw_forward(case: Case) -> None:
    config = case.meta["config"]
    network = WalkNetwork(ResNet(18, "reflect"), config["head_depth"], config["featdrop"]).eval()
    weights = case.weights()
    ours, unknown = upstream.to_ours(weights)
    assert not unknown
    network.load_state_dict(ours)
    assert list(upstream.to_upstream(network.state_dict())) == list(weights)
    walk = Walk(config["temp"], config["dropout"], flip=config["flip"], memory_limit=1).eval()

    features = network(case.tensor("in/x"))
    case.check("out/q", features.q)
    for name in case.names("out/map_"):
        first = features.maps[0, 0, 0]
        case.check(name, first if "_n0" in name else first.flatten(1).T)
    result = walk(features.q)
    case.check("out/loss", result.loss[None])
    for name in case.names("out/xent_"):
        case.check(name, result.xent[name.removeprefix("out/xent_")])
    for name in case.names("out/acc_"):
        case.check(name, result.acc[name.removeprefix("out/acc_")])
    assert len(case.names("out/xent_")) == len(result.xent)

    result.loss.backward()
    theirs = upstream.to_upstream({name: value.grad for name, value in network.named_parameters()})
    allowed = case.meta["compare"]["grad/*"]["max_abs_difference_over_max_abs_reference"]
    names = case.names("grad/")
    assert names
    for name in names:
        expected = case.tensor(name)
        difference = (theirs[name.removeprefix("grad/")] - expected).abs().max() / expected.abs().max()
        assert difference < allowed, f"{name}: {difference}"


def walks(case: Case) -> None:
    config = case.meta["config"]
    q = case.tensor("in/q")
    draws = EdgeDraws(case.tensor("in/rand12").transpose(0, 1), case.tensor("in/rand21").transpose(0, 1))
    affinities = affinity(q)
    case.check("out/affinity", affinities)
    for setting in ("nodrop", "drop"):
        rate = config["edge_dropout"] if setting == "drop" else 0.0
        dropped = dropped_edges(draws, rate, "upstream_union") if rate else None
        steps = transitions(affinities, config["temperature"], dropped)
        case.check(f"out/{setting}/A12", steps.forward.transpose(0, 1))
        case.check(f"out/{setting}/A21", steps.backward.transpose(0, 1))
        for flip, letter in ((False, "r"), (True, "l")):
            for i, cycle in enumerate(palindromes(steps, flip), start=1):
                case.check(f"out/{setting}/cycle_{letter}{i}", cycle)
            # The published code drops edges in evaluation too.
            walk = Walk(config["temperature"], rate, "upstream_union", dropout_in_eval=True, flip=flip).eval()
            result = walk(q, draws)
            case.check(f"out/{setting}/loss_{'flip' if flip else 'noflip'}", result.loss[None])
            assert len(result.xent) == len(case.names(f"out/{setting}/xent_{letter}"))
            for name in result.xent:
                case.check(f"out/{setting}/xent_{name.replace('r', letter)}", result.xent[name])
                case.check(f"out/{setting}/acc_{name.replace('r', letter)}", result.acc[name])


def sinkhorn_case(case: Case) -> None:
    config = case.meta["config"]
    logs = case.tensor("in/affinity") / config["temperature"]
    torch.testing.assert_close(logs.exp(), case.tensor("in/kernel"), rtol=1e-5, atol=0)
    for name, setting in config["settings"].items():
        tolerance, bound = setting["tol"], setting["max_iter"]
        for kind, kernel in (("batched", case.tensor("in/kernel")), ("single", case.tensor("in/kernel")[0])):
            matrices, iterations = sinkhorn_published(kernel, tolerance, bound)
            case.check(f"out/{kind}_{name}", matrices)
            if name != "c":  # float32 noise decides there
                assert iterations == int(case.arrays[f"out/{kind}_{name}_iterations"])
            if kind == "batched":
                np.testing.assert_array_equal(matrices.argmax(-1).numpy(), case.arrays[f"out/{kind}_{name}_argmax"])
        # A single matrix stops for itself in both: our own version, on logarithms, agrees.
        ours, steps = sinkhorn(logs[0], tolerance, bound)
        case.check(f"out/single_{name}", ours)
        if name != "c":
            assert int(steps) == int(case.arrays[f"out/single_{name}_iterations"])


HANDLERS: dict[str, Callable[[Case], None]] = {
    "crw_forward": crw_forward,
    "crw_forward_single": crw_forward,
    "walks": walks,
    "sinkhorn": sinkhorn_case,
}
