from pathlib import Path

import pytest

from components.errors import InputError
from components.media.video_frames import VideoFrames
from tests.components.media.video_files import corrupt, number_of, write_video


def test_frames_come_in_order_and_from_anywhere(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 40)
    film = VideoFrames(path)
    assert [number_of(film.read(index)) for index in range(40)] == list(range(40))
    assert (film.name, len(film), film.size, film.fps) == ("film", 40, (32, 48), 24)
    order = [0, 1, 2, 2, 10, 11, 5, 6, 39, 12, 0, 1]
    assert [number_of(film.read(index)) for index in order] == order
    film.close()
    assert number_of(film.read(7)) == 7
    with pytest.raises(IndexError, match="frame 40 of 40"):
        film.read(40)


@pytest.mark.parametrize("name", ["disorder.avi", "open.mkv"])
def test_frames_are_those_of_their_times(tmp_path: Path, name: str) -> None:
    """H.264 in AVI hands B-frames out of order; reading on and reading anywhere agree."""
    film = VideoFrames(write_video(tmp_path / name, 20))
    forward = [number_of(film.read(index)) for index in range(20)]
    assert forward == [number_of(film.read(index)) for index in reversed(range(20))][::-1]
    assert sorted(forward) == list(range(20))


def test_broken_files_are_the_users(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4: .*No such file"):
        VideoFrames(tmp_path / "gone.mp4")
    path = corrupt(write_video(tmp_path / "film.mp4", 60, group=60, b_frames=0), 0.5)
    film = VideoFrames(path)
    assert number_of(film.read(3)) == 3
    with pytest.raises(InputError, match=r"film\.mp4: .* at frame \d+ of 60"):
        film.read(59)
