from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.errors import InputError
from components.media.masks import davis_palette, read_mask
from components.media.video import read_video
from components.synthetic import videos
from components.synthetic.sprites import Sprite
from components.synthetic.video_scenes import Scene, draw_scene
from components.synthetic.videos import davis_film, is_worthwhile, kinetics_film, write_davis, write_kinetics
from datamodules.videowalk.davis import read_davis

TINY: dict[str, Any] = dict(frames=6, height=64, width=96)


def test_layout_of_kinetics(tmp_path: Path) -> None:
    assert write_kinetics(tmp_path / "a", train_videos=3, val_videos=1, **TINY)
    assert not write_kinetics(tmp_path / "a", train_videos=3, val_videos=1, **TINY)
    files = sorted(str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.mp4"))
    assert files == [
        "train_256/crossing_sprites/crossing_sprites_0000.mp4",
        "train_256/drifting_sprites/drifting_sprites_0001.mp4",
        "train_256/exercising/exercising_0002.mp4",
        "val_256/crossing_sprites/crossing_sprites_0000.mp4",
    ]
    films = [read_video(tmp_path / "a" / name) for name in files]
    assert [tuple(film.frames.shape) for film in films] == [(6, 64, 96, 3)] * 4
    assert films[0].fps == 24
    painted = kinetics_film((0, videos._TRAIN, 0), "crossing_sprites", (64, 96), 6).images
    assert float((films[0].frames.float() - painted.float()).abs().mean()) < 8  # what the codec takes
    assert float((films[0].frames.float() - films[3].frames.float()).abs().mean()) > 20
    write_kinetics(tmp_path / "b", train_videos=3, val_videos=1, **TINY)
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_layout_of_davis(tmp_path: Path) -> None:
    write_davis(tmp_path / "a", sequences=3, **TINY)
    sequences = read_davis(tmp_path / "a")
    assert [sequence.name for sequence in sequences] == ["sprite-00", "sprites-02", "walker-01"]
    for sequence, index, objects in zip(sequences, (0, 2, 1), (1, 3, 1), strict=True):
        film = davis_film(0, index, (64, 96), 6)
        assert is_worthwhile(film.ids, objects)
        for at in range(6):
            mask = read_mask(tmp_path / "a" / "Annotations" / "480p" / sequence.name / f"{at:05d}.png")
            np.testing.assert_array_equal(mask.ids, film.ids[at].numpy())
            assert mask.palette is not None
            np.testing.assert_array_equal(mask.palette, davis_palette())
            with Image.open(tmp_path / "a" / "JPEGImages" / "480p" / sequence.name / f"{at:05d}.jpg") as picture:
                assert np.abs(np.asarray(picture, dtype=float) - film.images[at].numpy()).mean() < 4
        assert sorted(set(film.ids[0].unique().tolist())) == list(range(objects + 1))


def test_training_and_evaluation_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, list[torch.Tensor]] = {"train": [], "val": [], "davis": []}

    def noted(kind: str) -> Callable[..., Scene]:
        def draw(*arguments: Any, **more: Any) -> Scene:
            scene = draw_scene(*arguments, **more)
            sprites = [layer for _, layer in scene.layers if isinstance(layer, Sprite)]
            drawn[kind] += [scene.palette, *(part for own in sprites for part in (own.outline, own.center))]
            return scene

        return draw

    for kind, stream in (("train", videos._TRAIN), ("val", videos._VAL)):
        monkeypatch.setattr(videos, "draw_scene", noted(kind))
        for index, group in enumerate(("crossing_sprites", "drifting_sprites", "zooming")):
            kinetics_film((0, stream, index), group, (32, 48), 4)
    monkeypatch.setattr(videos, "draw_scene", noted("davis"))
    for index in range(2):
        davis_film(0, index, (64, 96), 4)
    sets = {kind: {tuple(part.flatten().tolist()[:6]) for part in parts} for kind, parts in drawn.items()}
    assert min(len(own) for own in sets.values()) > 3
    for one, other in (("train", "val"), ("train", "davis"), ("val", "davis")):
        assert not sets[one] & sets[other]


def test_films_whose_objects_stay_or_vanish_are_not_taken() -> None:
    ids = torch.zeros(20, 40, 40, dtype=torch.uint8)
    ids[:, 10:20, 10:20] = 1
    assert not is_worthwhile(ids, 1)  # still
    for at in range(20):
        ids[at] = 0
        ids[at, 10:20, at : at + 10] = 1
    assert is_worthwhile(ids, 1)
    assert not is_worthwhile(ids, 2)  # no second one
    ids[8:] = 0
    assert not is_worthwhile(ids, 1)  # gone


@pytest.mark.parametrize(
    ("key", "value"), [("frames", 2), ("height", 63), ("width", 16), ("sequences", 0), ("train_videos", 0), ("fps", 0)]
)
def test_numbers_out_of_range_are_named(tmp_path: Path, key: str, value: int) -> None:
    write: Callable[..., bool] = write_kinetics if key in ("train_videos", "fps") else write_davis
    with pytest.raises(InputError, match=rf"^{key}={value}"):
        write(tmp_path / "set", **{key: value})
    assert list(tmp_path.iterdir()) == []
