"""Golden cases of the contrastive random walk: network, transitions, cycles, losses, gradients, Sinkhorn."""

from collections.abc import Callable

from tests.golden.harness import Case

HANDLERS: dict[str, Callable[[Case], None]] = {}
