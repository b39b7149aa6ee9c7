"""`prepare dataset=video_shards` from a folder of videos to clips."""

import pytest

from components.errors import InputError
from datamodules.videowalk.shard_clips import ShardClips
from entrypoints.shard_preparations import video_shards
from tests.datamodules.videowalk.video_folder import write_folder, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data") / "kinetics", 2)


def pack(root, tmp_path, **options):
    return video_shards(str(root), str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), workers=1, **options)


def test_each_split_gets_shards_of_its_own(folder, tmp_path):
    done = pack(folder, tmp_path)
    assert done.fresh
    assert done.place == tmp_path / "out"
    assert done.lines[0].startswith("train_256: 2 videos in 1 shards")
    assert "data=shard_clips data.root=" in done.next_step
    for split in ("train_256", "val_256"):
        clips = ShardClips(tmp_path / "out" / split)
        assert clips.keys == ["class0/0.mp4", "class1/1.mp4"]
        assert clips.read(1, 0).shape == (4, 3, 32, 32)
    assert not pack(folder, tmp_path).fresh
    assert pack(folder, tmp_path, force=True).fresh


def test_chosen_splits_and_plain_folders(folder, tmp_path):
    pack(folder, tmp_path, splits=["val_256"])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["val_256"]
    write_video(tmp_path / "plain" / "a.mp4")
    video_shards(str(tmp_path / "plain"), str(tmp_path / "flat"), cache_dir=str(tmp_path / "cache"), workers=1)
    assert ShardClips(tmp_path / "flat").keys == ["a.mp4"]


def test_broken_videos(tmp_path):
    write_video(tmp_path / "d" / "a.mp4")
    (tmp_path / "d" / "empty.mp4").touch()
    done = pack(tmp_path / "d", tmp_path)
    assert [problem.split("/")[-1] for problem in done.problems] == ["empty.mp4: the file is empty (0 bytes)"]
    with pytest.raises(InputError, match=r"1 of 2 videos cannot be used, for example\n.*empty\.mp4"):
        pack(tmp_path / "d", tmp_path, on_error="raise")
    (tmp_path / "d" / "a.mp4").unlink()
    with pytest.raises(InputError, match="1 of 1 videos cannot be used"):
        pack(tmp_path / "d", tmp_path)


def test_faults_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"dataset\.shard_size=0"):
        pack(folder, tmp_path, shard_size=0)
    with pytest.raises(InputError, match=r"dataset\.output=.* lies within dataset\.root="):
        video_shards(str(folder), str(folder / "shards"))
    with pytest.raises(InputError, match=r"dataset\.root=.*gone: no such folder"):
        pack(tmp_path / "gone", tmp_path)
