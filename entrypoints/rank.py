"""One process of a distributed run: takes the resolved config that the launcher left in the run folder."""

import atexit
import contextlib
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path

from components.errors import InputError
from components.heap import keep_freed_memory
from entrypoints import train
from entrypoints.launch import LAUNCHER_PID, is_first_rank, refusal_file
from entrypoints.run_logging import log_to_run_folder


def _die_with_parent() -> None:
    """A rank whose launcher was killed would hold its device for ever: leave when the parent is gone."""
    launcher = int(os.environ[LAUNCHER_PID])

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _leave(codes: list[int]) -> None:
    """End here what has come to its end: threads of gloo that meet a dying interpreter abort the process at times."""
    if codes:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[-1])


def main() -> None:
    """One rank: `python -m entrypoints.rank <run folder>`, started by `run_ranks` alone."""
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first one registered runs last
    _die_with_parent()
    keep_freed_memory()
    run_dir = Path(sys.argv[1])
    log_to_run_folder(run_dir, first_rank=is_first_rank())
    config = json.loads((run_dir / ".hydra" / "resolved.json").read_text())
    try:
        train.fit(config, run_dir)
        codes.append(0)
    except InputError as error:
        with contextlib.suppress(OSError):  # a full disk may be what is refused
            refusal_file(run_dir, int(os.environ.get("LOCAL_RANK", "0"))).write_text(str(error))
        print(error, file=sys.stderr)
        codes.append(2)
        sys.exit(2)


if __name__ == "__main__":
    main()
