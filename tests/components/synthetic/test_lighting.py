import torch

from components.synthetic.curves import Draw
from components.synthetic.lighting import draw_lighting


def test_light_changes_the_colours_of_a_still_picture_over_time() -> None:
    lighting = draw_lighting(Draw(3), 40)
    film = torch.full((40, 24, 32, 3), 0.5)
    seen = lighting.apply(film, slice(0, 40)).float() / 255
    assert seen.shape == film.shape
    means = seen.mean((1, 2))
    assert float((means.amax(0) - means.amin(0)).min()) > 0.05
    cast = means / means.sum(1, keepdim=True)
    assert float((cast.amax(0) - cast.amin(0)).max()) > 0.01
    # The shadow's edge: a still grey wall is not evenly bright.
    assert float(seen[:, :, :8].mean((1, 2, 3)).sub(seen[:, :, -8:].mean((1, 2, 3))).abs().max()) > 0.02


def test_noise_belongs_to_the_frame() -> None:
    lighting = draw_lighting(Draw(5), 9)
    film = torch.rand(9, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    whole = lighting.apply(film.clone(), slice(0, 9))
    assert torch.equal(lighting.apply(film[4:7].clone(), slice(4, 7)), whole[4:7])
    assert not torch.equal(lighting.apply(film[4:5].clone(), slice(5, 6)), whole[4:5])
