"""Golden cases of the video encoder and the text encoder."""

from collections.abc import Callable

from tests.golden.harness import Case

HANDLERS: dict[str, Callable[[Case], None]] = {}
