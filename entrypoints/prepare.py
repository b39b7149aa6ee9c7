"""`python -m entrypoints.prepare dataset=<name>`: converts, checks or makes data, and says what is wrong with them."""

import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from entrypoints import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)
_SHOWN = 20
# These draw a bar of their own.
_WITH_BAR = (
    "motion",
    "skeletons",
    "videos",
    "video_shards",
    "synthetic_kinetics",
    "synthetic_davis",
    "synthetic_jhmdb",
    "synthetic_vip",
    "synthetic_skeletons",
)


def main() -> None:
    """Command line."""
    sys.argv[1:] = full_keys(sys.argv[1:])
    cli.run("prepare", job, needs=("dataset",))


def full_keys(arguments: list[str]) -> list[str]:
    """Arguments with the keys of the chosen data set in full: `source=x` means `dataset.source=x` where it has one.

    Without this Hydra would read `source=` as a choice of the group that `convert` knows by that name.
    """
    chosen = [text.removeprefix("dataset=") for text in arguments if text.startswith("dataset=")]
    file = Path(__file__).resolve().parents[1] / "conf" / "dataset" / f"{chosen[-1] if chosen else None}.yaml"
    if not file.is_file():  # said by whoever checks the choice
        return arguments
    own = set(re.findall(r"^(\w+):", file.read_text(encoding="utf-8"), re.MULTILINE)) - {"force", "defaults"}
    return [f"dataset.{text}" if re.split(r"[.=]", text)[0] in own else text for text in arguments]


def job(cfg: "DictConfig") -> None:
    """Prepare `cfg.dataset` and report."""
    from hydra.utils import instantiate
    from rich import get_console

    # Called outside of Hydra, which would wrap an InputError in one of its own.
    prepare = instantiate(cfg.dataset, _partial_=True, _convert_="object")
    console = get_console()
    if console.is_terminal and cfg.dataset._target_.rpartition(".")[2] not in _WITH_BAR:
        with console.status("preparing"):
            done = prepare()
    else:
        done = prepare()
    log.info("%s: %s", "written" if done.fresh else "up to date (force=true does it again)", done.place)
    for line in done.lines:
        log.info("%s", line)
    if done.problems:
        log.warning("%d problems:", len(done.problems))
    for line in done.problems[:_SHOWN]:
        log.warning("  %s", line)
    if len(done.problems) > _SHOWN:
        log.warning("  and %d more, all in %s", len(done.problems) - _SHOWN, done.report)
    log.info("next: %s", done.next_step)


if __name__ == "__main__":
    main()
