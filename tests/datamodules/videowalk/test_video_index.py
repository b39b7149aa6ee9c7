import csv
import itertools
import logging
import os
import re
import shutil
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from components.errors import InputError
from components.media import video_probe
from components.media.clip_reader import ClipReader
from components.media.video_probe import probe_video
from datamodules.videowalk import video_index
from datamodules.videowalk.video_folders import find_splits, find_videos
from datamodules.videowalk.video_index import BROKEN, INDEX, VideoIndex, build_video_index
from tests.components.media.test_video_probe import DATA, real
from tests.components.media.video_files import number_of, write_video


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kinetics layout with a broken file, a variable rate, a plain file, and things that are no videos."""
    root = tmp_path_factory.mktemp("videos")
    write_video(root / "train_256" / "b class" / "one.mp4", 30)
    write_video(root / "train_256" / "b class" / "two.mp4", [0, 1, 2, 9, 10, 11, 30, 31])
    write_video(root / "train_256" / "a" / "upper.mp4", 12, fps=12).rename(root / "train_256" / "a" / "upper.MP4")
    write_video(root / "train_256" / "a" / "other.mkv", 20)
    (root / "train_256" / "a" / "empty.mp4").touch()
    (root / "train_256" / "a" / "notes.txt").write_text("no video")
    (root / "train_256" / "a" / "._upper.mp4").write_text("what another system leaves")
    write_video(root / "val_256" / "a" / "three.mp4", 16)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "videos")


def content(index: VideoIndex) -> tuple:
    """Everything that must be equal however an index came to be."""
    numbers = [getattr(index, name).tolist() for name in video_index._NUMBERS]
    pts = [index.timestamps[video].tolist() for video in range(len(index))]
    return index.names, index.errors, numbers, pts


def test_what_is_found(root: Path, tmp_path: Path) -> None:
    index = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
    assert index.names == ["a/empty.mp4", "a/other.mkv", "a/upper.MP4", "b class/one.mp4", "b class/two.mp4"]
    assert index.class_names == ["a", "b class"]
    assert list(index.broken) == [str(root / "train_256" / "a" / "empty.mp4")]
    assert np.array_equal(index.fps, [np.nan, 24, 12, 24, index.fps[4]], equal_nan=True)
    assert index.width.tolist() == [0, 48, 48, 48, 48]
    for video in range(1, 5):
        assert np.array_equal(index.timestamps[video], probe_video(index.path(video)).pts)
    assert index.seconds()[[0, 2, 3]] == pytest.approx([0, 1, 1.25])
    clips = index.clips(frames_per_clip=4, frame_rate=8)
    assert clips.clips_per_video.tolist()[:4] == [0, 4, 5, 7]
    place = clips.locate(4 + 5 + 3)
    clip = ClipReader().read(index.path(place.video), clips.clip_pts(4 + 5 + 3))
    assert [number_of(frame.permute(1, 2, 0).numpy()) for frame in clip] == [9, 12, 15, 18]
    with (index.place / BROKEN).open(newline="") as stream:
        assert list(csv.DictReader(stream)) == [{"video": "a/empty.mp4", "reason": "the file is empty (0 bytes)"}]
    assert not (root / ".troupe_cache").exists()
    beside = build_video_index(root, "val_256", workers=1)
    assert beside.place.parent == root / "val_256" / ".troupe_cache"
    assert build_video_index(root, "val_256", workers=1).probed == 0  # what lies beside the videos is none of them


def test_processes_give_the_same_index(root: Path, tmp_path: Path) -> None:
    told: list[int] = []

    def progress(title: str, total: int):
        from contextlib import nullcontext

        told.append(-total)
        return nullcontext(told.append)

    one = build_video_index(root, None, tmp_path / "one", workers=1)
    two = build_video_index(root, None, tmp_path / "two", workers=2, progress=progress)
    assert content(one) == content(two)
    assert told == [-6, 1, 1, 1, 1, 1, 1]


def test_only_what_changed_is_read_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def probe(path: str):
        asked.append(Path(path).name)
        return probe_video(path)

    monkeypatch.setattr(video_index, "probe_video", probe)

    def build(**settings) -> VideoIndex:
        asked.clear()
        return build_video_index(root, "train_256", tmp_path / "cache", workers=1, **settings)

    assert build().probed == len(asked) == 5
    assert build().probed == len(asked) == 0
    first = content(build())
    one = root / "train_256" / "b class" / "one.mp4"
    os.utime(one, (1, 1))  # same bytes, other time
    assert build().probed == 1
    assert asked == ["one.mp4"]
    write_video(root / "train_256" / "a" / "empty.mp4", 9)  # it has been mended
    (root / "train_256" / "a" / "other.mkv").unlink()
    mended = build()
    assert asked == ["empty.mp4"]
    assert mended.errors == [""] * 4
    assert mended.names == ["a/empty.mp4", "a/upper.MP4", "b class/one.mp4", "b class/two.mp4"]
    assert first[0] != mended.names
    assert build(suffixes=[".MP4"]).probed == 4  # another set of files has an index of its own
    assert build(force=True).probed == 4
    assert content(build()) == content(mended)


def test_what_could_not_be_read_is_tried_again(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without permission changes neither its size nor its time when it gets it."""
    whole = content(build_video_index(root, "train_256", tmp_path / "whole", workers=1))
    opened = video_probe.open_video

    def refused(path: str):
        if path.endswith("one.mp4"):
            raise av.error.PermissionError(13, "Permission denied", path)
        return opened(path)

    monkeypatch.setattr(video_probe, "open_video", refused)
    for _ in range(2):
        index = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
        assert index.broken[str(root / "train_256" / "b class" / "one.mp4")] == "it cannot be read (Permission denied)"
    assert index.probed == 1
    monkeypatch.setattr(video_probe, "open_video", opened)
    index = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
    assert index.probed == 1
    assert content(index) == whole


