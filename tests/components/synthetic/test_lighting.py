from dataclasses import replace

import torch
from torch import Tensor

from components.synthetic.curves import Draw
from components.synthetic.lighting import draw_lighting


def places(frames: int, height: int, width: int) -> Tensor:
    """A camera that stands still and sees all of the background."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack([x, y], dim=-1).expand(frames, -1, -1, -1)


def test_light_changes_the_colours_of_a_still_picture_over_time() -> None:
    lighting = draw_lighting(Draw(3), 40)
    film = torch.full((40, 24, 32, 3), 0.5)
    seen = lighting.apply(film, slice(0, 40), places(40, 24, 32)).float() / 255
    assert seen.shape == film.shape
    means = seen.mean((1, 2))
    assert float((means.amax(0) - means.amin(0)).min()) > 0.03
    cast = means / means.sum(1, keepdim=True)
    assert float((cast.amax(0) - cast.amin(0)).max()) > 0.01
    # The shadow's edge: a still grey wall is not evenly bright.
    assert float(seen[:, :, :8].mean((1, 2, 3)).sub(seen[:, :, -8:].mean((1, 2, 3))).abs().max()) > 0.02


def test_noise_belongs_to_the_frame() -> None:
    lighting = draw_lighting(Draw(5), 9)
    film = torch.rand(9, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    grid = places(9, 16, 16)
    whole = lighting.apply(film.clone(), slice(0, 9), grid)
    assert torch.equal(lighting.apply(film[4:7].clone(), slice(4, 7), grid[4:7]), whole[4:7])
    assert not torch.equal(lighting.apply(film[4:5].clone(), slice(5, 6), grid[5:6]), whole[4:5])


def test_the_shadow_lies_on_the_background() -> None:
    """A camera that moves sees it elsewhere: nothing in the light tells a place of the picture from others."""
    light = replace(draw_lighting(Draw(3), 2), darkness=0.5, blur=0.0, noise=0.0)
    light.shadow[1] = light.shadow[0]
    light = replace(light, gain=torch.ones(2, 3), offset=torch.zeros(2))
    wide = places(1, 24, 48)[:, :, :40]
    moved = places(1, 24, 48)[:, :, 8:]
    still, panned = light.apply(torch.full((2, 24, 40, 3), 0.5), slice(0, 2), torch.cat([wide, moved]))
    assert int(still.max()) - int(still.min()) > 20
    assert torch.equal(still[:, 8:], panned[:, :-8])
