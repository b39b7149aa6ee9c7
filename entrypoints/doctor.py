"""`python -m entrypoints.doctor`: what this machine has, what it lacks, and how to mend that."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from entrypoints import cli

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from entrypoints.checkup import Check

_STYLES = {"ok": "green", "missing": "yellow", "warning": "yellow"}


def main() -> None:
    """Command line."""
    cli.run("doctor", job)


def job(cfg: "DictConfig") -> None:
    """Report; ends with exit code 1 when something needed is missing."""
    from omegaconf import OmegaConf

    from entrypoints.checkup import as_data, check_all

    files = OmegaConf.to_container(cfg.files, resolve=True)
    checks = check_all(cfg.paths.output_dir, cfg.paths.data, files, cfg.free_gib, cfg.get("pose_python"))  # type: ignore[arg-type]
    if cfg.json:
        print(json.dumps(as_data(checks), indent=2))
    else:
        show(checks)
    if any(check.fault for check in checks):
        sys.exit(1)


def show(checks: Sequence["Check"]) -> None:
    """Print the checks as a table, and the faults once more below it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # In a pipe a line is not cut to the width of a terminal that is not there.
    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(title="Troupe", title_justify="left", show_lines=False)
    for heading in ("", "what", "found", "to do"):
        table.add_column(heading, overflow="fold")
    group = None
    for check in checks:
        if check.group != group:
            table.add_section()
            group = check.group
        style = "bold red" if check.fault else _STYLES[check.state]
        word = "FAULT" if check.fault else "-" if check.state == "missing" else check.state
        table.add_row(Text(word, style=style), Text(check.name), Text(check.found), Text(check.remedy))
    console.print(table)
    faults = [check for check in checks if check.fault]
    for check in faults:
        console.print(Text(f"{check.name}: {check.found}. {check.remedy}", style="bold red"))
    console.print("Nothing needed is missing." if not faults else f"{len(faults)} needed thing(s) missing.")


if __name__ == "__main__":
    main()
