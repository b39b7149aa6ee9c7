"""`python -m tests.process.dying <module>:<function>@<call> <entry point> <arguments>`: dies at a call of a function.

The entry point runs as always, but is killed (SIGKILL) after the given call: at the same place every time, however busy
the machine is. With COPY_INSTEAD=<folder>:<copy> the folder is copied at that moment, as a kill would leave it, and the
entry point goes on.
"""

import functools
import importlib
import itertools
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable
from typing import Any


def _interrupted(function: Callable[..., Any], call: int) -> Callable[..., Any]:
    calls = itertools.count(1)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        if next(calls) == call:
            if copy := os.environ.get("COPY_INSTEAD"):
                shutil.copytree(*copy.split(":"))
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return wrapper


def main() -> None:
    place, entry, *arguments = sys.argv[1:]
    function, call = place.split("@")
    module, names = function.split(":")
    *owners, name = names.split(".")
    owner = functools.reduce(getattr, owners, importlib.import_module(module))
    setattr(owner, name, _interrupted(getattr(owner, name), int(call)))
    sys.argv = [entry, *arguments]
    runpy.run_module(entry, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
