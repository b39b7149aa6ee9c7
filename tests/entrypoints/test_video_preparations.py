import json
import shutil
from pathlib import Path

import pytest

from components.errors import InputError
from entrypoints.video_preparations import videos
from tests.components.media.test_video_probe import DATA, real
from tests.components.media.video_files import write_video


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kinetics")
    write_video(root / "train_256" / "run" / "long.mp4", 60)
    write_video(root / "train_256" / "jump" / "short.mp4", 5)
    (root / "train_256" / "jump" / "empty.mp4").touch()
    write_video(root / "val_256" / "run" / "other.mp4", 30)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "kinetics")


def test_splits_are_found_and_what_is_wrong_is_named(root: Path, tmp_path: Path) -> None:
    done = videos(str(root), workers=1, cache_dir=str(tmp_path / "cache"))
    assert done.fresh
    text = "\n".join(done.lines)
    assert "train_256: 3 videos of 2 classes, 1 broken; 3 read now, 0 known" in text
    assert "17 clips of 4 frames at 8 per second: 17 to 17 per video" in text
    assert "val_256: 1 videos of 1 classes, 0 broken" in text
    assert done.problems == [
        "train_256/jump/empty.mp4: the file is empty (0 bytes)",
        "train_256/jump/short.mp4: too short for a clip of 4 frames at 8 per second: 2",
    ]
    training = f"python -m entrypoints.train experiment=videowalk data.root={root}"
    assert done.next_step == f"{training} data.max_fail_ratio=0.34"
    assert done.report is not None
    report = json.loads(done.report.read_text())
    assert report["clips_per_video"] == {"jump/empty.mp4": 0, "jump/short.mp4": 0, "run/long.mp4": 17}
    assert report["problems"] == done.problems
    again = videos(str(root), workers=1, cache_dir=str(tmp_path / "cache"), clip_len=2, frame_rate=None)
    assert not again.fresh  # other clips need no other index
    assert "59 per video" in "\n".join(again.lines)
    assert again.next_step.endswith("data.clip_len=2 data.frame_rate=null data.max_fail_ratio=0.34")


def test_a_plain_folder_is_one_set(root: Path, tmp_path: Path) -> None:
    done = videos(str(root / "val_256" / "run"), workers=1, cache_dir=str(tmp_path / "cache"))
    assert done.lines[0].startswith("run: 1 videos, 0 broken")
    assert done.place.is_relative_to(tmp_path / "cache")
    beside = videos(str(root / "val_256" / "run"), workers=1, cache_dir=None)
    assert beside.place.is_relative_to(root)
    assert beside.next_step.endswith("data.cache_dir=null")  # else training would look elsewhere and index again


def test_a_clip_longer_than_every_video(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.clip_len=21.*longer than each of the 2 videos") as error:
        videos(str(root), clip_len=21, workers=1, cache_dir=str(tmp_path / "cache"))
    assert "run/long.mp4, gives 20: set dataset.clip_len to at most 20" in str(error.value)
    assert len(str(error.value).splitlines()) <= 3


def test_broken_videos_stop_it_where_wanted(root: Path, tmp_path: Path) -> None:
    settings = {"workers": 1, "cache_dir": str(tmp_path / "cache")}
    with pytest.raises(InputError, match=r"1 of 3 videos are broken, all in .*broken\.csv\ntrain_256/jump/empty\.mp4"):
        videos(str(root), on_error="raise", **settings)
    (root / "train_256" / "run" / "long.mp4").write_bytes(b"no video")
    (root / "train_256" / "jump" / "short.mp4").unlink()
    with pytest.raises(InputError, match="not one of 2 videos can be read") as error:
        videos(str(root), **settings)
    assert len(str(error.value).splitlines()) <= 3


def test_folders_and_values_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.root=.*: no videos at or below it"):
        videos(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"dataset\.root=.*gone: no such folder"):
        videos(str(tmp_path / "gone"))
    with pytest.raises(InputError, match="clip_len=0"):
        videos(str(tmp_path), clip_len=0)
    assert not (tmp_path / "cache").exists()


@real
def test_real_videos(tmp_path: Path) -> None:
    settings = {"workers": 1, "cache_dir": str(tmp_path)}
    text = "\n".join(videos(str(DATA), **settings).lines)
    assert "train_256: 11 videos of 6 classes, 0 broken; 11 read now" in text
    assert "349 clips of 4 frames at 8 per second: 14 to 53 per video" in text
    with pytest.raises(InputError, match="not one of 3 videos can be read"):
        videos(str(DATA), splits=["broken", "val_256"], **settings)
    done = videos(str(DATA), splits=["."], **settings)
    assert [line.split(":")[0] for line in done.problems] == [
        f"broken/{name}.mp4" for name in ("empty", "truncated_midstream", "truncated_no_moov")
    ]
