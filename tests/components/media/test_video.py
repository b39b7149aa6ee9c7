import ctypes
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from components.errors import InputError
from components.media import read_video, write_gif, write_mp4


def moving_square(frames: int, height: int, width: int) -> torch.Tensor:
    film = torch.full((frames, height, width, 3), 230, dtype=torch.uint8)
    for index in range(frames):
        film[index, 4:16, 2 * index : 2 * index + 12] = torch.tensor([200, 40, 60], dtype=torch.uint8)
    return film


@pytest.mark.parametrize("fps", [20, 12.5, 30000 / 1001])
def test_mp4_roundtrip_keeps_count_rate_size_and_content(tmp_path: Path, fps: float) -> None:
    film = moving_square(17, 48, 64)
    path = write_mp4(tmp_path / "new" / "film.mp4", film, fps)
    video = read_video(path)
    assert video.frames.shape == film.shape
    assert video.fps == pytest.approx(fps, rel=1e-3)
    assert (video.frames.float() - film.float()).abs().mean() < 4
    assert [file.name for file in path.parent.iterdir()] == ["film.mp4"]


def test_the_file_plays_everywhere(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "film.mp4", moving_square(3, 48, 64), 10)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.name in ("h264", "mpeg4")
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index comes first: the film starts before it is loaded


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever lay in memory before: glibc is told to fill what it hands out."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        pytest.skip("needs the memory allocator of glibc")
    noise = np.random.default_rng(0).integers(0, 255, (7, 8, 12, 3), dtype=np.uint8)
    frames = np.ascontiguousarray(noise.repeat(8, 1).repeat(8, 2))
    found = set()
    for fill in (1, 85, 200):
        libc.mallopt(-6, fill)  # M_PERTURB
        try:
            found.add(write_mp4(tmp_path / f"{fill}.mp4", frames, 24).read_bytes())
        finally:
            libc.mallopt(-6, 0)
    assert len(found) == 1


def test_odd_sides_are_extended_to_even_ones(tmp_path: Path) -> None:
    film = moving_square(4, 33, 47)
    video = read_video(write_mp4(tmp_path / "odd.mp4", film, 10))
    assert video.frames.shape == (4, 34, 48, 3)
    assert (video.frames[:, :33, :47].float() - film.float()).abs().mean() < 5


def test_pictures_may_come_one_by_one(tmp_path: Path) -> None:
    film = moving_square(9, 32, 40).numpy()
    video = read_video(write_mp4(tmp_path / "stream.mp4", (frame for frame in film), 25))
    assert len(video.frames) == 9
    parts = read_video(write_mp4(tmp_path / "parts.mp4", [film[:4], film[4:]], 25))
    assert torch.equal(parts.frames, video.frames)


def test_a_range_of_frames(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "film.mp4", moving_square(12, 32, 48), 10)
    whole = read_video(path).frames
    assert torch.equal(read_video(path, start=2, stop=9, step=3).frames, whole[2:9:3])
    with pytest.raises(InputError, match="no frame in the range"):
        read_video(path, start=40)


def test_gifs_are_read_too(tmp_path: Path) -> None:
    film = moving_square(6, 32, 48)
    video = read_video(write_gif(tmp_path / "film.gif", film, 10))
    assert video.frames.shape == film.shape
    assert video.fps == pytest.approx(10)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.mp4: no such file"):
        read_video(tmp_path / "gone.mp4")
    text = tmp_path / "notes.mp4"
    text.write_text("not a film at all")
    with pytest.raises(InputError, match=r"notes\.mp4: cannot be decoded"):
        read_video(text)
    whole = write_mp4(tmp_path / "film.mp4", moving_square(5, 32, 48), 10).read_bytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(InputError, match=r"broken\.mp4"):
        read_video(broken)


def test_bad_frames_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(ValueError, match="uint8"):
        write_mp4(path, torch.zeros(2, 8, 8, 3), 10)
    with pytest.raises(ValueError, match="no frames"):
        write_mp4(path, [], 10)
    with pytest.raises(ValueError, match="fps"):
        write_mp4(path, moving_square(2, 16, 16), 0)
    with pytest.raises(ValueError, match="differ in size"):
        write_mp4(path, [moving_square(1, 16, 16), moving_square(1, 16, 18)], 10)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_target_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write"):
        write_mp4(tmp_path / "file" / "film.mp4", moving_square(2, 16, 16), 10)


def test_a_rotation_in_the_file_is_applied(tmp_path: Path) -> None:
    """Phones store upright films lying on their side together with an angle (counter-clockwise, degrees)."""
    film = moving_square(3, 32, 48)
    path = write_mp4(tmp_path / "phone.mp4", film, 10)
    upright = read_video(path).frames.numpy()
    data = bytearray(path.read_bytes())
    # The display matrix of the track header: identity becomes a quarter turn.
    track = data.index(b"tkhd") + 4 + 40
    one, zero, minus = (value.to_bytes(4, "big", signed=True) for value in (1 << 16, 0, -(1 << 16)))
    assert data[track : track + 4] == one
    data[track : track + 20] = zero + one + zero + minus + zero
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(data)
    # This matrix sends the file's x axis to the screen's y axis (down): a clockwise quarter turn.
    assert np.array_equal(read_video(turned).frames.numpy(), np.rot90(upright, k=-1, axes=(1, 2)))
