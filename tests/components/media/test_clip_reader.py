import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.multiprocessing import get_context

from components.media import read_video
from components.media.clip_reader import BrokenVideoError, ClipReader
from components.media.video_probe import probe_video
from tests.components.media.test_video_probe import CASES, DATA, real
from tests.components.media.video_files import corrupt, number_of, write_video


def numbers(clip: torch.Tensor) -> list[int]:
    """Numbers of the frames `[T, 3, H, W]`."""
    return [number_of(frame.permute(1, 2, 0).numpy()) for frame in clip]


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[name for name, _ in CASES])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_frame_is_found_by_its_time(tmp_path: Path, name: str, settings: dict, threads: int) -> None:
    path = write_video(tmp_path / name, **settings)
    pts, reader = probe_video(path).pts, ClipReader(threads=threads)
    for number in range(len(pts) - 1, -1, -3):  # backwards, so that nothing is where the last clip left it
        assert numbers(reader.read(path, pts[number : number + 4])) == list(range(number, min(number + 4, len(pts))))
    reader.close()


@given(st.data())
def test_any_frames_in_any_order(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "any_order" / "film.mp4"
    if not path.is_file():
        write_video(path, 40)
    chosen = data.draw(st.lists(st.integers(0, 39), min_size=1, max_size=6))
    assert numbers(ClipReader().read(path, probe_video(path).pts[chosen])) == chosen


def test_pictures_equal_those_of_the_whole_decode(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 30, sound=True)
    whole = read_video(path).frames
    clip = ClipReader().read(path, probe_video(path).pts[5:25:4])
    assert clip.dtype == torch.uint8
    assert clip.is_contiguous()
    assert torch.equal(clip, whole[5:25:4].permute(0, 3, 1, 2))


def test_no_more_is_decoded_than_it_takes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 120, group=12, b_frames=0)
    pts, reader = probe_video(path).pts, ClipReader()
    reader.read(path, pts[[62, 65]])
    assert reader.decoded == 6  # from the key frame 60 to frame 65
    reader.read(path, pts[[119]])
    assert reader.decoded == 6 + 12


def test_files_stay_open_up_to_a_bound(tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{name}.mp4", 6) for name in "abcd"]
    pts = probe_video(paths[0]).pts
    reader = ClipReader(max_open=2)
    descriptors = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for path in paths * 3:
        assert numbers(reader.read(path, pts[2:4])) == [2, 3]
        assert len(reader) <= 2
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
    reader.close()
    assert len(reader) == 0
    assert numbers(reader.read(paths[0], pts[:1])) == [0]
    assert len(ClipReader(max_open=0)) == 0
    unkept = ClipReader(max_open=0)
    unkept.read(paths[0], pts[:1])
    assert len(unkept) == 0


def _read_in_child(reader: ClipReader, path: Path, pts: list[int], queue: object) -> None:
    queue.put(numbers(reader.read(path, pts)))  # type: ignore[attr-defined]


@pytest.mark.parametrize("threads", [1, 2])
def test_after_a_fork_files_are_opened_again(tmp_path: Path, threads: int) -> None:
    """Parent and child would share the place in the file, and the decoding threads are the parent's."""
    path = write_video(tmp_path / "film.mp4", 40)
    pts = probe_video(path).pts.tolist()
    reader = ClipReader(threads=threads)
    reader.read(path, pts[:2])
    context = get_context("fork")
    queue = context.SimpleQueue()
    children = [context.Process(target=_read_in_child, args=(reader, path, pts[20:24], queue)) for _ in range(2)]
    for child in children:
        child.start()
    assert numbers(reader.read(path, pts[30:33])) == [30, 31, 32]
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert [queue.get() for _ in children] == [[20, 21, 22, 23]] * 2


def test_a_pickled_reader_opens_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 6)
    pts = probe_video(path).pts
    reader = ClipReader(max_open=3)
    reader.read(path, pts[:1])
    copy = pickle.loads(pickle.dumps(reader))
    assert (copy.max_open, len(copy)) == (3, 0)
    assert numbers(copy.read(path, pts[:2])) == [0, 1]


