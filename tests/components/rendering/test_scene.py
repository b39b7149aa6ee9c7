import time

import pytest
import torch

from components.geometry.cameras import LookAtCamera, field_of_view
from components.geometry.meshes import capsule, capsule_figure
from components.rendering.floor import CheckerFloor, ContactMap, ShadowMap, filtered_checker
from components.rendering.scene import motion_strip, render_motion


@pytest.fixture(scope="module")
def pillar() -> tuple[torch.Tensor, torch.Tensor]:
    """A standing capsule that moves to its left: `[3, V, 3]`."""
    vertices, faces = capsule(torch.tensor([0.0, 0.25, 0.0]), torch.tensor([0.0, 1.5, 0.0]), 0.25, 0.25, 12, 10)
    return torch.stack([vertices, vertices + torch.tensor([0.5, 0, 0]), vertices + torch.tensor([1.0, 0, 0])]), faces


def reddish(picture: torch.Tensor) -> torch.Tensor:
    """Pixels where red exceeds blue by far: only bodies painted red have them."""
    return picture[..., 0].int() - picture[..., 2].int() > 60


def test_a_film_shows_the_body_moving(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    film = render_motion(*pillar, size=(60, 80), color=(0.9, 0.1, 0.1), view="front")
    assert film.shape == (3, 60, 80, 3)
    assert film.dtype == torch.uint8
    places = [reddish(frame).nonzero()[:, 1].float().mean() for frame in film]
    assert places[0] + 3 < places[1] < places[2] - 3
    # Nothing is cut off: the border rows and columns show no body.
    body = reddish(film).any(0)
    assert not (body[0] | body[-1]).any()
    assert not (body[:, 0] | body[:, -1]).any()


def test_the_camera_follows_if_asked(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    far = vertices[:1] + torch.linspace(0, 8, 33)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])
    sizes = []
    for follow in (False, True):
        film = render_motion(far, faces, (48, 48), color=(0.9, 0.1, 0.1), view="front", follow=follow, supersample=1)
        sizes.append(int(reddish(film[16]).sum()))
    assert sizes[1] > 3 * sizes[0]


