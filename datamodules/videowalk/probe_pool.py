"""Probes many videos in several processes; a file that makes its process die is found and named."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Answer = TypeVar("Answer")

_CHUNK = 16


def probe_all(
    probe: Callable[[str], Answer], crashed: Callable[[str], Answer], paths: Sequence[str], workers: int
) -> Iterator[Answer]:
    """The answers for all paths, in their order, as they come.

    Args:
        probe: a function of a module, called in a worker process (in this one with one worker).
        crashed: the answer for a file whose process died: decoders and demuxers read what others made.
        paths: the files.
        workers: processes.
    """
    if workers <= 1:
        yield from map(probe, paths)
        return
    left = list(paths)
    while left:
        chunk = max(1, min(_CHUNK, len(left) // (4 * workers)))
        done = 0
        # A process died; whose file it was is not said.
        with contextlib.suppress(BrokenProcessPool):
            for answer in _map(probe, left, min(workers, len(left)), chunk):
                done += 1
                yield answer
        left = left[done:]
        # It is one of the next few: they are read one by one, each in a process of its own.
        suspects, left = left[: 2 * chunk * workers], left[2 * chunk * workers :]
        for path in suspects:
            try:
                (answer,) = _map(probe, [path], 1, 1)
            except BrokenProcessPool:
                answer = crashed(path)
            yield answer


def _map(probe: Callable[[str], Answer], paths: Sequence[str], workers: int, chunk: int) -> Iterator[Answer]:
    pool = ProcessPoolExecutor(workers, initializer=_prepare_worker, initargs=(os.getpid(),))
    try:
        yield from pool.map(probe, paths, chunksize=chunk)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare_worker(parent: int) -> None:
    """Ctrl-C is the parent's to handle; when it is killed its workers end as well, which the pool does not care for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(), parent), daemon=True).start()


def _end_with(above: int, parent: int) -> None:
    while os.getppid() == above and _alive(parent):
        time.sleep(0.5)
    os._exit(1)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
