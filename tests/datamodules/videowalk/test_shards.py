"""Shards: what goes in comes out, packing goes on where it was killed, hostile files are refused."""

import io
import json
import os
import signal
import tarfile
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.media.clip_reader import BrokenVideoError, ClipReader
from components.media.video_probe import probe_video
from datamodules.samplers import rank_info
from datamodules.videowalk.clip_dataset import ClipDataset
from datamodules.videowalk.clip_sampler import ShardSampler
from datamodules.videowalk.shard_clips import ShardClips
from datamodules.videowalk.shard_files import read_shards, scan_shard, sidecar, video_card
from datamodules.videowalk.shard_writer import SourceVideo, write_shards
from tests.datamodules.videowalk.video_folder import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    rates = [24, 30, 24, 25, 24]
    return [
        SourceVideo(f"class/{n}.mp4", write_video(folder / f"{n}.mp4", 16 + n, rates[n], 20 + 40 * n)) for n in range(5)
    ]


def pack(videos, output, **options):
    return write_shards(videos, output, **({"shard_bytes": 3500} | options))


def test_roundtrip(videos, tmp_path):
    packed = pack(videos, tmp_path)
    assert packed.videos == 5
    assert 1 < packed.shards < 5
    clips = ShardClips(tmp_path, clip_len=3, frame_rate=8)
    assert sorted(path.name for path in tmp_path.glob("*.tar")) == [f"shard-{n:06d}.tar" for n in range(packed.shards)]
    assert clips.shards.tolist() == sorted(clips.shards.tolist())
    reader = ClipReader()
    for video, source in enumerate(videos):
        assert clips.name(video).endswith(f".tar:{source.name}")
        facts = probe_video(source.path)
        np.testing.assert_array_equal(clips.index.timestamps[video], facts.pts)
        last = int(clips.counts[video]) - 1
        wanted = facts.pts[clips.index.frames(video, last)]
        torch.testing.assert_close(clips.read(video, last), reader.read(source.path, wanted), rtol=0, atol=0)


