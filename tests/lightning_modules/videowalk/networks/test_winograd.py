"""Convolution by minimal filtering has the values of the direct sum, and is taken where it pays."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.videowalk.networks import winograd
from lightning_modules.videowalk.networks.resnet import ResNet

needs_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN: direct convolutions alone"
)


def direct(images: Tensor, weight: Tensor, border: str) -> Tensor:
    return F.conv2d(F.pad(images, (1, 1, 1, 1), mode="reflect" if border == "reflect" else "constant"), weight)


@needs_onednn
@pytest.mark.parametrize("border", ["reflect", "zeros"])
@pytest.mark.parametrize("size", [(8, 8), (2, 3), (5, 4), (7, 9)])
def test_values_and_gradients_are_those_of_the_direct_sum(
    border: winograd.Border, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(19, 40, *size, generator=generator).requires_grad_()
    weight = (torch.randn(24, 40, 3, 3, generator=generator) / 20).requires_grad_()
    monkeypatch.setattr(winograd, "_PORTION", 1)  # several portions
    ours = winograd.convolve(images, weight, border)
    exact = direct(images.double(), weight.double(), border)
    towards = torch.randn(ours.shape, generator=generator)
    gradients = torch.autograd.grad(ours, (images, weight), towards)
    expected = torch.autograd.grad(exact, (images, weight), towards.double())
    for found, wanted in ((ours, exact), *zip(gradients, expected, strict=True)):
        assert (found - wanted).abs().max() < 5e-6 * wanted.abs().max()


@needs_onednn
def test_frozen_weights_get_no_gradient() -> None:
    images = torch.randn(8, 16, 4, 4, requires_grad=True)
    weight = torch.randn(16, 16, 3, 3)
    (gradient,) = torch.autograd.grad(winograd.convolve(images, weight, "zeros").sum(), images)
    torch.testing.assert_close(
        gradient, torch.autograd.grad(direct(images, weight, "zeros").sum(), images)[0], rtol=1e-4, atol=1e-4
    )


def test_small_wide_maps_on_a_cpu_in_float32_alone() -> None:
    maps = torch.zeros(1)
    usual = (392, 512, 8, 8)
    assert winograd.suits(*usual, maps) == hasattr(torch.ops.mkldnn, "_linear_pointwise")
    assert not winograd.suits(*usual, maps.double())
    assert not winograd.suits(*usual, torch.zeros(1, device="meta"))
    assert not winograd.suits(2, 512, 8, 8, maps)
    assert not winograd.suits(392, 128, 8, 8, maps)
    assert not winograd.suits(392, 512, 60, 107, maps)
    with torch.autocast("cpu", torch.bfloat16):
        assert not winograd.suits(*usual, maps)


@needs_onednn
def test_network_is_as_exact_as_with_direct_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = ResNet(18, "reflect", width=64).eval()
    images = torch.randn(8, 3, 32, 32)
    calls = []
    convolve = winograd.convolve
    monkeypatch.setattr(winograd, "convolve", lambda *values: calls.append(1) or convolve(*values))
    with torch.no_grad():
        ours = network(images)
        monkeypatch.setattr(winograd, "suits", lambda *_: False)
        plain = network(images)
        exact = network.double()(images.double())
    assert calls
    size = exact.abs().max()
    assert (ours - exact).abs().max() < 1e-5 * size
    assert (plain - exact).abs().max() < 1e-5 * size
