"""Errors that are the user's to mend: entry points print them without a traceback and exit with code 2."""

import importlib
import re
from types import ModuleType

# How a loader re-raises in the training process what went wrong in one of its own.
_FROM_WORKER = re.compile(r"Caught \w+ in [^\n]*\nOriginal Traceback")


class InputError(ValueError):
    """Bad input. The message has one to three lines: key or file, what was found, what was expected, what to do.

    An error that comes out of a loader's worker process arrives with that process's traceback in its message; it is
    taken off here.
    """

    def __init__(self, message: str = "") -> None:
        if _FROM_WORKER.match(message):
            message = message.rpartition(f"\n{type(self).__module__}.{type(self).__qualname__}: ")[2].rstrip("\n")
        super().__init__(message)


class FailedJob(RuntimeError):
    """A job that failed for a reason which its message explains whole: printed without a traceback, exit code 1."""


class MissingPackageError(InputError, ImportError):
    """An optional package is not installed."""


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package or say how to install it.

    Args:
        module: dotted module name, e.g. `"anny"`.
        extra: the extra of this project that brings it, e.g. `"body-builder"`.
        purpose: what needs it, e.g. `"prepare dataset=body"`.

    Raises:
        MissingPackageError: the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingPackageError(
            f"{purpose} needs the package '{module}', which is not installed.\n"
            f"Install it with: pip install {module.split('.')[0]} (or, in a checkout: pip install -e '.[{extra}]')"
        ) from error
