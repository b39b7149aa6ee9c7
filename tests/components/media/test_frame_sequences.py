from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.frame_sequences import RecentFrames, open_frames, read_picture
from tests.components.media.video_files import picture_that_claims


def picture(path: Path, value: int, size: tuple[int, int] = (4, 6)) -> None:
    Image.fromarray(np.full((*size, 3), value, dtype=np.uint8)).save(path)


def test_frames_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 100):
        picture(tmp_path / f"frame_{number}.png", number)
    (tmp_path / "notes2.txt").write_text("no frame")
    (tmp_path / ".hidden7.png").write_text("no frame")
    film = open_frames(tmp_path)
    assert film.name == tmp_path.name
    assert len(film) == 3
    assert film.size == (4, 6)
    assert [int(film.read(index)[0, 0, 0]) for index in range(3)] == [9, 10, 100]
    assert film.read(0).shape == (4, 6, 3)
    assert film.read(0).dtype == np.uint8


def test_grey_and_palette_frames_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 7, dtype=np.uint8)).save(tmp_path / "1.png")
    Image.fromarray(np.full((4, 6), 7, dtype=np.uint8)).convert("P").save(tmp_path / "2.png")
    assert (open_frames(tmp_path).read(0) == 7).all()
    assert open_frames(tmp_path).read(1).shape == (4, 6, 3)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no pictures in it"),
        (["0.png", "tree.png", "boat.png"], r"boat\.png, tree\.png without a number"),
        (["7.png", "007.png"], r"7\.png and 0*7\.png have the same number"),
    ],
)
def test_folders_that_are_no_film(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        picture(tmp_path / name, 0)
    with pytest.raises(InputError, match=message):
        open_frames(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_frames(tmp_path / "none")


def test_mixed_sizes_and_broken_frames(tmp_path: Path) -> None:
    picture(tmp_path / "0.png", 0)
    picture(tmp_path / "1.png", 0, (4, 8))
    with pytest.raises(InputError, match=r"1\.png: is 8 x 4 pixels, 0\.png is 6 x 4"):
        open_frames(tmp_path)
    for content in (b"no picture", picture_that_claims(12_000), picture_that_claims(60_000)):
        (tmp_path / "1.png").write_bytes(content)
        with pytest.raises(InputError, match=r"1\.png: cannot be read as a picture"):
            open_frames(tmp_path)
        with pytest.raises(InputError, match=r"1\.png: cannot be read as a picture"):
            read_picture(tmp_path / "1.png")
    noise = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "1.png")
    film = open_frames(tmp_path)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:70])
    with pytest.raises(InputError, match=r"1\.png: cannot be read as a picture"):
        film.read(1)
    picture(tmp_path / "1.png", 0, (8, 8))
    with pytest.raises(InputError, match="8 x 8 pixels"):
        film.read(1)


def test_recent_frames_are_read_once(tmp_path: Path) -> None:
    for number in range(6):
        picture(tmp_path / f"{number}.png", number)
    film = RecentFrames(open_frames(tmp_path), kept=3)
    assert len(film) == 6
    assert film.size == (4, 6)
    for number in range(6):
        film.read(number)
        (tmp_path / f"{number}.png").unlink()
    assert [int(film.read(index)[0, 0, 0]) for index in (3, 4, 5)] == [3, 4, 5]
    with pytest.raises(InputError, match=r"2\.png"):
        film.read(2)
