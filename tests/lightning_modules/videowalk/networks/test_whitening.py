"""Decorrelated channels: what the statistics are, and where they are used."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components.errors import InputError
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.networks.whitening import Whitening


def correlated(seed: int = 0, count: int = 4) -> Tensor:
    """Maps `[count, 6, 9, 7]` with a large common part."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(99))
    maps = torch.randn(count, 6, 9, 7, generator=generator)
    return torch.einsum("dc,bchw->bdhw", mixing, maps) + 5.0


def covariance(maps: Tensor) -> Tensor:
    return torch.cov(maps.transpose(0, 1).flatten(1), correction=0)


def network(**settings) -> WalkNetwork:
    torch.manual_seed(0)
    return WalkNetwork(ResNet(18, "reflect", width=4, remove_layers=["layer4"]), whitening=True, **settings)


def test_trained_maps_are_centred_and_uncorrelated() -> None:
    whitening, maps = Whitening(6, ridge=1e-6), correlated()
    white = whitening(maps)
    torch.testing.assert_close(white.mean((0, 2, 3)), torch.zeros(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(covariance(white), torch.eye(6), atol=1e-2, rtol=0)


def test_cosines_are_those_of_zca_with_the_ridge() -> None:
    maps = correlated().double()
    white = Whitening(6, ridge=0.5).double()(maps)
    found = covariance(maps)
    values, axes = torch.linalg.eigh(found + 0.5 * found.diagonal().mean() * torch.eye(6))
    zca = axes @ torch.diag(values.rsqrt()) @ axes.T
    cells = (maps - maps.mean((0, 2, 3), keepdim=True)).permute(0, 2, 3, 1).flatten(0, 2)
    expected, answer = F.normalize(cells @ zca, dim=1), F.normalize(white.permute(0, 2, 3, 1).flatten(0, 2), dim=1)
    torch.testing.assert_close(answer @ answer.T, expected @ expected.T)


def test_cosines_are_the_plain_ones_before_training() -> None:
    maps = correlated()
    plain, white = F.normalize(maps, dim=1), F.normalize(Whitening(6).eval()(maps), dim=1)
    torch.testing.assert_close(white, plain)


def test_first_batches_count_alike_then_later_ones_more() -> None:
    whitening = Whitening(6)
    batches = [correlated(seed) for seed in range(3)]
    for batch in batches:
        whitening(batch)
    torch.testing.assert_close(whitening.mean, torch.cat(batches).mean((0, 2, 3)))
    whitening.num_batches_tracked.fill_(10_000)
    before = whitening.mean.clone()
    whitening(batches[0] + 1)
    torch.testing.assert_close(whitening.mean, before.lerp(batches[0].mean((0, 2, 3)) + 1, 0.02))


def test_evaluation_leaves_the_statistics_alone() -> None:
    whitening = Whitening(6)
    whitening(correlated())
    kept = {key: value.clone() for key, value in whitening.eval().state_dict().items()}
    whitening(correlated(1))
    assert all(torch.equal(value, kept[key]) for key, value in whitening.state_dict().items())


def test_half_precision_is_whitened_in_float32() -> None:
    whitening, maps = Whitening(6), correlated()
    with torch.autocast("cpu", torch.bfloat16):
        half = whitening(maps.bfloat16())
    assert half.dtype == torch.bfloat16
    whitening.eval()
    torch.testing.assert_close(half.float(), whitening(maps), atol=0.1, rtol=0.05)


def test_dead_channels_do_no_harm() -> None:
    whitening, maps = Whitening(6), correlated()
    maps[:, 3] = 0
    assert whitening(maps).isfinite().all()
    assert whitening(torch.zeros(1, 6, 2, 2)).isfinite().all()


def test_gradients_reach_the_encoder_but_not_through_the_statistics() -> None:
    whitening, maps = Whitening(6), correlated().requires_grad_()
    weights = torch.randn(4, 6, 9, 7)
    (whitening(maps) * weights).sum().backward()
    learned = maps.grad
    again = maps.detach().requires_grad_()
    (whitening.eval()(again) * weights).sum().backward()
    torch.testing.assert_close(learned, again.grad)


def test_nodes_and_features_are_whitened() -> None:
    net = network().train()
    for _ in range(3):
        net(torch.randn(2, 3, 3 * 4, 24, 24))
    extractor = FeatureExtractor.of(net, use_head=False, remove_layers=["layer4"])
    images = torch.rand(2, 3, 40, 32)
    net.eval()
    assert net.whitening is not None
    plain = net.encoder(net.encoder.normalization.apply(images))
    torch.testing.assert_close(extractor(images), net.whitening(plain))
    nodes = F.normalize(net.selfsim_fc(net.whitening(plain).flatten(2).transpose(1, 2)), dim=-1)
    q = net(net.encoder.normalization.apply(images)[None]).q
    torch.testing.assert_close(q[0].permute(1, 2, 0), nodes)
    with_head = FeatureExtractor.of(net, use_head=True, remove_layers=[])
    assert with_head(images).shape == (2, 128, 5, 4)


@pytest.mark.parametrize("layers", [["layer3", "layer4"], ["maxpool"]])
def test_statistics_of_other_layers_are_refused(layers: list[str]) -> None:
    with pytest.raises(InputError, match=r"Set remove_layers=\[\]"):
        FeatureExtractor.of(network(), use_head=False, remove_layers=layers)


def test_a_batch_that_is_not_finite_is_left_out() -> None:
    whitening, maps = Whitening(6), correlated()
    whitening(maps)
    kept = {key: value.clone() for key, value in whitening.state_dict().items()}
    maps[0, 2, 1, 1] = torch.inf
    whitening(maps)
    assert all(torch.equal(value, kept[key]) for key, value in whitening.state_dict().items())


@pytest.mark.parametrize("offset", [0.0, 3e3])
def test_a_large_mean_takes_no_digits(offset: float) -> None:
    whitening, maps = Whitening(6), correlated()
    expected = Whitening(6).double()(maps.double())
    torch.testing.assert_close(whitening(maps + offset).double(), expected, rtol=1e-2, atol=1e-2)
