import pytest
import torch

from components.synthetic.curves import Draw
from components.synthetic.textures import TEXTURES, draw_palette, draw_texture


@pytest.mark.parametrize("kind", TEXTURES)
def test_a_texture_is_a_function_of_its_draw(kind: str) -> None:
    palette = draw_palette(Draw(1))
    first, again, other = (draw_texture(Draw(seed), palette, 48, kind) for seed in (2, 2, 3))
    assert first.shape == (3, 48, 48)
    assert 0 <= float(first.min()) < float(first.max()) <= 1.1
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)
    # Something to hold on to: neighbouring places differ.
    assert float(first.diff(dim=-1).abs().mean()) > 0.005


def test_colours_of_a_palette_go_from_dark_to_bright() -> None:
    palette = draw_palette(Draw(4), 6)
    assert palette.shape == (6, 3)
    assert torch.all(palette.amax(1).diff() > 0)
    assert 0 <= float(palette.min()) <= float(palette.max()) <= 1


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="tartan"):
        draw_texture(Draw(0), draw_palette(Draw(0)), 16, "tartan")
