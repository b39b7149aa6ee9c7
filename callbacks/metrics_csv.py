"""`metrics.csv`: every logged number of a run, one file that survives a resume."""

import csv
import io
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from components.files.atomic import write_text

METRICS_CSV = "metrics.csv"
_KEYS = ("epoch", "step")


class MetricsCSVLogger(Logger):
    """Appends each logged row to `<save_dir>/metrics.csv` at once.

    Lightning's own CSVLogger deletes the file when it finds one and holds back a hundred steps, so a killed and resumed
    run would lose its curves. Here a resumed run cuts off what the killed one wrote after its checkpoint and goes on
    below: `keep_epochs` or `keep_steps` says where, and without them every row at or after the first new one goes.

    Args:
        save_dir: the run folder.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__()
        self._file = Path(save_dir) / METRICS_CSV
        self._columns: list[str] | None = None

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @property
    def save_dir(self) -> str:
        return str(self._file.parent)

    @property
    @rank_zero_experiment
    def experiment(self) -> Path:
        """The csv file."""
        return self._file

    @rank_zero_only
    def keep_epochs(self, last_epoch: int) -> None:
        """Drop what an earlier process wrote after epoch `last_epoch` (counted from 0)."""
        self._start(lambda row: float(row.get("epoch", "inf")) <= last_epoch)

    @rank_zero_only
    def keep_steps(self, epoch: int, steps: int) -> None:
        """Drop what an earlier process wrote after `steps` optimizer steps, which lie inside epoch `epoch`."""
        self._start(lambda row: _is_before(row, {"epoch": epoch, "step": steps}))

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing to do: `.hydra/config.yaml` and the checkpoints hold the config."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float | Tensor], step: int | None = None) -> None:
        row = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        if step is not None:
            row["step"] = step
        if not row.keys() - set(_KEYS):
            return
        if self._columns is None:
            self._start(lambda earlier: _is_before(earlier, row))
        columns = self._columns or []
        if new := sorted(row.keys() - set(columns)):
            columns = columns + new
            self._rewrite(columns, read_rows(self._file))
        with self._file.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerow(row)

    def _start(self, keep: Callable[[Mapping[str, str]], bool]) -> None:
        rows = [row for row in read_rows(self._file) if keep(row)]
        columns = [*_KEYS, *sorted({name for row in rows for name in row} - set(_KEYS))]
        self._rewrite(columns, rows)

    def _rewrite(self, columns: list[str], rows: Iterable[Mapping[str, Any]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._file, text.getvalue())
        self._columns = columns


def read_rows(file: str | Path) -> list[dict[str, str]]:
    """The rows of a csv file as written, empty fields left out; no rows where there is no file."""
    file = Path(file)
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as handle:
        return [{k: v for k, v in row.items() if k and isinstance(v, str) and v} for row in csv.DictReader(handle)]


def read_metrics(file: str | Path) -> list[dict[str, float]]:
    """The rows of a `metrics.csv` as numbers; fields that are no numbers are left out."""
    rows = []
    for row in read_rows(file):
        numbers = {}
        for name, value in row.items():
            try:
                numbers[name] = float(value)
            except ValueError:
                continue
        rows.append(numbers)
    return rows


def _is_before(row: Mapping[str, str], first: Mapping[str, Any]) -> bool:
    """Whether a row found in the file was written before the point at which this run goes on."""
    try:
        found = (float(row["epoch"]), float(row["step"]))
        return found < (float(first["epoch"]), float(first["step"]))
    except (KeyError, ValueError):
        return False