@pytest.mark.parametrize("damage", ["cut", "noise", "text", "other columns", "folder", "locked"])
def test_an_unreadable_index_is_built_anew(
    root: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
    path = before.place / INDEX
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "other columns":
        np.savez(path, version=np.array(1), names=np.zeros(3, np.uint8))
    else:
        middle = len(whole) // 2
        path.write_bytes({"cut": whole[:middle], "text": b"{}",
                          "locked": re.sub(rb"(?s)(PK\x01\x02.{4})\x00", b"\\1\x01", whole),
                          "noise": whole[: middle - 40] + bytes(80) + whole[middle + 40 :]}[damage])  # fmt: skip
    with caplog.at_level(logging.WARNING):
        if damage == "folder":
            with pytest.raises(InputError, match=r"cannot write .*index\.npz"):
                build_video_index(root, "train_256", tmp_path / "cache", workers=1)
        else:
            again = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
            assert again.probed == 5
            assert content(again) == content(before)
    assert f"{path} cannot be read" in caplog.text
    assert "built anew" in caplog.text


def test_an_interrupted_call_goes_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_video_index(root, "train_256", tmp_path / "whole", workers=1)
    seen: list[str] = []

    def probe(path: str):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(path)
        return probe_video(path)

    monkeypatch.setattr(video_index, "probe_video", probe)
    with pytest.raises(KeyboardInterrupt):
        build_video_index(root, "train_256", tmp_path / "cache", workers=1)
    (journal,) = (tmp_path / "cache").rglob("journal-*.jsonl")
    rows = journal.read_bytes().splitlines(keepends=True)
    assert len(rows) == 3
    # The kill came in the middle of a line, and another line was damaged: neither is trusted.
    journal.write_bytes(rows[0] + rows[1].replace(b"mkv", b"mov", 1) + rows[2][:-9])
    monkeypatch.setattr(video_index, "probe_video", probe_video)
    again = build_video_index(root, "train_256", tmp_path / "cache", workers=1)
    assert again.probed == 4
    assert content(again) == content(whole)
    assert sorted(path.name for path in again.place.iterdir()) == [BROKEN, INDEX]


@pytest.mark.parametrize("moment", ["probe_video", "_write_broken", "os.replace", "_save"])
def test_killed_at_any_moment(moment: str, made: Path, tmp_path: Path) -> None:
    """While videos are read, before the index is there, and before what it was made from is gone: nothing misleads."""
    root = tmp_path / "many"
    root.mkdir()
    for number in range(4):
        (root / f"{number}.mp4").symlink_to(made / "val_256" / "a" / "three.mp4")
    whole = content(build_video_index(root, cache_dir=tmp_path / "whole", workers=1))
    cache = tmp_path / "cache"

    def killed() -> None:
        def dies(function: Any, call: int) -> Any:
            calls = itertools.count(1)

            def dying(*args: Any, **kwargs: Any) -> Any:
                answer = function(*args, **kwargs)
                if next(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return answer

            return dying

        if moment == "os.replace":  # the list of broken files, then the index
            os.replace = dies(os.replace, 2)  # type: ignore[assignment]
        else:
            setattr(video_index, moment, dies(getattr(video_index, moment), 3 if moment == "probe_video" else 1))
        build_video_index(root, cache_dir=cache, workers=1)

    child = get_context("fork").Process(target=killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    again = build_video_index(root, cache_dir=cache, workers=1)
    assert content(again) == whole
    assert again.probed <= 2
    assert sorted(path.name for path in again.place.iterdir() if not path.name.startswith(".")) == [BROKEN, INDEX]


def test_folders_without_videos_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.root=.*gone: no such folder"):
        build_video_index(tmp_path / "gone")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "0.jpg").touch()
    with pytest.raises(InputError, match=r"dataset\.root=.*pictures: no videos at or below it"):
        build_video_index(tmp_path / "pictures", key="dataset.root")
    with pytest.raises(InputError, match="there are: pictures"):
        build_video_index(tmp_path, "train_256")
    with pytest.raises(InputError, match="workers=0"):
        build_video_index(tmp_path, workers=0)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["0.jpg", "pictures"]


def test_links_and_what_they_lead_to(tmp_path: Path) -> None:
    write_video(tmp_path / "store" / "film.mp4", 8)
    folder = tmp_path / "set"
    (folder / "class").mkdir(parents=True)
    (folder / "class" / "linked.mp4").symlink_to(tmp_path / "store" / "film.mp4")
    (folder / "class" / "lost.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (folder / "class" / "up").symlink_to(folder)
    (folder / "other").symlink_to(tmp_path / "store")
    os.mkfifo(folder / "class" / "pipe.mp4")
    assert [file.name for file in find_videos(folder)] == ["class/linked.mp4", "class/lost.mp4", "other/film.mp4"]
    index = build_video_index(folder, cache_dir=tmp_path / "cache", workers=1)
    assert [bool(error) for error in index.errors] == [False, True, False]
    assert "No such file" in index.errors[1]


def test_splits_by_their_names(tmp_path: Path) -> None:
    for name in ("train_256", "val_256", "Test", "broken", "training.txt"):
        (tmp_path / name).mkdir()
    (tmp_path / "training.txt").rmdir()
    (tmp_path / "training.txt").touch()
    (tmp_path / "training dog").mkdir()  # a class
    assert find_splits(tmp_path) == ["Test", "train_256", "val_256"]
    assert find_splits(tmp_path / "gone") == []


@real
def test_real_videos(tmp_path: Path) -> None:
    index = build_video_index(DATA, None, tmp_path, workers=2)
    assert [Path(name).stem for name in index.names if name.startswith("broken")] == [
        Path(path).stem for path in index.broken
    ]
    assert (len(index), len(index.broken)) == (20, 3)
    clips = index.clips()
    assert len(clips) == 349 + 116
    vfr = index.names.index("val_256/indoor_person/hug_vfr.mp4")
    # Frames 64 to 67 lie across the gap of 6 frame times: times are those of the file, not number / rate.
    native = index.clips(frame_rate=None)
    flat = int(native.cumulative_sizes[vfr] - native.clips_per_video[vfr]) + 64
    assert np.diff(native.clip_pts(flat)).tolist() == [512, 512, 6 * 512]
    assert len(ClipReader().read(index.path(vfr), native.clip_pts(flat))) == 4