def test_videos_that_cannot_be_used_are_left_out(videos, tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    packed = pack([*videos[:2], SourceVideo("empty.mp4", empty)], tmp_path / "out")
    assert packed.videos == 2
    assert ShardClips(tmp_path / "out").skipped == packed.skipped == {"empty.mp4": "the file is empty (0 bytes)"}
    with pytest.raises(InputError, match="no video could be packed into"):
        pack([SourceVideo("empty.mp4", empty)], tmp_path / "none")
    with pytest.raises(InputError, match="there are none"):
        pack([], tmp_path / "none")


def test_whole_shards_are_kept_and_changed_ones_packed_anew(videos, tmp_path):
    first = pack(videos, tmp_path)
    assert pack(videos, tmp_path).written == 0
    assert pack(videos, tmp_path, force=True).written == first.shards
    os.utime(videos[0].path, (1, 1))
    assert pack(videos, tmp_path).written == 1
    sidecar(tmp_path / "shard-000001.tar").unlink()
    assert pack(videos, tmp_path).written == 1
    fewer = pack(videos[:1], tmp_path)
    assert (fewer.shards, len(list(tmp_path.glob("*.tar")))) == (1, 1)


def test_shards_do_not_depend_on_when_they_were_packed(videos, tmp_path):
    for name in "ab":
        pack(videos, tmp_path / name)
    for shard in (tmp_path / "a").glob("*.tar"):
        assert shard.read_bytes() == (tmp_path / "b" / shard.name).read_bytes()


def test_a_killed_run_goes_on(videos, tmp_path):
    def facts(path):
        if path == videos[-1].path:
            os.kill(os.getpid(), signal.SIGKILL)
        return probe_video(path)

    child = get_context("fork").Process(target=pack, args=(videos, tmp_path), kwargs={"facts": facts})
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    with pytest.raises(InputError, match="packing was cut off"):
        ShardClips(tmp_path)
    assert list(tmp_path.glob(".shard-*"))
    resumed = pack(videos, tmp_path)
    assert (resumed.written, resumed.videos) == (1, 5)
    assert not list(tmp_path.glob(".shard-*"))
    assert len(ShardClips(tmp_path).counts) == 5


def test_reading_without_the_cache_beside_the_shard(videos, tmp_path):
    pack(videos, tmp_path)
    cached = read_shards(tmp_path)
    for shard in tmp_path.glob("*.tar"):
        sidecar(shard).write_text("{")
    scanned = read_shards(tmp_path)
    assert scanned[0] == cached[0]
    assert scanned[1].tolist() == cached[1].tolist()


def test_epoch_through_the_sampler_resumes_exactly(videos, tmp_path):
    pack(videos, tmp_path)
    clips = ShardClips(tmp_path, clip_len=3)
    data = ClipDataset(clips)

    def batches(start=0):
        order = ShardSampler(
            rank_info(0, 1), clips.counts, clips.shards, 4, 2, batch_size=3, seed=1, epoch=2, start_batch=start
        )
        return [[data[draw]["clip"] for draw in batch] for batch in order]

    whole, rest = batches(), batches(2)
    assert len(whole) == 4
    for one, two in zip(whole[2:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_damage_inside_a_shard_is_a_broken_clip(videos, tmp_path):
    pack(videos, tmp_path)
    video = scan_shard(tmp_path / "shard-000000.tar")[0]
    with (tmp_path / "shard-000000.tar").open("r+b") as file:
        file.seek(video.offset)
        file.write(bytes(video.size))
    with pytest.raises(BrokenVideoError, match=r"video shard-000000\.tar:class/0\.mp4: cannot be decoded"):
        ShardClips(tmp_path, clip_len=3).read(0, 0)


def test_shards_must_be_those_of_the_index(videos, tmp_path):
    pack(videos, tmp_path)
    shard = tmp_path / "shard-000001.tar"
    with shard.open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"shard-000001\.tar: missing, or not of \d+ bytes as index\.json says"):
        ShardClips(tmp_path)
    content = json.loads((tmp_path / "index.json").read_text())
    content["shards"][0]["file"] = "../elsewhere.tar"
    (tmp_path / "index.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"'\.\./elsewhere\.tar' is not the name of a shard"):
        ShardClips(tmp_path)
    with pytest.raises(InputError, match=r"no index\.json of shards"):
        ShardClips(tmp_path / "nowhere")


CARD = video_card("a.mp4", 24.0, np.arange(5) * 512)


def tar(path, *members):
    """Members are (name or TarInfo, content)."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def card(**changes):
    return json.dumps(CARD | changes).encode()


def link(kind):
    info = tarfile.TarInfo("00000000.mp4")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_a_sound_shard_is_scanned(tmp_path):
    found = scan_shard(tar(tmp_path / "s.tar", ("00000000.json", card()), ("00000000.mp4", b"video")))
    assert [(video.name, video.num_frames, video.size, video.fps) for video in found] == [("a.mp4", 5, 5, 24.0)]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../00000000.json", card())], r"a member called '\.\./00000000\.json'"),
        ([("/etc/cron.d/x", b"")], "a member called"),
        ([("00000000.json", card()), (link(tarfile.SYMTYPE), b"")], "a link, folder or special member"),
        ([("00000000.json", card()), (link(tarfile.LNKTYPE), b"")], "a link, folder or special member"),
        ([("00000000.mp4", b"")], "the video 00000000 has no card before it"),
        ([("00000000.json", card())], "the card 00000000 has no video after it"),
        ([("00000000.json", card()), ("00000001.mp4", b"")], "the video 00000001 has no card"),
        ([("00000000.json", card()), ("00000000.json", card())], "comes twice"),
        ([("00000000.json", b"\x80\x04pickle"), ("00000000.mp4", b"")], "no description of a video"),
        ([("00000000.json", b"[" * 100000), ("00000000.mp4", b"")], "no description of a video"),
        ([("00000000.json", card(name="../../a.mp4")), ("00000000.mp4", b"")], r"no description of a video \(name\)"),
        ([("00000000.json", card(name="/a.mp4")), ("00000000.mp4", b"")], r"\(name\)"),
        ([("00000000.json", card(repeats=[1 << 40])), ("00000000.mp4", b"")], r"\(timestamps\)"),
        # so many that one of them would fill the memory
        ([("00000000.json", card(repeats=[50_000_000])), ("00000000.mp4", b"")], r"\(timestamps\)"),
        ([("00000000.json", card(gaps=[-5])), ("00000000.mp4", b"")], r"\(timestamps\)"),
        ([("00000000.json", card(first="0")), ("00000000.mp4", b"")], "whole numbers"),
        ([("00000000.json", card(fps=-1)), ("00000000.mp4", b"")], "fps"),
    ],
)
def test_hostile_shards_are_refused(tmp_path, members, message):
    with pytest.raises(InputError, match=rf"shard .*s\.tar is refused: .*{message}"):
        scan_shard(tar(tmp_path / "s.tar", *members))


def test_members_that_claim_too_much_and_files_that_are_no_tar(tmp_path):
    path = tar(tmp_path / "s.tar", ("00000000.json", card()), ("00000000.mp4", b"x" * 600))
    whole = path.read_bytes()
    path.write_bytes(whole[:1700])
    with pytest.raises(InputError, match=r"00000000\.mp4 claims 600 bytes, \d+ are left"):
        scan_shard(path)
    path.write_bytes(b"PK" + whole[2:])
    with pytest.raises(InputError, match="not a tar file, or damaged at byte 0"):
        scan_shard(path)
    with pytest.raises(InputError, match="cannot be read"):
        scan_shard(tmp_path)


def test_a_forged_cache_is_not_believed(videos, tmp_path):
    pack(videos, tmp_path)
    shard = tmp_path / "shard-000000.tar"
    content = json.loads(sidecar(shard).read_text())
    content["videos"][0]["offset"] = 1 << 40
    sidecar(shard).write_text(json.dumps(content))
    assert read_shards(tmp_path)[0][0] == scan_shard(shard)[0]


def test_shard_size_below_one(videos, tmp_path):
    with pytest.raises(InputError, match=r"dataset\.shard_size=0"):
        pack(videos, tmp_path, shard_bytes=0)
