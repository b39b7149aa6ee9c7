import pytest
import torch

from components.body.loader import load_body
from components.body.motion_files import BodyMotion
from components.rendering.motion_films import shrink_film, stand


def hop(in_place: bool) -> BodyMotion:
    """Knees pulled up and down again; with translation the body rises as well."""
    poses = torch.zeros(21, 72)
    bend = torch.sin(torch.linspace(0, torch.pi, 21))
    poses[:, 3] = poses[:, 6] = -bend
    poses[:, 12] = poses[:, 15] = 2 * bend
    trans = torch.zeros(21, 3)
    if not in_place:
        trans[:, 1] = 0.4 * bend
    return BodyMotion(poses, trans, 20.0, in_place=in_place)


def test_a_motion_without_translation_stands_in_every_frame() -> None:
    standing = stand(hop(in_place=True), load_body())
    lowest = standing.vertices[..., 1].amin(1)
    assert lowest.abs().max() < 0.05
    # Smooth: the body's height never jumps by more than the motion itself.
    assert standing.joints[:, 0, 1].diff().abs().max() < 0.06


def test_a_motion_with_translation_touches_the_floor_once_and_may_fly() -> None:
    standing = stand(hop(in_place=False), load_body())
    lowest = standing.vertices[..., 1].amin(1)
    assert lowest.min().abs() < 1e-5
    assert lowest[10] > 0.5


def test_films_and_strips_have_the_sizes_asked_for() -> None:
    standing = stand(hop(in_place=False), load_body())
    assert standing.strip(40, poses=3).shape == (40, 192, 3)
    one = BodyMotion(hop(True).poses[:2], torch.zeros(2, 3), 20.0, in_place=True)
    short = stand(one, load_body())
    assert short.mesh_film(32, "front").shape == (2, 32, 32, 3)
    assert short.stick_film(32).shape == (2, 32, 32, 3)
    assert short.strip(40).shape == (40, 192, 3)


def test_only_travelling_bodies_are_followed() -> None:
    motion = hop(in_place=False)
    assert not stand(motion, load_body()).travels
    motion.trans[:, 2] = torch.linspace(0, 4, 21)
    assert stand(motion, load_body()).travels


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_shrinking_takes_means(factor: int) -> None:
    film = torch.randint(0, 256, (2, 6, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    small = shrink_film(film, factor)
    assert small.shape == (2, 6 // factor, 12 // factor, 3)
    corner = film[0, :factor, :factor].float().mean((0, 1)).round().to(torch.uint8)
    assert torch.equal(small[0, 0, 0], corner)
