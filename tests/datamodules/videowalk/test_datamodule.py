"""VideoClipsDataModule from folder to batches: small films, frame folders, shards, and real videos."""

import logging
import os
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from components.errors import InputError
from datamodules.videowalk import VideoClipsDataModule
from datamodules.videowalk.shard_writer import SourceVideo, write_shards
from tests.datamodules.videowalk.test_frame_clips import write_frames
from tests.datamodules.videowalk.video_folder import write_folder

REAL = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "kinetics_mini"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"real videos are not at {REAL}")
SMALL = {"img_size": 32, "patch_size": 16, "clip_len": 3, "clips_per_video": 2, "batch_size": 3, "index_workers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data") / "kinetics", 4)


def module(root, cache, **options) -> VideoClipsDataModule:
    data = VideoClipsDataModule(str(root), cache_dir=str(cache), **(SMALL | options))
    data.prepare_data()
    data.setup("fit")
    return data


def epoch(data, number=0) -> list[torch.Tensor]:
    """Clips of all training batches of an epoch."""
    loader = data.train_dataloader()
    loader.batch_sampler.set_epoch(number)
    return [data.finish(batch)["clips"] for batch in loader]


def process(data, rank, world, epoch=0, batch=0, last=False):
    """Make the data module believe that it is one of several processes, somewhere inside a training."""
    counts = SimpleNamespace(processed=epoch, started=epoch + (batch > 0))
    loops = SimpleNamespace(
        epoch_progress=SimpleNamespace(current=counts),
        epoch_loop=SimpleNamespace(
            batch_progress=SimpleNamespace(current=SimpleNamespace(processed=batch), is_last_batch=last)
        ),
    )
    data.trainer = SimpleNamespace(
        global_rank=rank, world_size=world, is_global_zero=rank == 0, fit_loop=loops, overfit_batches=0
    )
    return data


def test_batches_are_nodes(folder, tmp_path):
    data = module(folder, tmp_path)
    batches = epoch(data)
    assert [len(clips) for clips in batches] == [3, 3, 2]
    assert batches[0].shape == (3, 3, 3 * 9, 16, 16)
    assert batches[0].dtype == torch.float32
    assert data.num_nodes == 9


def test_whole_frames(folder, tmp_path):
    data = module(folder, tmp_path, frame_aug=["none"], frame_transforms=[])
    assert epoch(data)[0].shape == (3, 3, 3, 32, 32)


def test_facts(folder, tmp_path):
    facts = module(folder, tmp_path).facts()
    # 20 frames at 24 per second: every third is taken, 7 frames give 5 clips of 3
    assert facts["train"] == {"root": str(folder / "train_256"), "videos": 4, "clips": 20, "clips_per_epoch": 8}
    assert facts["val"] == {
        "root": str(folder / "val_256"), "videos": 4, "clips": 20, "clips_used": 20, "origin": "own",
    }  # fmt: skip
    assert facts["skipped"] == {"count": 0, "samples": []}
    assert facts["failed_clips"]["count"] == 0