def test_a_damaged_frame_is_an_error_and_what_lies_before_is_not(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 60, group=60, b_frames=0)
    pts = probe_video(path).pts
    corrupt(path, 0.6)
    reader = ClipReader()
    with pytest.raises(BrokenVideoError, match=r"film\.mp4: ") as caught:
        reader.read(path, pts[-1:])
    assert caught.value.path == str(path)
    assert caught.value.reason
    assert len(reader) == 0
    again = pickle.loads(pickle.dumps(caught.value))  # on its way from a worker process
    assert (str(again), again.path, again.reason) == (str(caught.value), caught.value.path, caught.value.reason)
    assert numbers(reader.read(path, pts[:5])) == [0, 1, 2, 3, 4]


def test_missing_files_and_frames_are_named(tmp_path: Path) -> None:
    with pytest.raises(BrokenVideoError, match=r"gone\.mp4: cannot be decoded \(No such file"):
        ClipReader().read(tmp_path / "gone.mp4", [0])
    path = write_video(tmp_path / "film.mp4", 10)
    pts = probe_video(path).pts
    for wanted in (int(pts[3]) + 1, int(pts[-1]) + 5000, int(pts[0]) - 5000):
        with pytest.raises(BrokenVideoError, match=f"1 of 2 frames are missing, the first at timestamp {wanted}"):
            ClipReader().read(path, [int(pts[0]), wanted])
    with pytest.raises(ValueError, match="pts is empty"):
        ClipReader().read(path, [])
    with pytest.raises(ValueError, match="max_open"):
        ClipReader(max_open=-1)


def test_files_that_cannot_be_decoded_at_all(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", 6)
    whole, pts = path.read_bytes(), probe_video(path).pts
    path.write_bytes(whole.replace(b"VideoHandler", b"Vid\xe9oHandle\xff"))
    assert len(ClipReader().read(path, pts)) == 6
    path.write_bytes(whole.replace(b"avc1", b"zzzz"))
    with pytest.raises(BrokenVideoError, match=r"film\.mp4: there is no picture stream"):
        ClipReader().read(path, pts)


def test_frames_of_different_sizes_are_no_clip(tmp_path: Path) -> None:
    """A stream may change its size on the way; a part of one size is read."""
    path = write_video(tmp_path / "film.ts", 12, b_frames=0)
    larger = write_video(tmp_path / "larger.ts", list(range(12, 20)), b_frames=0, size=(64, 96))
    path.write_bytes(path.read_bytes() + larger.read_bytes())
    pts = probe_video(path).pts
    assert ClipReader().read(path, pts[2:5]).shape == (3, 3, 32, 48)
    with pytest.raises(BrokenVideoError, match="different sizes"):
        ClipReader().read(path, pts[[3, -3]])


@real
@pytest.mark.parametrize("name", ["val_256/indoor_person/hug_vfr", "train_256/indoor_person/eye_makeup"])
def test_real_videos(name: str) -> None:
    path = DATA / f"{name}.mp4"
    pts, whole = probe_video(path).pts, read_video(path).frames
    reader = ClipReader()
    for start in (len(pts) - 10, 0, 60):
        clip = reader.read(path, pts[start : start + 10 : 3])
        assert np.array_equal(clip.permute(0, 2, 3, 1).numpy(), whole[start : start + 10 : 3].numpy())


@real
def test_real_broken_videos() -> None:
    for name in ("empty", "truncated_no_moov"):
        with pytest.raises(BrokenVideoError, match=name):
            ClipReader().read(DATA / "broken" / f"{name}.mp4", [0])
    midstream = DATA / "broken" / "truncated_midstream.mp4"
    assert len(ClipReader().read(midstream, [0, 512, 1024])) == 3
    with pytest.raises(BrokenVideoError, match="truncated_midstream"):
        ClipReader().read(midstream, [0, 49 * 512])
