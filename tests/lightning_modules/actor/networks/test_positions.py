import math

import pytest
import torch

from components.errors import InputError
from lightning_modules.actor.networks.positions import PositionalEncoding, sinusoidal_positions


@pytest.mark.parametrize("base", [10000.0, 100.0])
def test_sines_and_cosines_alternate(base: float) -> None:
    positions = sinusoidal_positions(7, 8, base)
    for place in range(7):
        for pair in range(4):
            angle = place * base ** (-2 * pair / 8)
            assert positions[place, 2 * pair] == pytest.approx(math.sin(angle), abs=1e-5)
            assert positions[place, 2 * pair + 1] == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_smaller_base_has_more_fast_features() -> None:
    """Features that swing at least once in 30 frames, as steps and waves do."""

    def fast(base: float) -> int:
        layer = PositionalEncoding(256, 0.0, base)
        moved = layer.first(200).diff(dim=0).abs().amax(dim=0)
        return int((moved > 0.95 * 2 * math.pi / 30).sum())

    assert 80 < fast(100.0) < 100
    assert 40 < fast(10000.0) < 50
    with pytest.raises(InputError, match="must be above 1"):
        PositionalEncoding(256, 0.0, 1.0)


def test_adds_positions_token_by_token() -> None:
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(PositionalEncoding(8, 0.0)(x) - x, sinusoidal_positions(5, 8).expand(2, 5, 8))