def test_batches_are_the_same_for_any_number_of_workers(folder, tmp_path):
    one, two = (epoch(module(folder, tmp_path, num_workers=workers), 3) for workers in (0, 2))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_epochs_differ_and_repeat(folder, tmp_path):
    data = module(folder, tmp_path)
    first, again, second = epoch(data, 0), epoch(data, 0), epoch(data, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("options", [{}, {"frame_aug": ["none"]}], ids=["patches", "whole frames"])
def test_the_device_cuts_the_same_nodes(folder, tmp_path, options):
    worker = epoch(module(folder, tmp_path, **options))
    device = module(folder, tmp_path, augment_on="device", **options)
    raw = next(iter(device.train_dataloader()))["clips"]
    assert (raw.dtype, raw.shape) == (torch.uint8, (3, 3, 3, 32, 32))
    for a, b in zip(worker, epoch(device), strict=True):
        torch.testing.assert_close(a, b)


def test_validation_clips_are_always_the_same(folder, tmp_path):
    data = module(folder, tmp_path, val_clips_per_video=2)
    runs = [[data.finish(batch)["clips"] for batch in data.val_dataloader()] for _ in range(2)]
    assert sum(map(len, runs[0])) == 8
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
    assert len(data.test_dataloader()) == len(runs[0])


def test_processes_share_an_epoch(folder, tmp_path):
    shares = []
    for rank in range(2):
        loader = process(module(folder, tmp_path), rank, 2).train_dataloader()
        shares.append([draw.sample for batch in loader.batch_sampler for draw in batch])
    assert len(shares[0]) == len(shares[1]) == 3  # 8 clips: one whole batch each, the short one is dropped
    assert not set(shares[0]) & set(shares[1])


def test_a_resumed_run_goes_on_inside_its_epoch(folder, tmp_path):
    whole = epoch(module(folder, tmp_path), 2)
    loader = process(module(folder, tmp_path), 0, 1, epoch=2, batch=1).train_dataloader()
    data = module(folder, tmp_path)
    rest = [data.finish(batch)["clips"] for batch in loader]
    assert all(torch.equal(a, b) for a, b in zip(whole[1:], rest, strict=True))


def test_a_run_resumed_behind_the_last_batch_goes_on_with_the_next_epoch(folder, tmp_path):
    loader = process(module(folder, tmp_path), 0, 1, epoch=2, batch=3, last=True).train_dataloader()
    data = module(folder, tmp_path)
    again = [data.finish(batch)["clips"] for batch in loader]
    assert all(torch.equal(a, b) for a, b in zip(epoch(data, 3), again, strict=True))


def test_frame_folders(tmp_path):
    for name, count in (("a", 20), ("b", 30), ("c/d", 40)):
        write_frames(tmp_path / "frames" / name, count)
    data = module(tmp_path / "frames", tmp_path / "c", kind="frames", frame_gap=2, val_fraction=0.3)
    facts = data.facts()
    assert facts["val"]["origin"] == "held_out"
    assert facts["train"]["videos"] + facts["val"]["videos"] == 3
    assert epoch(data)[0].shape[1:] == (3, 27, 16, 16)
    (tmp_path / "list.txt").write_text("frames/a 20\nframes/b 30\n")
    listed = module(tmp_path / "list.txt", tmp_path / "c", kind="frames", val_fraction=0)
    assert listed.facts()["val"]["origin"] == "training"


def test_shards(folder, tmp_path):
    for split in ("train_256", "val_256"):
        files = sorted((folder / split).rglob("*.mp4"))
        videos = [SourceVideo(path.relative_to(folder / split).as_posix(), path) for path in files]
        write_shards(videos, tmp_path / "shards" / split, 3000)
    packed, loose = (
        module(root, tmp_path, kind=kind, clips_per_video=None, batch_size=20)
        for root, kind in ((tmp_path / "shards", "shards"), (folder, "videos"))
    )
    assert packed.facts()["train"]["clips"] == loose.facts()["train"]["clips"]
    assert epoch(packed)[0].shape == epoch(loose)[0].shape == (20, 3, 27, 16, 16)
    a, b = (data.finish(next(iter(data.val_dataloader())))["clips"] for data in (packed, loose))
    torch.testing.assert_close(a, b, rtol=0, atol=0)


def damaged(folder, tmp_path, videos=1) -> Path:
    """A copy of the folder whose first training videos have no sound picture any more, though their index is whole."""
    copy = Path(shutil.copytree(folder, tmp_path / "damaged"))
    for path in sorted((copy / "train_256").rglob("*.mp4"))[:videos]:
        content = bytearray(path.read_bytes())
        start = content.index(b"mdat") + 4
        content[start:] = bytes(len(content) - start)
        path.write_bytes(content)
    return copy


def test_clips_that_cannot_be_read_are_replaced_and_counted(folder, tmp_path):
    data = module(damaged(folder, tmp_path), tmp_path, max_fail_ratio=0.5, num_workers=2)
    assert sum(map(len, epoch(data))) == 8
    failed = data.facts()["failed_clips"]
    assert (failed["count"], failed["asked"], failed["videos"]) == (2, 8, 1)
    assert failed["samples"][0]["path"].endswith("damaged/train_256/class0/0.mp4")
    assert data.gather_failures().failed == 2
    assert "class0/0.mp4" in data.write_failures().read_text()


def test_too_many_broken_clips_stop_the_training(folder, tmp_path):
    data = module(damaged(folder, tmp_path, 2), tmp_path, max_fail_ratio=0.1)
    with pytest.raises(
        InputError, match=r"(?s)clips could not be read .*data\.max_fail_ratio=0\.1 admits 0\.8"
    ) as caught:
        epoch(data)
    assert len(str(caught.value).splitlines()) <= 3


def test_on_error_raise_stops_at_the_first(folder, tmp_path):
    data = module(damaged(folder, tmp_path), tmp_path, on_error="raise")
    with pytest.raises(InputError, match=r"class0/0\.mp4: clip \d cannot be read"):
        epoch(data)


def test_empty_videos_are_left_out_with_a_warning(folder, tmp_path, caplog):
    copy = Path(shutil.copytree(folder, tmp_path / "d"))
    (copy / "train_256" / "class0" / "empty.mp4").touch()
    with caplog.at_level(logging.WARNING):
        data = module(copy, tmp_path, max_fail_ratio=0.3)
    assert "training videos: 1 cannot be used and are left out" in caplog.text
    assert data.facts()["skipped"]["count"] == 1
    with pytest.raises(InputError, match=r"more than data\.max_fail_ratio=0\.05 admits"):
        module(copy, tmp_path)
    with pytest.raises(InputError, match=r"data\.on_error=skip"):
        module(copy, tmp_path, on_error="raise")


def test_a_clip_longer_than_every_video(folder, tmp_path):
    with pytest.raises(
        InputError, match=r"none of 4 videos is long enough; a clip takes 9 frames at 8 frames per second"
    ):
        module(folder, tmp_path, clip_len=9)


def test_two_frames_are_refused(folder):
    with pytest.raises(InputError, match=r"data\.clip_len=2: expected at least 3.*no gradient"):
        VideoClipsDataModule(str(folder), clip_len=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "films"}, "data.kind='films' is not one of videos, frames, shards"),
        ({"batch_size": 0}, "data.batch_size=0"),
        ({"num_workers": -1}, "num_workers=-1"),
        ({"index_workers": 0}, "data.index_workers=0"),
        ({"clips_per_video": 0}, "data.clips_per_video=0: expected at least 1, or null"),
        ({"val_clips_per_video": 0}, "data.val_clips_per_video=0"),
        ({"val_fraction": 1.0}, "data.val_fraction=1.0"),
        ({"max_fail_ratio": 2}, "data.max_fail_ratio=2"),
        ({"on_error": "stop"}, "data.on_error='stop' is not one of skip, raise"),
        ({"augment_on": "gpu"}, "data.augment_on='gpu' is not one of worker, device"),
        ({"frame_transforms": ["zoom"]}, "data.frame_transforms: unknown 'zoom'"),
        ({"frame_aug": ["grid", "none"]}, "data.frame_aug"),
        ({"patch_size": 64}, "smaller than a patch"),
        ({"frame_rate": 0}, "frame_rate=0"),
        ({"step": 0}, "step=0"),
        ({"frame_gap": 0}, "data.frame_gap=0: expected at least 1 frame"),
        ({"shuffle_buffer": -1}, "data.shuffle_buffer=-1"),
        ({"train_split": "gone"}, "data.train_split=gone: no such folder"),
    ],
)
def test_faults_are_named(folder, tmp_path, options, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        module(folder, tmp_path, **options)


def test_synthetic_videos_are_written_once_and_announced(tmp_path, caplog):
    calls = []

    def write(target):
        calls.append(target)
        if not Path(target).exists():
            write_folder(Path(target), 2)
            (Path(target) / "synthetic.json").write_text("{}")

    place = tmp_path / "synthetic"
    options = {"synthetic": write, "synthetic_root": str(place)}
    with caplog.at_level(logging.INFO):
        data = module(place, tmp_path / "c", **options)
    assert "SYNTHETIC videos. Use your own with data.root=" in caplog.text
    assert data.facts()["synthetic"]
    module(write_folder(tmp_path / "own", 2), tmp_path / "c", **options)
    assert calls == [place]


@needs_real
def test_real_videos_and_broken_ones(tmp_path):
    root = tmp_path / "mini"
    shutil.copytree(REAL / "train_256", root / "train_256", ignore=shutil.ignore_patterns("davis_*"))
    shutil.copytree(REAL / "broken", root / "train_256" / "broken")
    module_of = partial(module, root, tmp_path / "c", val_fraction=0.3, clips_per_video=1, batch_size=2)
    with pytest.raises(InputError, match=r"(?s)3 of \d+ videos cannot be used .*data\.max_fail_ratio=0\.05"):
        module_of()
    data = module_of(max_fail_ratio=0.6)
    skipped = {Path(entry["sample"]).name for entry in data.facts()["skipped"]["samples"]}
    assert skipped == {"empty.mp4", "truncated_midstream.mp4", "truncated_no_moov.mp4"}
    (clips, *_) = epoch(data)
    assert clips.shape == (2, 3, 27, 16, 16)
    assert float(clips.std()) > 0.3


@needs_real
def test_the_real_folder_has_sides_of_its_own(tmp_path):
    facts = module(REAL, tmp_path, clip_len=4, clips_per_video=5).facts()
    assert (facts["train"]["videos"], facts["val"]["videos"], facts["val"]["origin"]) == (11, 6, "own")
    assert facts["train"]["clips_per_epoch"] <= 55
    assert np.isfinite(facts["train"]["clips"])
