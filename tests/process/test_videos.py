"""`prepare dataset=videos` from the command line, and killed while it reads."""

import os
from pathlib import Path

import pytest

from datamodules.videowalk.video_index import BROKEN, INDEX, VideoIndex, build_video_index
from tests.components.media.video_files import write_video
from tests.datamodules.videowalk.test_video_index import content
from tests.process.command_line import run_until_killed

pytestmark = pytest.mark.slow


def test_a_killed_call_leaves_nothing_that_is_trusted_wrongly(tmp_path: Path) -> None:
    """What was read before the kill is used, and the index is the same as without one."""
    root = tmp_path / "videos"
    first = write_video(root / "class" / "0.mp4", 6)
    count, kept = 200, 69
    for number in range(1, count):
        os.link(first, root / "class" / f"{number}.mp4")
    (root / "class" / "broken.mp4").touch()
    whole: VideoIndex = build_video_index(root, cache_dir=tmp_path / "whole", workers=1)
    cache = tmp_path / "data" / "cache"
    # When the line that comes next is ready to be written. The end of the workers is waited for: they hold the pipe.
    run_until_killed("prepare", "dataset=videos", f"root={root}", "workers=2", f"paths.data={tmp_path / 'data'}",
                     dies=f"datamodules.videowalk.video_index:_line@{kept + 1}")  # fmt: skip
    assert sum(path.read_bytes().count(b"\n") for path in cache.rglob("journal-*")) == kept
    assert not any(cache.rglob(INDEX))
    again = build_video_index(root, cache_dir=cache, workers=1)
    assert again.probed == count + 1 - kept
    assert content(again) == content(whole)
    assert sorted(path.name for path in again.place.iterdir() if not path.name.startswith(".")) == [BROKEN, INDEX]
