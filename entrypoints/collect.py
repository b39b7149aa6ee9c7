"""`python -m entrypoints.collect dir=<sweep folder>`: a sweep's results as csv, markdown and LaTeX."""

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.files.atomic import write_text
from entrypoints import cli
from entrypoints.result_table import ResultTable, build_table
from entrypoints.sweep_results import RunResult, read_results
from entrypoints.table_columns import Column, table_settings
from entrypoints.table_formats import to_csv, to_latex, to_markdown, to_rich

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def main() -> None:
    """Command line."""
    cli.run("collect", job)


def job(cfg: "DictConfig") -> None:
    """Write and show the table of `cfg.dir`."""
    from omegaconf import OmegaConf

    columns = OmegaConf.to_object(cfg.columns) if cfg.columns is not None else None
    table, files = collect_folder(
        Path(cfg.dir),
        output=cfg.output,
        columns=columns,  # type: ignore[arg-type]
        sort=cfg.sort,
        descending=cfg.descending,
        group_seeds=cfg.group_seeds,
    )
    show(table, str(cfg.dir))
    for file in files:
        log.info("%s", file)


def collect_folder(
    folder: str | Path,
    output: str | Path | None = None,
    columns: Sequence[str] | Mapping[str, str] | None = None,
    sort: str | None = None,
    descending: bool | None = None,
    group_seeds: bool = True,
) -> tuple[ResultTable, list[Path]]:
    """Read a folder of runs and write `table.csv`, `table.md`, `table.tex`; `jobs.csv` too where seeds are grouped.

    Args:
        folder: a sweep folder or `outputs/<experiment>`.
        output: where the files go, None = `folder`.
        columns, sort: as in `build_table`; None = what the runs' own config asks for (`table:`), and where that asks
            for nothing, as there.
        descending, group_seeds: as in `build_table`.

    Returns:
        The table and the files.

    Raises:
        InputError: no such folder, no run in it, an unknown column.
    """
    folder = Path(folder).expanduser()
    results = read_results(folder)
    own_columns, own_sort = table_settings(results)
    chosen: Sequence[str] | Mapping[str, str] | Sequence[Column] | None = columns
    if chosen is None and own_columns is not None:
        _check_columns(own_columns, results)
        chosen = own_columns
    order = sort or (own_sort if columns is None else None) or "monitor"
    table = build_table(results, columns=chosen, sort=order, descending=descending, group_seeds=group_seeds)
    target = folder if output is None else Path(output).expanduser()
    title = "/".join(folder.absolute().parts[-2:])
    texts = {"table.csv": to_csv(table), "table.md": to_markdown(table, title), "table.tex": to_latex(table, title)}
    if table.grouped:
        texts["jobs.csv"] = to_csv(build_table(results, columns=chosen, sort="job", group_seeds=False))
    for name, text in texts.items():
        write_text(target / name, text)
    return table, [target / name for name in texts]


def _check_columns(columns: Sequence[Column], results: Sequence[RunResult]) -> None:
    finished = [result for result in results if result.finished]
    for column in columns:
        if finished and all(result.look_up(name)[0] is None for result in finished for name in column.of):
            log.warning("table.columns.%s: no run has %s", column.heading, " or ".join(column.of))


def show(table: ResultTable, title: str) -> None:
    """Print the table: coloured on a terminal, as markdown in a pipe."""
    from rich import get_console

    console = get_console()
    if not console.is_terminal:
        sys.stdout.write(to_markdown(table, title))
        return
    console.print(to_rich(table, title))
    for row in table.rows:
        if not row.finished:
            console.print(f"{row.runs[0]}: {row.status}, {row.reason}", markup=False, style="red")


if __name__ == "__main__":
    main()
