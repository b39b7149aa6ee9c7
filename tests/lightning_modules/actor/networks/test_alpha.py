from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn

from components.errors import InputError
from lightning_modules.actor.generation import ActionPair, generate, parse_actions, request_alpha
from lightning_modules.actor.networks.alpha import AlphaFilm, share_of_labels
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder


def network(encoder: Any = TransformerEncoder, **settings: Any) -> ActorCVAE:
    torch.manual_seed(0)
    sizes = {"num_classes": 4, "num_frames": 5, "latent_dim": 8, "ff_size": 8, "num_layers": 2, "num_heads": 2}
    return ActorCVAE(encoder, TransformerDecoder, **sizes, conditioning="pair", **settings)


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    motion = torch.randn(3, 25, 6, 5, generator=generator)
    return (
        motion,
        torch.ones(3, 5, dtype=torch.bool),
        torch.tensor([0, 1, 2]),
        torch.tensor([0, 2, 3]),
        torch.zeros(3, 8),
    )


def test_off_leaves_no_parameters_and_on_starts_as_the_same_network() -> None:
    plain, conditioned = network().eval(), network(alpha_embedding=True).eval()
    extra = conditioned.state_dict().keys() - plain.state_dict().keys()
    assert {key.split(".")[1] for key in extra} == {"alpha_film"}
    assert plain.state_dict().keys() <= conditioned.state_dict().keys()
    missing = conditioned.load_state_dict(plain.state_dict(), strict=False)
    assert set(missing.missing_keys) == extra
    for alpha in (torch.tensor([0.1, 0.5, 0.9]), None):
        torch.testing.assert_close(conditioned(*inputs(), alpha).motion, plain(*inputs()).motion, rtol=0, atol=0)


def test_alpha_reaches_latent_and_motion() -> None:
    net = network(alpha_embedding=True).eval()
    for part in net.modules():
        if isinstance(part, AlphaFilm):
            nn.init.normal_(part.modulation.weight)
    low, high = net(*inputs(), torch.full((3,), 0.2)), net(*inputs(), torch.full((3,), 0.8))
    assert (low.mu - high.mu).abs().max() > 1e-3
    z, (_, mask, first, second, _) = torch.zeros(3, 8), inputs()
    shares = [torch.tensor([1.0, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.5])]
    made = [net.decode(z, mask, first, second, share) for share in shares]
    assert (made[0] - made[1]).abs().amax(dim=(1, 2, 3))[0] > 1e-4
    torch.testing.assert_close(made[0][1:], made[1][1:])
    # Nothing said: one action is all of it, a pair half.
    torch.testing.assert_close(net.decode(z, mask, first, second), made[0])


def test_gradients_reach_it() -> None:
    net = network(alpha_embedding=True)
    out = net(*inputs(), torch.tensor([0.3, 0.6, 1.0]))
    (out.motion.square().mean() + out.mu.square().mean()).backward()
    assert all(
        part.modulation.weight.grad.abs().sum() > 0  # type: ignore[union-attr]
        for part in net.modules()
        if isinstance(part, AlphaFilm)
    )


def test_shares_of_labels() -> None:
    first, second = torch.tensor([1, 1]), torch.tensor([1, 2])
    assert share_of_labels(first, second).tolist() == [1.0, 0.5]
    soft = torch.eye(3)
    assert share_of_labels(soft[first], soft[second]).tolist() == [1.0, 0.5]


def test_generation_with_a_share() -> None:
    net = network(alpha_embedding=True)
    for part in net.modules():
        if isinstance(part, AlphaFilm):
            nn.init.normal_(part.modulation.weight)
    names = ("walk", "drink", "throw", "walk+drink")
    requests = parse_actions(["walk", "walk + drink", "walk+throw"], names)
    assert requests == [ActionPair(0, 0), ActionPair(3, 3), ActionPair(0, 2)]
    assert request_alpha(requests, names, 0.3).tolist() == pytest.approx([1.0, 0.3, 0.3])

    def made(alpha: torch.Tensor | None) -> torch.Tensor:
        return generate(net, requests, [5] * 3, 2, generator=torch.Generator().manual_seed(0), alpha=alpha).motion

    low, high = made(request_alpha(requests, names, 0.2)), made(request_alpha(requests, names, 0.8))
    changed = (low - high).abs().amax(dim=(1, 2, 3)) > 1e-5
    assert changed.tolist() == [False, True, True] * 2


def test_networks_that_take_no_alpha_are_refused() -> None:
    class Other(nn.Module):
        def __init__(self, sizes: NetworkSizes) -> None:
            super().__init__()
            assert asdict(sizes)["alpha_embedding"]

    with pytest.raises(InputError, match=r"alpha_embedding=true: Other \(model.net.encoder\)"):
        network(Other, alpha_embedding=True)
