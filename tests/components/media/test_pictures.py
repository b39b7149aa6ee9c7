from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from components.errors import InputError
from components.media import draw_text, film_strip, image_grid, write_gif, write_png


def flat(value: int, height: int = 30, width: int = 40) -> np.ndarray:
    return np.full((height, width, 3), value, dtype=np.uint8)


def test_png_is_lossless(tmp_path: Path) -> None:
    image = torch.randint(0, 256, (20, 31, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    path = write_png(tmp_path / "deep" / "image.png", image)
    assert np.array_equal(np.asarray(Image.open(path)), image.numpy())
    assert [file.name for file in path.parent.iterdir()] == ["image.png"]


def test_gif_keeps_frames_colours_and_total_time(tmp_path: Path) -> None:
    film = np.stack([flat(0)] * 30)
    for index in range(30):
        film[index, :, : index + 1] = (220, 30, 90)
    gif = Image.open(write_gif(tmp_path / "film.gif", film, fps=30))
    assert gif.n_frames == 30
    assert gif.info["loop"] == 0
    total = 0
    for index in range(30):
        gif.seek(index)
        total += gif.info["duration"]
        assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - film[index]).max() <= 6
    assert total == 1000


def test_gif_rate_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fps"):
        write_gif(tmp_path / "film.gif", flat(0), fps=100)


def test_text_stands_where_it_should() -> None:
    blank = flat(255, 60, 200)
    for x, y in ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0)):
        changed = (draw_text(blank, "walk", (x, y), 20) != 255).any(-1)
        rows, columns = changed.nonzero()
        assert 20 < changed.sum() < 1500
        assert abs(columns.mean() / 200 - (0.12 + 0.76 * x)) < 0.06
        assert (rows.mean() < 25) == (y == 0.0)
    assert (blank == 255).all()


def test_text_on_a_film_and_on_a_plate() -> None:
    film = np.stack([flat(0), flat(100)])
    written = draw_text(film, "a\nb", plate=(250, 250, 250), color=(255, 0, 0))
    assert written.shape == film.shape
    assert (written == 250).all(-1).sum(axis=(1, 2)).min() > 50
    assert np.array_equal(draw_text(film, ""), film)


def test_grid_places_pictures_row_by_row() -> None:
    grid = image_grid([flat(value) for value in (10, 20, 30, 40, 50)], columns=3, gap=4)
    assert grid.shape == (4 + 2 * 34, 4 + 3 * 44, 3)
    assert [int(grid[4 + 34 * (i // 3), 4 + 44 * (i % 3), 0]) for i in range(5)] == [10, 20, 30, 40, 50]
    assert (grid[4 + 34 :, 4 + 2 * 44 :] == 255).all()


def test_grid_with_captions_and_title() -> None:
    plain = image_grid([flat(10)] * 2, columns=2)
    labelled = image_grid([flat(10)] * 2, columns=2, captions=["walk", "a caption far too long for its narrow cell"])
    titled = image_grid([flat(10)] * 2, columns=2, captions=["", ""], title="Motions")
    assert plain.shape[0] < labelled.shape[0] < titled.shape[0]
    strip = labelled[6 + 30 : -6]
    left, right = strip[:, 6:46], strip[:, 52:92]
    assert (left < 200).any()
    assert (right < 250).any()
    # Text stays in its own cell.
    assert (strip[:, 46:52] == 255).all()


def test_grid_of_films_holds_the_last_frame_of_shorter_ones() -> None:
    short = np.stack([flat(1), flat(2)])
    long = torch.stack([torch.full((20, 40, 3), value, dtype=torch.uint8) for value in (5, 6, 7, 8)])
    grid = image_grid([short, long, flat(9)], columns=3, gap=0)
    assert grid.shape == (4, 30, 120, 3)
    assert grid[:, 0, 0, 0].tolist() == [1, 2, 2, 2]
    assert grid[:, 15, 50, 0].tolist() == [5, 6, 7, 8]
    assert grid[:, 0, 100, 0].tolist() == [9] * 4
    assert (grid[:, 0, 50] == 255).all()  # the smaller film is centred


def test_film_strip_takes_first_and_last() -> None:
    film = np.stack([flat(index) for index in range(11)])
    strip = film_strip(film, count=3)
    assert strip.shape == (30, 120, 3)
    assert strip[0, [0, 40, 80], 0].tolist() == [0, 5, 10]
    assert film_strip(film[:2], count=9).shape == (30, 80, 3)
    timed = film_strip(film, count=3, caption="walk", fps=10)
    assert timed.shape[0] > 30
    assert (timed[:30] != strip).any()


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "a.png", np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match=r"\[H, W, 3\]"):
        write_png(tmp_path / "a.png", np.zeros((2, 4, 4, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="1 captions"):
        image_grid([flat(0), flat(0)], captions=["one"])
    with pytest.raises(ValueError, match="at least one"):
        image_grid([])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        write_png(tmp_path / "file" / "a.png", flat(0))
