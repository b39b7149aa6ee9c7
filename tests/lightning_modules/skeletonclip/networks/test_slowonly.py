"""The backbone: its layer table, the same numbers both ways of computing, freezing, checks."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from components.errors import InputError
from lightning_modules.skeletonclip.networks import slowonly
from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly

SMALL: dict[str, Any] = {"in_channels": 3, "base_channels": 4, "stage_blocks": (1, 2, 1)}


def small(**settings: Any) -> ResNet3dSlowOnly:
    torch.manual_seed(0)
    return ResNet3dSlowOnly(**SMALL | settings)


def test_layer_table_of_the_published_configs() -> None:
    net = ResNet3dSlowOnly()
    assert sum(p.numel() for p in net.parameters()) == 1_994_080
    assert sum(p.numel() for p in ResNet3dSlowOnly(stage_blocks=[3, 4, 6]).parameters()) == 3_003_360
    shapes = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert shapes["conv1.conv.weight"] == (32, 17, 1, 7, 7)
    assert shapes["layer1.0.conv1.conv.weight"] == (32, 32, 1, 1, 1)
    assert shapes["layer2.0.conv1.conv.weight"] == (64, 128, 3, 1, 1)
    assert shapes["layer3.2.conv2.conv.weight"] == (128, 128, 1, 3, 3)
    assert shapes["layer3.0.downsample.bn.running_var"] == (512,)
    assert "layer1.1.downsample.conv.weight" not in shapes
    assert net.channels == 512
    with torch.no_grad():
        assert net.eval()(torch.rand(1, 17, 48, 56, 56)).shape == (1, 512, 24, 7, 7)


def plain(net: ResNet3dSlowOnly, x: torch.Tensor) -> torch.Tensor:
    """The layer table by 3D convolutions, from the network's parameters."""

    def module(part: Any, x: torch.Tensor) -> torch.Tensor:
        bn = part.bn
        x = F.conv3d(x, part.conv.weight, None, part.conv.stride, part.conv.padding)
        x = F.batch_norm(x, bn.running_mean.clone(), bn.running_var.clone(), bn.weight, bn.bias, bn.training)
        return x.relu() if part.relu else x

    x = F.max_pool3d(module(net.conv1, x), (1, 3, 3), 1, (0, 1, 1))
    for name in net.stages:
        for block in getattr(net, name):
            out = module(block.conv3, module(block.conv2, module(block.conv1, x)))
            x = (out + (x if block.downsample is None else module(block.downsample, x))).relu()
    return x


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("few", [0, 2**20])
def test_frames_in_channels_last_give_the_numbers_of_3d_convolutions(
    few: int, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slowonly, "_FEW_CELLS", few)
    net = small().train(training)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.endswith(("bn.weight", "bn.bias", "running_var", "running_mean")):
                value.add_(torch.rand_like(value) * 0.2)
    x = torch.randn(3, 3, 8, 20, 18)
    gradient = torch.randn_like(plain(net, x))
    found = []
    for run in (lambda x: plain(net, x), net):
        net.zero_grad()
        out = run(x)
        (out * gradient).sum().backward()
        found.append([out, *(p.grad.clone() for p in net.parameters() if p.grad is not None)])
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-3 * float(expected.detach().abs().max()))


def test_statistics_of_many_cells_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    maps = (torch.rand(200, 4, 40, 40) * 0.1 + 1).contiguous(memory_format=torch.channels_last)
    norm, reference = slowonly.FrameBatchNorm(4), nn.BatchNorm2d(4).double()
    out, expected = norm(maps), reference(maps.double())
    torch.testing.assert_close(norm.running_mean.double(), reference.running_mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(norm.running_var.double(), reference.running_var, rtol=1e-6, atol=0)
    torch.testing.assert_close(out.double(), expected, rtol=1e-4, atol=1e-4)
    assert norm.num_batches_tracked == 1


def test_strides_of_time_and_space() -> None:
    net = small(conv1_stride=(2, 1), pool1_stride=(2, 2), temporal_strides=(1, 2, 1), spatial_strides=(1, 2, 1))
    for time, size in ((8, 16), (64, 32)):  # both ways of computing
        assert net(torch.rand(2, 3, time, size, size)).shape == (2, 64, time // 8, size // 4, size // 4)


def test_frozen_stages_and_statistics() -> None:
    net = small(frozen_stages=1).train()
    fixed = [name for name, p in net.named_parameters() if not p.requires_grad]
    assert fixed
    assert all(name.startswith(("conv1.", "layer1.")) for name in fixed)
    assert not net.layer1[0].conv1.bn.training
    assert net.layer2[0].conv1.bn.training
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net(torch.rand(2, 3, 4, 16, 16))
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("layer2.", "layer3.")) for name in changed)
    assert not any(m.training for m in small(norm_eval=True).train().modules() if isinstance(m, nn.BatchNorm3d))


def test_start_values() -> None:
    assert small().layer1[0].conv3.bn.weight.eq(1).all()
    assert small(zero_init_residual=True).layer1[0].conv3.bn.weight.eq(0).all()
    deviation = ResNet3dSlowOnly().layer3[0].conv3.conv.weight.std().item()
    assert deviation == pytest.approx((2 / 512) ** 0.5, rel=0.05)  # fan out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage_blocks": ()}, r"stage_blocks=\[\]: expected one to four"),
        ({"inflate": (0, 1)}, r"inflate=\[0, 1\]: expected 3 times 0 or 1"),
        ({"temporal_strides": (1, 1, 0)}, "temporal_strides=.*3 whole numbers of at least 1"),
        ({"base_channels": 0}, "base_channels=0: expected a whole number"),
        ({"frozen_stages": 4}, "frozen_stages=4"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**settings)


def test_other_channels_than_the_networks() -> None:
    with pytest.raises(InputError, match="V = 3 joints or limbs"):
        small()(torch.zeros(1, 17, 4, 8, 8))
