from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.masks import davis_palette, read_mask, write_mask
from tests.components.media.video_files import picture_that_claims


def test_ids_and_palette_come_back(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 256, (7, 9), dtype=np.uint8)
    path = write_mask(tmp_path / "deep" / "00000.png", ids)
    assert Image.open(path).mode == "P"
    mask = read_mask(path, size=(7, 9))
    assert np.array_equal(mask.ids, ids)
    assert mask.palette is not None
    assert np.array_equal(mask.palette, davis_palette())
    own = davis_palette()[::-1].copy()
    again = read_mask(write_mask(path, ids, own))
    assert np.array_equal(again.ids, ids)
    assert np.array_equal(again.palette, own)


def test_palette_is_that_of_davis() -> None:
    palette = davis_palette()
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 3: (128, 128, 0), 8: (64, 0, 0), 9: (191, 0, 0), 10: (64, 128, 0)}
    expected |= {18: (0, 191, 0), 20: (0, 64, 128), 21: (128, 64, 128), 22: (22, 22, 22), 255: (255, 255, 255)}
    assert {index: tuple(palette[index].tolist()) for index in expected} == expected


def test_few_colours_and_grey_ids_are_read_as_ids(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    picture = Image.fromarray(ids)
    picture.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    picture.save(tmp_path / "short.png", bits=2)
    mask = read_mask(tmp_path / "short.png")
    assert np.array_equal(mask.ids, ids)
    assert mask.palette is not None
    assert mask.palette[2].tolist() == [200, 0, 0]
    Image.fromarray(ids).save(tmp_path / "grey.png")
    grey = read_mask(tmp_path / "grey.png")
    assert np.array_equal(grey.ids, ids)
    assert grey.palette is None


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 6, 3), np.uint8), r"colour \(RGB\) picture; expected an indexed PNG"),
        (np.zeros((4, 6), np.uint16), r"16-bit or float picture; expected an indexed PNG"),
        (np.zeros((5, 6), np.uint8), r"6 x 5 pixels, the frames are 6 x 4"),
    ],
)
def test_masks_that_hold_no_ids_of_this_film(tmp_path: Path, array: np.ndarray, message: str) -> None:
    Image.fromarray(array).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=message):
        read_mask(tmp_path / "mask.png", size=(4, 6))


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png: cannot be read as a picture"):
        read_mask(tmp_path / "text.png")
    whole = write_mask(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8))
    whole.write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(InputError, match=r"cut\.png: cannot be read as a picture"):
        read_mask(whole)
    for side in (12_000, 60_000):  # Pillow warns of the one and refuses the other
        whole.write_bytes(picture_that_claims(side))
        with pytest.raises(InputError, match=r"cut\.png: cannot be read as a picture"):
            read_mask(whole)


def test_only_ids_are_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_mask(tmp_path / "mask.png", np.zeros((4, 4), dtype=np.int64))
    assert not list(tmp_path.iterdir())
