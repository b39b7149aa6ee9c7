"""Small tables of results: csv, markdown and the terminal."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.files.atomic import write_text

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table as RichTable

Value = str | int | float


@dataclass(frozen=True)
class Table:
    """Named columns; the first one names the row."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]

    def to_csv(self) -> str:
        """Full precision."""
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([self.columns, *self.rows])
        return stream.getvalue()

    def to_markdown(self) -> str:
        """Four significant digits."""
        lines = [list(self.columns), ["---", *["---:"] * (len(self.columns) - 1)]]
        lines += [[shown(value) for value in row] for row in self.rows]
        # Names of actions are the user's: a bar in one of them is no border.
        body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"### {self.title}\n\n{body}\n"

    def to_rich(self) -> "RichTable":
        """For the terminal."""
        from rich.table import Table as RichTable

        table = RichTable(title=self.title, title_justify="left")
        for index, column in enumerate(self.columns):
            table.add_column(column, justify="left" if index == 0 else "right")
        for row in self.rows:
            table.add_row(*(shown(value) for value in row))
        return table

    def write(self, folder: "Path", name: str) -> None:
        """Write `<name>.csv` and `<name>.md`."""
        write_text(folder / f"{name}.csv", self.to_csv())
        write_text(folder / f"{name}.md", self.to_markdown())


def finite_mean(values: Iterable[float]) -> float:
    """Mean of the numbers that exist; NaN where none does."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def shown(value: Value) -> str:
    """A number with four significant digits, `-` for one that does not exist."""
    if isinstance(value, str | int):
        return str(value)
    return f"{value:.4g}" if math.isfinite(value) else "-"
