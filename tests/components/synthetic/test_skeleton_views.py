"""Cameras before synthetic people."""

import math

import torch

from components.synthetic.curves import Draw
from components.synthetic.skeleton_views import PICTURES, View, draw_view

# Somebody who walks 3 metres towards +z and is 1.7 metres tall.
WALKER = torch.zeros(30, 4, 3)
WALKER[:, :, 1] = torch.tensor([0.0, 0.8, 1.4, 1.7])
WALKER[:, :, 0] = torch.tensor([-0.2, 0.2, -0.3, 0.1])
WALKER[:, :, 2] += torch.linspace(0, 3, 30)[:, None]


def views(widest: float, count: int = 40) -> list[View]:
    return [draw_view(Draw(index), WALKER, widest) for index in range(count)]


def test_everybody_is_in_the_picture_and_not_small() -> None:
    for view in views(180.0):
        pixels = view.pixels(WALKER)
        height, width = view.img_shape
        assert view.img_shape in PICTURES
        assert (pixels >= 0).all()
        assert (pixels[..., 0] <= width - 1).all()
        assert (pixels[..., 1] <= height - 1).all()
        reach = ((pixels + 0.5) / torch.tensor([width, height]) * 2 - 1).abs().max()
        assert 0.6 - 1e-4 < reach < 0.9 + 1e-4
        assert (pixels[:, 0, 1] > pixels[:, 3, 1]).all(), "feet below the head"


def test_views_vary_within_the_angle() -> None:
    angles = []
    for view in views(60.0):
        way = view.eye - view.camera.target
        angles.append(torch.rad2deg(torch.atan2(way[..., 0], way[..., 2])))
        distance = (way * torch.tensor([1.0, 0.0, 1.0])).norm(dim=-1)
        assert ((distance > 2.9) & (distance < 7.1)).all()
        assert ((view.eye[:, 1] > 0.4) & (view.eye[:, 1] < 2.5)).all()
    every = torch.stack(angles)
    middle = every.mean(1)
    assert every.abs().max() < 72
    assert middle.max() > 35
    assert middle.min() < -35
    assert (every.amax(1) - every.amin(1)).median() > 3, "cameras move"


def test_cameras_roll_a_little() -> None:
    rolls = []
    for view in views(180.0):
        right = view.camera.rotation[15, 0]
        rolls.append(math.degrees(math.asin(float(right[1]))))
    assert max(map(abs, rolls)) < 8
    assert max(rolls) > 2
    assert min(rolls) < -2


def test_draws_decide_alone() -> None:
    first, second = (draw_view(Draw(7), WALKER, 75.0) for _ in range(2))
    assert torch.equal(first.pixels(WALKER), second.pixels(WALKER))
