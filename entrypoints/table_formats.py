"""A `ResultTable` as csv, markdown, LaTeX and on the terminal."""

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from entrypoints.result_table import ResultTable, Row, Spread

if TYPE_CHECKING:
    from rich.table import Table

_TEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
        "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}  # fmt: skip


def to_csv(table: ResultTable) -> str:
    """All digits; `<metric>_mean`, `<metric>_std` and `n` where seeds were put together."""
    columns = ["run"]
    for name in table.columns:
        spread = table.grouped and name in table.numbers
        columns += [f"{table.heading(name)}_mean", f"{table.heading(name)}_std"] if spread else [name]
    columns += (["n"] if table.grouped else []) + ["best", "status", "minutes", "reason"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([table.heading(column) for column in columns])
    for row in table.rows:
        cells: list[Any] = [" ".join(row.runs)]
        for name in table.columns:
            if name not in table.numbers:
                cells.append(row.settings.get(name, ""))
                continue
            value = row.metrics.get(name)
            mean = "" if value is None else repr(value.mean)
            std = "" if value is None or value.std is None else repr(value.std)
            cells += [mean, std] if table.grouped else [mean]
        cells += [row.n] if table.grouped else []
        cells += ["yes" if row.best else "", row.status, "" if row.minutes is None else row.minutes, row.reason or ""]
        writer.writerow(cells)
    return text.getvalue()


def to_markdown(table: ResultTable, title: str) -> str:
    """A heading, what all runs share, the table with the best row in bold, and the runs that did not finish."""
    lines = [f"# {title}", ""]
    if table.common:
        lines += ["All runs: " + ", ".join(f"`{key}={value}`" for key, value in table.common.items()), ""]
    header, rows = cells_of(table)
    lines.append("| " + " | ".join(map(_escape_markdown, header)) + " |")
    lines.append("|" + "|".join("---:" if index in _numeric(table) else "---" for index in range(len(header))) + "|")
    for row, cells in zip(table.rows, rows, strict=True):
        texts = [_escape_markdown(cell) for cell in cells]
        lines.append("| " + " | ".join(f"**{text}**" if row.best and text else text for text in texts) + " |")
    if table.monitor and any(row.best for row in table.rows):
        lines += ["", f"Bold: the best `{table.monitor}` ({table.mode})."]
    if failed := [row for row in table.rows if not row.finished]:
        lines += ["", f"{len(failed)} of {_count(table)} runs did not finish:", ""]
        lines += [f"- {_label(row)}: {row.status}, {row.reason}" for row in failed]
    return "\n".join(lines) + "\n"


def to_latex(table: ResultTable, title: str) -> str:
    r"""A booktabs `tabular`; unfinished runs have their reason across the number columns."""
    header, rows = cells_of(table)
    numeric = _numeric(table)
    shape = "".join("r" if index in numeric else "l" for index in range(len(header)))
    lines = [f"% {title}; needs \\usepackage{{booktabs}}", f"\\begin{{tabular}}{{{shape}}}", "\\toprule"]
    lines += [" & ".join(map(_escape_latex, header)) + r" \\", "\\midrule"]
    # From the first number on: an unfinished run has none.
    first = min({*numeric, 1 + len(table.columns)})
    for row, cells in zip(table.rows, rows, strict=True):
        if not row.finished:
            why = _escape_latex(f"{row.status}: {row.reason}")
            left = [_escape_latex(cell) for cell in cells[:first]]
            lines.append(" & ".join([*left, f"\\multicolumn{{{len(header) - first}}}{{l}}{{{why}}}"]) + r" \\")
            continue
        texts = [_escape_latex(cell).replace("±", r"$\pm$") for cell in cells]
        lines.append(" & ".join(f"\\textbf{{{t}}}" if row.best and t else t for t in texts) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def to_rich(table: ResultTable, title: str) -> "Table":
    """For a terminal."""
    from rich.table import Table
    from rich.text import Text

    header, rows = cells_of(table)
    shared = " ".join(f"{key}={value}" for key, value in table.common.items())
    picture = Table(title=title, caption=shared or None)
    numeric = _numeric(table)
    for index, name in enumerate(header):
        picture.add_column(Text(name), justify="right" if index in numeric else "left", overflow="fold")
    for row, cells in zip(table.rows, rows, strict=True):
        picture.add_row(*map(Text, cells), style="bold green" if row.best else "" if row.finished else "red")
    return picture


def cells_of(table: ResultTable) -> tuple[list[str], list[list[str]]]:
    """Header and rows as short texts: numbers with four digits, `mean ± std` where there is a spread."""
    header = ["run", *(table.heading(key) for key in table.columns)]
    header += (["n"] if table.grouped else []) + ["status", "min"]
    rows = []
    for row in table.rows:
        cells = [_label(row)]
        for name in table.columns:
            known = name in table.numbers
            cells.append(_number(row.metrics.get(name)) if known else row.settings.get(name, ""))
        cells += [str(row.n)] if table.grouped else []
        rows.append([*cells, row.status, "" if row.minutes is None else f"{row.minutes:.1f}"])
    return header, rows


def _label(row: Row) -> str:
    names = ", ".join(row.runs)
    return names if len(names) <= 24 else f"{len(row.runs)} runs"


def _number(value: Spread | None) -> str:
    if value is None:
        return ""
    mean = f"{value.mean:.4g}"
    return mean if value.std is None or math.isnan(value.std) else f"{mean} ± {value.std:.2g}"


def _numeric(table: ResultTable) -> set[int]:
    columns = {index for index, name in enumerate(table.columns, start=1) if name in table.numbers}
    behind = 1 + len(table.columns)
    return columns | ({behind} if table.grouped else set()) | {behind + table.grouped + 1}


def _count(table: ResultTable) -> int:
    return sum(max(1, len(row.runs)) for row in table.rows)


def _escape_markdown(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _escape_latex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