def test_several_bodies_stand_from_left_to_right(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    colors = [(0.9, 0.1, 0.1), (0.1, 0.7, 0.1), (0.1, 0.1, 0.9)]
    film = render_motion([vertices[:1], vertices[1:2], vertices], faces, (50, 120), color=colors, view="three_quarter")
    assert len(film) == 3
    last = film[-1].int()
    where = [
        (last[..., channel] - last[..., [c for c in range(3) if c != channel]].amax(-1) > 40).nonzero()[:, 1]
        for channel in range(3)
    ]
    assert where[0].max() < where[1].min()
    assert where[1].max() < where[2].min()


def test_vertex_colours_and_plain_background(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    upper = (vertices[0, :, 1:2] > 0.9).float()
    colors = torch.tensor([0.1, 0.1, 0.9]).lerp(torch.tensor([0.9, 0.1, 0.1]), upper)
    picture = render_motion(vertices[:1], faces, (60, 40), color=colors, floor=False, view="front")[0]
    red, blue = reddish(picture).nonzero()[:, 0], (picture[..., 2].int() - picture[..., 0].int() > 60).nonzero()[:, 0]
    assert red.float().mean() < blue.float().mean() - 10
    assert (picture[0].int() - picture[0, 0].int()).abs().max() <= 1


def test_supersampling_is_the_mean_of_a_finer_picture_in_linear_light(
    pillar: tuple[torch.Tensor, torch.Tensor],
) -> None:
    vertices, faces = pillar
    smooth = render_motion(vertices[:1], faces, (40, 30), floor=False, supersample=2)[0].float()
    fine = render_motion(vertices[:1], faces, (80, 60), floor=False, supersample=1)[0].float() / 255
    mean = (fine**2).reshape(40, 2, 30, 2, 3).mean((1, 3)).sqrt() * 255
    assert (smooth - mean).abs().max() <= 2
    rough = render_motion(vertices[:1], faces, (40, 30), floor=False, supersample=1)[0].float()
    assert (rough - mean).abs().max() > 20


def test_the_floor_is_darker_under_the_body(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    contact = ContactMap.cast(vertices, faces, level=0.0)
    under = torch.stack([vertices[:, :, 0].mean(1), vertices[:, :, 2].mean(1)], dim=-1)[:, None]
    beside = under + torch.tensor([0.0, 0.45])
    assert (contact.darkness_at(under) > 0.6).all()
    assert (contact.darkness_at(beside) < 0.02).all()


def test_shadows_fall_away_from_the_light(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    light = torch.nn.functional.normalize(torch.tensor([1.0, 1.0, 0.0]), dim=0)
    shadows = ShadowMap.cast(vertices, faces, light)
    foot = vertices.mean(1) * torch.tensor([1.0, 0.0, 1.0])
    behind, before = foot - torch.tensor([1.0, 0.0, 0.0]), foot + torch.tensor([0.7, 0.0, 0.0])
    assert (shadows.on_floor(behind[:, None]) > 0.9).all()
    assert (shadows.on_floor(before[:, None]) < 0.1).all()
    frames = torch.arange(3)
    chest = vertices.mean(1)
    assert (shadows.light_at(chest + torch.tensor([0.3, 0.0, 0.0]), frames) > 0.95).all()
    assert (shadows.light_at(chest - torch.tensor([0.3, 0.0, 0.0]), frames) < 0.05).all()


def test_thefiltered_checker_is_the_mean_over_its_box() -> None:
    generator = torch.Generator().manual_seed(0)
    position = torch.rand(20, 2, generator=generator) * 6 - 3
    width = torch.rand(20, 2, generator=generator) * 2 + 0.1
    steps = (torch.arange(400) + 0.5) / 400 - 0.5
    x = position[:, :1] + width[:, :1] * steps
    y = position[:, 1:] + width[:, 1:] * steps
    sign = torch.where(x.remainder(2) < 1, 1.0, -1.0)[:, :, None] * torch.where(y.remainder(2) < 1, 1.0, -1.0)[:, None]
    expected = 0.5 - 0.5 * sign.mean((1, 2))
    torch.testing.assert_close(filtered_checker(position, width), expected, atol=0.01, rtol=0)


def test_the_floor_ends_before_the_horizon() -> None:
    camera = LookAtCamera(torch.tensor([[0.0, 1.0, 5.0]]), torch.tensor([[0.0, 1.0, 0.0]]), field_of_view(60.0))
    view = CheckerFloor(reach=4.0).seen_by(camera, torch.zeros(1, 3), 40, 40)
    assert (view.strength[0, :20] == 0).all()
    assert (view.strength[0, -1] > 0).any()
    assert torch.isfinite(view.color).all()


def test_a_strip_shows_the_poses_side_by_side(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    strip = motion_strip(vertices, faces, poses=3, color=(0.9, 0.1, 0.1))
    assert strip.shape[0] == 256
    body = reddish(strip).any(0).int()
    assert int((body.diff() == 1).sum()) + int(body[0]) == 3
    assert motion_strip(vertices, faces, (64, 200), poses=9).shape == (64, 200, 3)


def test_bad_motions_are_refused(pillar: tuple[torch.Tensor, torch.Tensor]) -> None:
    vertices, faces = pillar
    with pytest.raises(ValueError, match="NaN"):
        render_motion(vertices * torch.nan, faces)
    with pytest.raises(ValueError, match="at least one frame"):
        render_motion(vertices[:0], faces)
    with pytest.raises(ValueError, match="no body"):
        render_motion([], faces)
    with pytest.raises(ValueError, match="view"):
        render_motion(vertices, faces, view="above")


@pytest.mark.slow
def test_sixty_frames_of_a_body_render_in_seconds() -> None:
    vertices, faces = capsule_figure()
    start = time.process_time()
    film = render_motion(vertices.expand(60, -1, -1), faces, (384, 384))
    # Measured 1.5 s on one core; work, not the clock of a busy machine.
    assert time.process_time() - start < 15
    assert len(film) == 60
