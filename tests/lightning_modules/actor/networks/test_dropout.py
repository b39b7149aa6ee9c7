import pytest
import torch

from lightning_modules.actor.networks.dropout import Dropout, dropout, dropout_mask


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_mask_has_the_right_share_and_mean(p: float) -> None:
    torch.manual_seed(0)
    mask = dropout_mask((3, 100_001), p, torch.float32, torch.device("cpu"))
    assert (mask == 0).float().mean() == pytest.approx(p, abs=0.005)
    assert mask.mean() == pytest.approx(1.0, abs=0.02)
    assert mask[mask > 0].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)


def test_neighbouring_numbers_are_independent() -> None:
    # Four neighbours come from one random word.
    torch.manual_seed(1)
    dropped = (dropout_mask((50_000, 4), 0.5, torch.float32, torch.device("cpu")) == 0).float()
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max() < 0.02
    assert torch.corrcoef(torch.stack([dropped.flatten()[:-4], dropped.flatten()[4:]]))[0, 1].abs() < 0.02


def test_dropout_follows_torchs_generator_and_its_gradient_its_mask() -> None:
    x = torch.randn(8, 9, requires_grad=True)
    torch.manual_seed(2)
    y = dropout(x, 0.3, training=True)
    torch.manual_seed(2)
    assert torch.equal(dropout(x, 0.3, training=True), y)
    y.sum().backward()
    torch.testing.assert_close(x.grad * x.detach(), y.detach())


def test_dropout_is_the_identity_outside_of_training() -> None:
    x = torch.randn(4)
    assert dropout(x, 0.5, training=False) is x
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0).train()(x) is x
    assert dropout(x.bfloat16(), 0.5, training=True).dtype == torch.bfloat16
