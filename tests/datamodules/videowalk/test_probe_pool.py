import multiprocessing
import os

import pytest

from datamodules.videowalk.probe_pool import probe_all


def probe(path: str) -> tuple[str, bool]:
    """What a file that exploits or crashes a demuxer does."""
    if path.startswith("deadly"):
        os._exit(11)
    return path, os.getpid() != int(os.environ["TEST_PARENT"])


def crashed(path: str) -> tuple[str, bool]:
    return f"crashed: {path}", False


@pytest.mark.parametrize("deadly", [(), (2, 3, 17)])
def test_a_file_that_ends_its_process_is_named(deadly: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PARENT", str(os.getpid()))
    paths = [f"deadly {number}" if number in deadly else f"{number}" for number in range(18)]
    answers = list(probe_all(probe, crashed, paths, workers=2))
    assert answers == [(f"crashed: {path}", False) if path.startswith("deadly") else (path, True) for path in paths]
    assert not multiprocessing.active_children()


def test_one_worker_is_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_PARENT", str(os.getpid()))
    assert list(probe_all(probe, crashed, ["a", "b"], workers=1)) == [("a", False), ("b", False)]
    assert list(probe_all(probe, crashed, [], workers=2)) == []
