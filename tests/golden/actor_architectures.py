"""Golden cases of ACTOR's other architectures and of its ablations."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.upstream_names import from_upstream, to_upstream
from lightning_modules.actor.upstream_networks import DECODERS, ENCODERS
from tests.golden.harness import Case

_SIZES = ("num_classes", "num_frames", "latent_dim", "ff_size", "num_layers", "num_heads", "dropout", "activation")


def _load(case: Case, part: str, network: str) -> nn.Module:
    """The published network with the case's weights, every one of them used."""
    config = case.meta["config"]
    sizes = NetworkSizes(config["njoints"], config["nfeats"], **{key: config[key] for key in _SIZES if key in config})
    net = (ENCODERS if part == "encoder" else DECODERS)[network].make(sizes)
    net.load_state_dict(from_upstream(case.weights(), part, network))
    return net.train(case.meta["mode"].startswith("train"))


def _check_gradients(case: Case, net: nn.Module, part: str, network: str, inputs: dict[str, Tensor]) -> None:
    grads = to_upstream({name: parameter.grad for name, parameter in net.named_parameters()}, part, network)
    names = case.names("grad/")
    assert names
    for name in names:
        key = name.removeprefix("grad/")
        case.check(name, inputs[key].grad if key in inputs else grads[key])


def encoder(case: Case, network: str) -> None:
    net = _load(case, "encoder", network)
    x, labels = case.tensor("in/x").requires_grad_(), case.tensor("in/y")
    mu, logvar = net(x, case.tensor("in/mask").bool(), labels, labels)
    case.check("out/mu", mu)
    case.check("out/logvar", logvar)
    ((mu * case.tensor("in/grad_mu")).sum() + (logvar * case.tensor("in/grad_logvar")).sum()).backward()
    _check_gradients(case, net, "encoder", network, {"in/x": x})


def decoder(case: Case, network: str) -> None:
    net = _load(case, "decoder", network)
    z, labels = case.tensor("in/z").requires_grad_(), case.tensor("in/y")
    target = (case.tensor("in/x"),) if net.training and "in/x" in case.arrays else ()
    output = net(z, case.tensor("in/mask").bool(), labels, labels, *target)
    case.check("out/output", output)
    (output * case.tensor("in/grad_output")).sum().backward()
    _check_gradients(case, net, "decoder", network, {"in/z": z})


def autoregressive(case: Case) -> None:
    """Beside the numbers: both modes agree once the free one is given its own output."""
    decoder(case, "autotrans")
    net = _load(case, "decoder", "autotrans").eval()
    z, labels, mask = case.tensor("in/z"), case.tensor("in/y"), case.tensor("in/mask").bool()
    with torch.no_grad():
        free = net(z, mask, labels, labels)
        torch.testing.assert_close(net(z, mask, labels, labels, free), free, rtol=1e-4, atol=1e-5)


HANDLERS: dict[str, Callable[[Case], None]] = {
    "encoder_average": partial(encoder, network="average_encoder"),
    "encoder_gru": partial(encoder, network="gru"),
    "encoder_fc": partial(encoder, network="fc"),
    **{f"decoder_{network}": partial(decoder, network=network)
       for network in ("gru", "fc", "zandtime", "time_encoding", "concat_bias")},
    "decoder_autotrans_tf": autoregressive,
    "decoder_autotrans_free": autoregressive,
}  # fmt: skip
