"""`prepare dataset=videos` from the command line, and killed while it reads."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from datamodules.videowalk.video_index import BROKEN, INDEX, VideoIndex, build_video_index
from tests.components.media.video_files import write_video
from tests.datamodules.videowalk.test_video_index import content
from tests.process.command_line import start

pytestmark = pytest.mark.slow


def written(cache: Path) -> list[int]:
    """Lines of every journal."""
    return [path.read_bytes().count(b"\n") for path in cache.rglob("journal-*")]


def children(process: int) -> list[int]:
    """Processes that another one started."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True).stdout
    return [int(pid) for pid in listed.split()]


def running(process: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def test_a_killed_call_leaves_nothing_that_is_trusted_wrongly(tmp_path: Path) -> None:
    """At a random moment; what was read before the kill is used, and the index is the same as without one."""
    root = tmp_path / "videos"
    first = write_video(root / "class" / "0.mp4", 6)
    count = 800
    for number in range(1, count):
        os.link(first, root / "class" / f"{number}.mp4")
    (root / "class" / "broken.mp4").touch()
    whole: VideoIndex = build_video_index(root, cache_dir=tmp_path / "whole", workers=1)
    cache = tmp_path / "data" / "cache"
    process = start("prepare", "dataset=videos", f"root={root}", "workers=2", f"paths.data={tmp_path / 'data'}")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None and not any(written(cache)):
        time.sleep(0.01)
    time.sleep(random.Random(os.urandom(8)).uniform(0, 0.5))
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    end = time.monotonic() + 20
    while time.monotonic() < end and any(map(running, workers)):
        time.sleep(0.05)
    assert not any(map(running, workers)), "worker processes outlive the command"
    kept = sum(written(cache))
    finished = any(cache.rglob(INDEX))
    assert finished or kept > 0
    again = build_video_index(root, cache_dir=cache, workers=1)
    if not finished:
        assert count + 1 - kept <= again.probed <= count + 2 - kept  # but for the line that the kill cut
    assert content(again) == content(whole)
    assert sorted(path.name for path in again.place.iterdir() if not path.name.startswith(".")) == [BROKEN, INDEX]
