"""The networks by hand: names, sizes, strides, borders and removal of layers."""

import pytest
import torch
from torch import nn

from components.errors import InputError
from lightning_modules.videowalk.networks.resnet import ResNet


def test_sizes_are_the_published_ones() -> None:
    assert sum(p.numel() for p in ResNet(18, "reflect", ["layer4"]).parameters()) == 2_782_784
    network = ResNet(18, "reflect")
    assert sum(p.numel() for p in network.parameters()) + 512 * 128 + 128 == 11_242_176
    assert len(network.state_dict()) == 120
    assert len(ResNet(18, "zeros", ["layer4"]).state_dict()) == 90
    assert sum(p.numel() for p in ResNet(50, "zeros").parameters()) == 23_508_032


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("removed", [[], ["layer4"], ["layer3", "layer4"], ["maxpool"]])
def test_channels_and_stride_are_those_of_the_map(depth: int, removed: list[str]) -> None:
    network = ResNet(depth, "reflect", removed, width=4).eval()
    size = 41
    maps = network(torch.randn(2, 3, size, size))
    side = -(-size // network.stride)
    assert maps.shape == (2, network.channels, side, side)
    assert all(torch.equal(m.running_var, torch.ones_like(m.running_var)) for m in _norms(network))


def _norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_without_shares_weights_and_leaves_the_original_whole() -> None:
    network = ResNet(18, "reflect", width=4).eval()
    images = torch.randn(1, 3, 32, 32)
    before = network(images)
    shorter = network.without(["layer4"])
    assert (shorter.channels, network.channels) == (16, 32)
    assert shorter(images).shape[1] == 16
    torch.testing.assert_close(network(images), before)
    assert shorter.conv1.weight is network.conv1.weight
    assert shorter.without(["maxpool"]).stride == 4
    assert shorter.without(["maxpool"]).channels == 16


def test_reflect_border_is_that_of_torch() -> None:
    network = ResNet(18, "reflect", width=4).eval()
    plain = torch.nn.Conv2d(3, 4, 7, 2, 3, bias=False, padding_mode="reflect")
    plain.weight.data = network.conv1.weight.data
    images = torch.randn(2, 3, 20, 23)
    torch.testing.assert_close(network.conv1(images), plain(images))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 34}, "model.encoder.depth=34"),
        ({"padding_mode": "mirror"}, "model.encoder.padding_mode=mirror"),
        ({"remove_layers": ["layer1"]}, "'layer1' cannot be removed"),
        ({"remove_layers": ["layer3"]}, "layer4 reads the output of layer3"),
        ({"width": 0}, "model.encoder.width=0"),
        ({"normalization": "cifar"}, "model.encoder.normalization=cifar"),
    ],
)
def test_wrong_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ResNet(**values)


def test_pictures_too_small_to_mirror_are_refused() -> None:
    with pytest.raises(InputError, match="too small to mirror"):
        ResNet(18, "reflect", width=4).eval()(torch.randn(1, 3, 8, 8))
