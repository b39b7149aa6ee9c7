"""`python -m entrypoints.convert source=<paper> checkpoint=<file>`: published checkpoints in, bare weights out."""

import logging
from typing import TYPE_CHECKING

from entrypoints import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def main() -> None:
    """Command line."""
    cli.run("convert", job, needs=("source",))


def job(cfg: "DictConfig") -> None:
    """Convert `cfg.checkpoint` and report."""
    from hydra.utils import instantiate

    # Called outside of Hydra, which would wrap an InputError in one of its own.
    convert = instantiate(cfg.source, _partial_=True, _convert_="object")
    done = convert()
    log.info("written: %s", done.folder)
    for line in done.lines:
        log.info("%s", line)
    if done.ignored:
        log.info("not needed: %s%s", ", ".join(done.ignored[:4]), ", ..." if len(done.ignored) > 4 else "")
    log.info("next: %s", done.next_step)


if __name__ == "__main__":
    main()
