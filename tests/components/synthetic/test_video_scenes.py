"""What a film says about its pixels is what was painted on them."""

from dataclasses import replace

import torch

from components.body.evaluation_names import JHMDB_JOINTS, VIP_CLASSES
from components.synthetic.curves import Draw
from components.synthetic.lighting import Lighting
from components.synthetic.people import Person
from components.synthetic.sprites import Sprite
from components.synthetic.video_scenes import Casting, Scene, draw_scene

SIZE, FRAMES = (64, 96), 10
MIXED = Casting(sprites=2, people=1, distractors=1, radius=(0.15, 0.25), tall=(0.7, 0.9))


def scene(seed: int = 0, casting: Casting = MIXED, side: int = 1) -> Scene:
    return draw_scene(Draw(seed, 77), casting, SIZE, FRAMES, side)


def in_even_light(of: Scene) -> Scene:
    ones, zeros = torch.ones(FRAMES, 3), torch.zeros(FRAMES)
    return replace(of, lighting=Lighting(ones, zeros, torch.zeros(FRAMES, 3), 0.0, 0.0, 0.0, 0))


def test_a_scene_is_a_function_of_its_draw_and_frames_stand_alone() -> None:
    film, again, other = scene().render(), scene().render(), scene(1).render()
    for mine, same in zip(film, again, strict=True):
        assert torch.equal(mine, same)
    assert not torch.equal(film.ids, other.ids)
    part = scene().paint(slice(3, 5))
    # Bodies are skinned in one product for all frames of the scene, so rounding is the same too.
    assert torch.equal(part.images, film.images[3:5])
    assert torch.equal(part.ids, film.ids[3:5])
    assert film.images.shape == (FRAMES, *SIZE, 3)
    assert film.images.dtype == film.ids.dtype == film.parts.dtype == torch.uint8


def test_ids_lie_where_the_object_was_painted() -> None:
    plain = in_even_light(scene(2, side=2))
    film = plain.render()
    for number in (1, 2, 3):
        dark, bright = (_repainted(plain, number, value).render().images.float().mean(-1) / 255 for value in (0.0, 1.0))
        share = bright - dark  # how much of each pixel is the object
        own = film.ids == number
        assert own.any()
        assert float(share[own].min()) > 0.05
        assert own[share > 0.51].all()
        assert float(share[own].mean()) > (0.45 if number == 3 else 0.8)


def test_all_things_of_a_scene_share_its_colours() -> None:
    """Colour alone does not tell an object from what is behind it."""
    for seed in range(4):
        drawn = scene(seed, Casting(sprites=2, distractors=2))
        low, high = drawn.palette.amin(0) * 0.7, drawn.palette.amax(0) * 1.3
        textures = [drawn.background, *(layer.texture for _, layer in drawn.layers if isinstance(layer, Sprite))]
        assert len(textures) == 5
        for texture in textures:
            colors = texture.flatten(1).T
            assert ((low <= colors) & (high >= colors)).all(1).float().mean() > 0.95


def test_parts_and_joints_of_people_agree() -> None:
    alone = Casting(sprites=0, people=1, distractors=1, tall=(0.8, 0.8), people_in_front=True)
    for seed in range(3):
        drawn = scene(seed, alone, side=2)
        film, joints = drawn.render(), drawn.people[0].jhmdb_joints()
        assert torch.equal(film.parts > 0, film.ids == 1)
        assert joints.shape == (FRAMES, 15, 2)
        for joint, part in {
            "left-wrist": "left-arm", "right-wrist": "right-arm", "left-ankle": "left-shoe",
            "right-ankle": "right-shoe", "left-hip": "pants", "face": "face", "neck": "torso-skin",
        }.items():  # fmt: skip
            pixels = film.parts == VIP_CLASSES.index(part)
            places = joints[:, JHMDB_JOINTS.index(joint)]
            seen = [
                float((pixels[at].nonzero().flip(1) - places[at]).norm(dim=1).min())
                for at in range(FRAMES)
                if pixels[at].any()
            ]
            # A wrist behind the trunk is not seen, and on a face turned away only a cheek is.
            assert seen
            assert sum(seen) / len(seen) < 5.0, (seed, joint, seen)


def test_people_stand_before_sprites_where_asked() -> None:
    drawn = scene(4, replace(MIXED, people_in_front=True))
    assert isinstance(drawn.layers[-1][1], Person)


def _repainted(of: Scene, number: int, value: float) -> Scene:
    """The scene with one object in one colour."""
    layers: list[tuple[int, Sprite | Person]] = []
    for own, layer in of.layers:
        if own == number and isinstance(layer, Sprite):
            layer = replace(layer, texture=torch.full_like(layer.texture, value))
        elif own == number and isinstance(layer, Person):
            # Light makes white up to 1.27 times as bright, and grey half as bright where it does not reach.
            layer = replace(layer, colors=torch.full_like(layer.colors, 0.78 * value))
        layers.append((own, layer))
    return replace(of, layers=layers)
