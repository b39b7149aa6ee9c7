import numpy as np
import pytest

from components.media.film_tables import FilmTable, play_table, still_table


def film(value: int, frames: int, size: int = 20) -> np.ndarray:
    return np.full((frames, size, size, 3), value, dtype=np.uint8)


def counting(frames: int, size: int = 20) -> np.ndarray:
    return np.stack([film(10 + index, 1, size)[0] for index in range(frames)])


def shown(picture: np.ndarray) -> set[int]:
    """Grey values of squares that are at least ten pixels wide."""
    grey = picture[..., 0]
    return {int(value) for value in np.unique(grey) if (grey == value).sum() >= 200}


def test_films_that_are_over_hold_their_last_frame_darkened() -> None:
    table = FilmTable(["a"], ["long", "short"], [[film(200, 4), film(100, 2)]])
    pictures = list(play_table(table))
    assert len(pictures) == table.frames == 4
    assert {100, 200} <= shown(pictures[1])
    for late in pictures[2:]:
        assert {82, 200} <= shown(late)
        assert 100 not in shown(late)
    assert np.array_equal(pictures[2], pictures[3])


def test_titles_empty_cells_and_the_bar() -> None:
    plain = FilmTable(["a", "b"], ["x", "y"], [[film(200, 1), film(90, 1)], [None, film(60, 1)]])
    barred = FilmTable(plain.rows, plain.columns, plain.films, bar_after=1)
    (picture,) = play_table(plain)
    assert {60, 90, 200} <= shown(picture)
    (with_bar,) = play_table(barred)
    assert with_bar.shape[1] > picture.shape[1]
    columns = (with_bar[25:, :, 0] == 20).mean(axis=0)
    assert (columns > 0.7).sum() == 6  # a bar of six pixels from top to bottom
    assert (picture[:20] < 120).any()  # titles on top


def test_a_still_shows_moments_with_the_first_and_the_last() -> None:
    picture = still_table(FilmTable(["a"], ["x"], [[counting(30)]]), moments=3)
    assert {10, 39} <= shown(picture)
    assert len(shown(picture) & set(range(10, 40))) == 3
    # A film of two frames takes as much room as the others.
    table = FilmTable(["a"], ["x", "y"], [[counting(30), counting(2)]])
    assert {10, 11, 39} <= shown(still_table(table, moments=3))


def test_wide_low_tables_stand_on_their_side() -> None:
    table = FilmTable(["a"], list("stuvwxyz"), [[film(10 + 9 * number, 1) for number in range(8)]])
    picture = still_table(table, moments=1)
    assert picture.shape[0] > picture.shape[1]


def test_films_must_fit_their_titles_and_each_other() -> None:
    with pytest.raises(ValueError, match="titles"):
        next(play_table(FilmTable(["a"], ["x"], [[film(1, 1), film(1, 1)]])))
    with pytest.raises(ValueError, match="one size"):
        next(play_table(FilmTable(["a"], ["x", "y"], [[film(1, 1, 20), film(1, 1, 22)]])))
    with pytest.raises(ValueError, match="one size"):
        next(play_table(FilmTable(["a"], ["x"], [[None]])))
