"""Clips of frame folders: the published gap rule, lists, folders, and what cannot be used."""

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.clip_reader import BrokenVideoError
from datamodules.videowalk.frame_clips import FrameClips, FrameFolder, clip_gap, open_frames_of
from datamodules.videowalk.sources import ClipSettings, open_source


def write_frames(folder, count, size=(8, 6), start=0):
    """Pictures whose red channel is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        Image.new("RGB", size, (number, 0, 0)).save(folder / f"{number:05d}.png")
    return str(folder)


def reds(clip) -> list[int]:
    return clip[:, 0, 0, 0].tolist()


@pytest.mark.parametrize(("frames", "gap"), [(100, 8), (32, 8), (31, 7), (12, 3), (4, 1), (3, 0)])
def test_gap_is_lowered_until_the_clip_fits(frames, gap):
    assert clip_gap(frames, 4, 8) == gap
    slow = 8
    while frames < 4 * slow:  # as the rule is stated
        slow -= 1
    assert slow == gap


def test_starts_and_frames_of_clips(tmp_path):
    clips = FrameClips([FrameFolder(write_frames(tmp_path / "a", 14), 14)], clip_len=4, frame_gap=3)
    assert clips.counts.tolist() == [3]  # starts 0..14-4*3
    assert [reds(clips.read(0, clip)) for clip in range(3)] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert clips.read(0, 0).shape == (4, 3, 6, 8)


def test_frames_are_sorted_by_number(tmp_path):
    for number in (9, 10, 2):
        write_frames(tmp_path, 1, start=number)
        (tmp_path / f"{number:05d}.png").rename(tmp_path / f"{number}.png")
    assert reds(FrameClips([FrameFolder(str(tmp_path), 3)], 3, 1).read(0, 0)) == [2, 9, 10]


def test_too_short_videos_are_refused_left_out_or_repeated(tmp_path):
    folders = [FrameFolder(write_frames(tmp_path / "a", 2), 2), FrameFolder("b", 40), FrameFolder("c", 3)]
    with pytest.raises(InputError, match=r"a: 2 pictures are fewer than data.clip_len=4.*\(1 more videos") as caught:
        FrameClips(folders, on_error="raise")
    assert "data.allow_repeated_frames=true" in str(caught.value)
    assert FrameClips(folders, on_error="skip").counts.tolist() == [0, 9, 0]
    still = FrameClips(folders, on_error="raise", allow_repeated_frames=True)
    assert still.counts.tolist() == [2, 9, 3]
    assert reds(still.read(0, 1)) == [1, 1, 1, 1]


@pytest.mark.parametrize("options", [{"clip_len": 0}, {"frame_gap": 0}])
def test_values_out_of_range(options):
    with pytest.raises(InputError, match="must be at least 1"):
        FrameClips([], **options)


def test_broken_folders(tmp_path):
    path = write_frames(tmp_path / "a", 4)
    with pytest.raises(BrokenVideoError, match="it holds 4 pictures, 6 were expected"):
        FrameClips([FrameFolder(path, 6)], 4, 1).read(0, 0)
    (tmp_path / "a" / "00002.png").write_bytes(b"no picture")
    with pytest.raises(BrokenVideoError, match=r"00002\.png: cannot be read as a picture"):
        FrameClips([FrameFolder(path, 4)], 4, 1).read(0, 0)
    Image.new("RGB", (9, 9)).save(tmp_path / "a" / "00002.png")
    with pytest.raises(BrokenVideoError, match="different sizes"):
        FrameClips([FrameFolder(path, 4)], 4, 1).read(0, 0)
    with pytest.raises(BrokenVideoError, match="no such folder"):
        FrameClips([FrameFolder(str(tmp_path / "gone"), 4)], 4, 1).read(0, 0)


def test_list_file(tmp_path):
    write_frames(tmp_path / "my videos", 2)
    other = write_frames(tmp_path / "b", 3)
    file = tmp_path / "list.txt"
    file.write_text(f"my videos 2\n\n{other}\t3\ngone 9\n")
    folders, missing = open_frames_of(file)
    assert folders == [FrameFolder(str(tmp_path / "my videos"), 2), FrameFolder(other, 3)]
    assert missing == {str(tmp_path / "gone"): "no such folder"}


@pytest.mark.parametrize("line", ["b", "b three", "b -3", "b 3.5", " 12", "b 99999999999"])
def test_malformed_lists_name_the_line(tmp_path, line):
    file = tmp_path / "list.txt"
    file.write_text(f"\n{line}\n")
    with pytest.raises(InputError, match=r"list\.txt, line 2: .*is not `folder number_of_frames`"):
        open_frames_of(file)


def test_empty_and_binary_lists(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("\n")
    with pytest.raises(InputError, match="the list is empty"):
        open_frames_of(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as a list of frame folders"):
        open_frames_of(file)


def test_folders_are_found_at_any_depth(tmp_path):
    write_frames(tmp_path / "class" / "b", 3)
    write_frames(tmp_path / "a", 2)
    write_frames(tmp_path / ".hidden", 2)
    write_frames(tmp_path / "odd", 1)
    (tmp_path / "odd" / "cover.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    folders, bad = open_frames_of(tmp_path)
    assert folders == [FrameFolder(str(tmp_path / "a"), 2), FrameFolder(str(tmp_path / "class" / "b"), 3)]
    assert list(bad) == [str(tmp_path / "odd")]
    assert "without a number in the name" in bad[str(tmp_path / "odd")]


def test_folder_without_pictures_and_missing_path(tmp_path):
    with pytest.raises(InputError, match="no pictures below it") as caught:
        open_frames_of(tmp_path)
    assert "data=kinetics_clips" in str(caught.value)
    with pytest.raises(InputError, match="no such file or folder"):
        open_frames_of(tmp_path / "gone")


def test_names_without_numbers(tmp_path):
    Image.new("RGB", (8, 6)).save(tmp_path / "first.png")
    with pytest.raises(InputError) as caught:
        open_source("frames", tmp_path, ClipSettings(cache_dir=str(tmp_path)))
    assert "(itself: first.png without a number in the name, so their order is not known)" in str(caught.value)


def test_counts_are_numbers_of_starts():
    rng = np.random.default_rng(0)
    for frames in rng.integers(4, 60, 20).tolist():
        clips = FrameClips([FrameFolder("x", frames)], 4, 8)
        last_start = int(clips.counts[0]) - 1
        assert last_start + 3 * int(clips.gaps[0]) < frames
        assert last_start == frames - 4 * clip_gap(frames, 4, 8)
