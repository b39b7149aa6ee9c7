import pytest
import torch

from components.errors import InputError
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer


def network(**sizes: float) -> GRURecognizer:
    torch.manual_seed(0)
    return GRURecognizer(**{"input_size": 72, "hidden_size": 16, "num_classes": 5, **sizes})  # type: ignore[arg-type]


def test_padding_has_no_influence_not_even_on_gradients() -> None:
    net = network().eval()
    lengths = torch.tensor([20, 13, 1])
    points = torch.randn(3, 24, 3, 20)
    wanted = net(points, lengths)
    for row, length in enumerate(lengths):
        points[row, ..., length:] = float("nan")
    result = net(points, lengths)
    assert torch.equal(result.logits, wanted.logits)
    assert torch.equal(result.features, wanted.features)
    result.logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


def test_a_batch_of_one_is_a_row_of_the_batch() -> None:
    net = network().eval()
    points, lengths = torch.randn(4, 24, 3, 10), torch.tensor([10, 4, 7, 10])
    batch = net(points, lengths)
    for row, length in enumerate(lengths):
        alone = net(points[row : row + 1, ..., :length], lengths[row : row + 1])
        assert alone.features.shape == (1, 30)
        torch.testing.assert_close(alone.logits[0], batch.logits[row])


def test_a_loop_over_the_published_equations() -> None:
    net = network(num_layers=1).eval()
    points = torch.randn(1, 24, 3, 6)
    hidden = start = torch.randn(1, 1, 16)
    h = hidden[0, 0]
    gru = net.gru
    for frame in points[0].permute(2, 0, 1).flatten(1):
        x_r, x_z, x_n = (gru.weight_ih_l0 @ frame + gru.bias_ih_l0).chunk(3)
        h_r, h_z, h_n = (gru.weight_hh_l0 @ h + gru.bias_hh_l0).chunk(3)
        z = torch.sigmoid(x_z + h_z)
        h = (1 - z) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + z * h
    features = torch.tanh(net.feature_head.weight @ h + net.feature_head.bias)
    result = net(points, torch.tensor([6]), start)
    torch.testing.assert_close(result.features[0], features)
    torch.testing.assert_close(result.logits[0], net.class_head.weight @ features + net.class_head.bias)


def test_only_training_draws_a_start_state() -> None:
    net = network(start_std=1.0)
    points, lengths = torch.randn(2, 24, 3, 5), torch.tensor([5, 5])
    assert not torch.equal(net(points, lengths).logits, net(points, lengths).logits)
    net.eval()
    zero = torch.zeros(2, 2, 16)
    assert torch.equal(net(points, lengths).logits, net(points, lengths, zero).logits)
    assert not torch.equal(net(points, lengths).logits, net(points, lengths, zero + 1).logits)


@pytest.mark.parametrize(
    "sizes", [{"input_size": 0}, {"num_classes": 0}, {"num_layers": 0}, {"dropout": 1.0}, {"start_std": -1.0}]
)
def test_sizes_out_of_range(sizes: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(sizes))):
        network(**sizes)


def test_other_joints_than_its_own() -> None:
    with pytest.raises(ValueError, match="54 numbers per frame"):
        network()(torch.zeros(1, 18, 3, 4), torch.tensor([4]))
