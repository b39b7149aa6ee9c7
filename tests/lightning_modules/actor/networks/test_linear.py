import pytest
import torch
import torch.nn.functional as F

from lightning_modules.actor.networks.linear import Linear, convolve_rows, linear


@pytest.mark.parametrize("threads", [1, 2])
def test_convolution_equals_the_matrix_product_and_its_gradients(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        torch.manual_seed(0)
        x = torch.randn(17, 10, 12, requires_grad=True)
        weight, bias = torch.randn(20, 12, requires_grad=True), torch.randn(20, requires_grad=True)
        probe = torch.randn(17, 10, 20)
        expected = F.linear(x, weight, bias)
        actual = convolve_rows(x.transpose(0, 1).contiguous().transpose(0, 1), weight, bias)
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(
            torch.autograd.grad((actual * probe).sum(), (x, weight, bias)),
            torch.autograd.grad((expected * probe).sum(), (x, weight, bias)),
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


def test_any_shape_and_dtype_is_accepted() -> None:
    layer = Linear(6, 4)
    for shape in [(6,), (3, 6), (2, 3, 6), (40, 50, 6), (2, 2, 3, 6)]:
        x = torch.randn(shape)
        torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias), rtol=1e-4, atol=1e-5)
    x = torch.randn(40, 50, 6, dtype=torch.float64)
    assert linear(x, layer.weight.double(), layer.bias.double()).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(torch.randn(40, 50, 6)).dtype == torch.bfloat16
