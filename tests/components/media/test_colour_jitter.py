import pytest
import torch

from components.errors import InputError
from components.media.colour_jitter import ColourJitter, JitterDraws

GREY = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)


def step_by_step(image: torch.Tensor, factors: list[float], order: list[int]) -> torch.Tensor:
    """The published steps, without cutting in between."""
    for step in order:
        factor = factors[step]
        grey = (image * GREY).sum(0, keepdim=True)
        ground = (torch.zeros_like(image), grey.mean().expand_as(image), grey.expand_as(image))[step]
        image = factor * image + (1 - factor) * ground
    return image.clamp(0, 1)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 2, 0]])
def test_one_affine_map_equals_the_steps(order: list[int]) -> None:
    images = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(3))
    factors = [[1.3, 0.7, 1.2], [0.8, 1.4, 0.5]]
    draws = JitterDraws(torch.tensor(factors), torch.tensor([order, order]))
    result = ColourJitter().apply(images, draws)
    for row in range(2):
        torch.testing.assert_close(result[row], step_by_step(images[row], factors[row], order), atol=1e-5, rtol=0)


def test_draws_are_seeded_and_in_range() -> None:
    jitter = ColourJitter(0.1, 0.2, 0.0)
    one, two = (jitter.draw(500, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one.factors, two.factors)
    assert torch.equal(one.order, two.order)
    spread = (one.factors - 1).abs().amax(0)
    assert spread[0].item() == pytest.approx(0.1, abs=0.005)
    assert spread[1].item() == pytest.approx(0.2, abs=0.01)
    assert spread[2] == 0
    assert len({tuple(row) for row in one.order.tolist()}) == 6


def test_changes_out_of_range() -> None:
    with pytest.raises(InputError, match=r"0\.\.1, got 0\.1, 2, 0\.1"):
        ColourJitter(0.1, 2, 0.1)
