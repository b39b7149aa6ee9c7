"""Nodes of clips, the head, and features for label propagation."""

import pytest
import torch
from torch import nn

from components.errors import InputError
from components.media.normalization import IMAGENET
from lightning_modules.videowalk import upstream
from lightning_modules.videowalk.networks.feature_extractor import FeatureExtractor
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import ProjectionHead, WalkNetwork


def network(**settings) -> WalkNetwork:
    torch.manual_seed(0)
    return WalkNetwork(ResNet(18, "reflect", width=4), **settings)


def test_patches_are_nodes_in_their_order() -> None:
    net = network().eval()
    clips = torch.randn(2, 3, 3 * 5, 24, 24)
    q, maps = net(clips)
    assert q.shape == (2, 128, 3, 5)
    assert maps.shape == (2, 3, 5, 32, 3, 3)
    torch.testing.assert_close(q.norm(dim=1), torch.ones(2, 3, 5))
    alone = net.encoder(clips[1:, 2, 9:12])
    torch.testing.assert_close(maps[1, 2, 3], alone[0], rtol=1e-4, atol=1e-5)
    expected = nn.functional.normalize(net.selfsim_fc(alone.mean((-2, -1))), dim=-1)
    torch.testing.assert_close(q[1, :, 2, 3], expected[0], rtol=1e-4, atol=1e-5)


def test_cells_of_one_picture_are_nodes_row_by_row() -> None:
    net = network(head_depth=-1).eval()
    q, maps = net(torch.randn(2, 3, 3, 24, 32))
    assert maps.shape == (2, 3, 1, 32, 3, 4)
    expected = nn.functional.normalize(maps[1, 2, 0, :, 1, 2], dim=0)
    torch.testing.assert_close(q[1, :, 2, 4 + 2], expected)


def test_feature_dropout_acts_in_training_alone() -> None:
    net = network(featdrop=0.5).eval()
    clips = torch.randn(1, 3, 6, 24, 24)
    assert torch.equal(net(clips).q, net(clips).q)
    net.featdrop.train()
    assert not torch.equal(net(clips).q, net(clips).q)


def test_head_has_the_published_names() -> None:
    head = ProjectionHead(6, depth=2)
    assert list(head.state_dict()) == [f"{i}.{name}" for i in (0, 2, 4) for name in ("weight", "bias")]
    assert head(torch.randn(3, 6)).shape == (3, 128)
    assert ProjectionHead(6, depth=-1).channels == 6


@pytest.mark.parametrize("values", [{"head_depth": -2}, {"featdrop": 1.0}])
def test_wrong_values_are_named(values: dict) -> None:
    with pytest.raises(InputError, match="model." + next(iter(values))):
        network(**values)


def test_channels_must_be_colours() -> None:
    with pytest.raises(InputError, match="4 channels"):
        network()(torch.randn(1, 3, 4, 24, 24))


def test_extractor_normalises_and_leaves_the_mode_alone() -> None:
    net = network().train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    extractor = FeatureExtractor.of(net, use_head=False, remove_layers=["layer4"])
    images = torch.rand(2, 3, 40, 33)
    maps = extractor(images)
    assert maps.shape == (2, extractor.channels, 5, 5)
    assert (extractor.channels, extractor.stride) == (16, 8)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    short = net.encoder.without(["layer4"]).eval()
    torch.testing.assert_close(maps, short(IMAGENET.apply(images)))
    net.encoder.conv1.weight.data.zero_()
    assert not torch.equal(extractor(images), maps)


def test_extractor_with_head_needs_all_layers() -> None:
    net = network()
    assert FeatureExtractor.of(net, True, [])(torch.rand(1, 3, 24, 24)).shape == (1, 128, 3, 3)
    with pytest.raises(InputError, match="use_head=true"):
        FeatureExtractor.of(net, True, ["layer4"])


def test_published_names_of_all_ages() -> None:
    state = network().state_dict()
    theirs = upstream.to_upstream(state)
    assert "encoder.model.layer1.0.conv1.weight" in theirs
    old = {key.replace("conv1.weight", "conv1.1.weight"): value for key, value in theirs.items()}
    assert "encoder.model.conv1.1.weight" in old
    ours, unknown = upstream.to_ours(old | {"extra": torch.zeros(1)})
    assert set(ours) == set(state)
    assert unknown == ["extra"]
