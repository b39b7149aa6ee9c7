"""Columns of a sweep's table as a config names them: which metric, config key or fact of a run each heading shows.

```
table:
  columns:
    base_lr: optimizer.lr                                # a key of the run's config
    accuracy: {of: val/top1, times: 100}                 # a metric, here in percent
    difference: {of: val/top1, times: 100, minus: reported.top1}
    epoch: best_epoch                                    # a key of the run's run.json
    top5: [test/top5, val/top5]                          # the first of these that the run has
    exp_pth: folder                                      # where the run is
  sort: accuracy
```
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.errors import InputError
from components.spelling import did_you_mean
from entrypoints.sweep_results import RunResult

_KEYS = ("of", "times", "minus")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        heading: its title.
        of: names looked up in a run, see `RunResult.look_up`; the first that it has counts.
        times: factor of a number.
        minus: name of a number that is taken off after that; where the run has none the cell stays empty.
    """

    heading: str
    of: tuple[str, ...]
    times: float = 1.0
    minus: str | None = None

    def value(self, run: RunResult) -> float | str | None:
        """The cell of one run: a float is a measured or computed number, a text what the run was told or is called."""
        found, measured = None, False
        for name in self.of:
            found, measured = run.look_up(name)
            if found is not None:
                break
        if found is None:
            return None
        if not self.computed:
            return float(found) if measured and isinstance(found, int | float) else _text(found)
        less = 0.0 if self.minus is None else run.look_up(self.minus)[0]
        if not isinstance(found, int | float) or not isinstance(less, int | float):
            return None
        return float(found) * self.times - float(less)

    @property
    def computed(self) -> bool:
        """Whether it is arithmetic, which texts have none of."""
        return self.minus is not None or self.times != 1.0


def read_columns(node: Any, key: str = "table.columns") -> list[Column]:
    """Columns of a config's `table.columns`.

    Args:
        node: `{heading: name | [names] | {of, times, minus} | None}`; None leaves a column out that another file has.
        key: for messages.

    Raises:
        InputError: it has another form.
    """
    if not isinstance(node, Mapping) or not node:
        raise InputError(f"{key}={node}: expected a mapping {{heading: metric or config key, ...}}")
    named = [(str(heading), entry) for heading, entry in node.items() if entry is not None]
    return [_read_column(heading, entry, f"{key}.{heading}") for heading, entry in named]


def _read_column(heading: str, entry: Any, key: str) -> Column:
    parts = dict(entry) if isinstance(entry, Mapping) else {"of": entry}
    for name in parts:
        if name not in _KEYS:
            raise InputError(f"{key}.{name}: unknown key{did_you_mean(name, _KEYS)}; there are {', '.join(_KEYS)}")
    of, times, minus = parts.get("of"), parts.get("times", 1.0), parts.get("minus")
    names = [of] if isinstance(of, str) else of
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key}.of={of}: expected the name of a metric, config key or run fact, or a list of such")
    if isinstance(times, bool) or not isinstance(times, int | float):
        raise InputError(f"{key}.times={times}: expected a number")
    if minus is not None and not isinstance(minus, str):
        raise InputError(f"{key}.minus={minus}: expected a name")
    return Column(heading, tuple(names), float(times), minus)


def table_settings(results: Sequence[RunResult]) -> tuple[list[Column] | None, str | None]:
    """Columns and order that the runs' own config asks for (`table:`), None for each that it does not.

    Raises:
        InputError: they have another form.
    """
    for result in results:
        node, _ = result.look_up("table")
        if isinstance(node, Mapping):
            columns = node.get("columns")
            return None if columns is None else read_columns(columns), node.get("sort")
    return None, None


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
