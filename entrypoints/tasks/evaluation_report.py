"""What an evaluation hands back, whatever the system, and how it is written."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from components.files.atomic import atomic_path, write_json, write_text
from components.files.json_files import read_json_object
from entrypoints.tasks.tables import Table

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


@dataclass
class Report:
    """Flat metrics (`eval/...`, `test/...`), tables, figures, pictures and arrays by file name, text files by name and
    ending.

    Pictures are uint8 `[H, W, 3]`.
    """

    title: str
    metrics: dict[str, float] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    figures: "dict[str, Callable[[], Figure]]" = field(default_factory=dict)
    pictures: "dict[str, Callable[[], np.ndarray]]" = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    arrays: "dict[str, dict[str, np.ndarray]]" = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write `metrics.json`, `<table>.csv`, `<table>.md`, `figures/<figure or picture>.png`, `<arrays>.npz`, files.

        Raises:
            InputError: the folder cannot be written.
        """
        from callbacks.figures import save_figure
        from components.media.pictures import write_png

        write_json(folder / "metrics.json", self.metrics)
        for name, table in self.tables.items():
            table.write(folder, name)
        for name, text in self.files.items():
            write_text(folder / name, text)
        for name, arrays in self.arrays.items():
            _write_arrays(folder / f"{name}.npz", arrays)
        for name, draw in self.figures.items():
            save_figure(folder / "figures" / f"{name}.png", draw())
        for name, paint in self.pictures.items():
            write_png(folder / "figures" / f"{name}.png", paint())


def _write_arrays(file: Path, arrays: "dict[str, np.ndarray]") -> None:
    import numpy as np

    with atomic_path(file) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def merge_metrics(file: Path, metrics: dict[str, float]) -> None:
    """Add metrics to a run's `metrics.json`; those of the same name are replaced, an unreadable file too.

    Raises:
        InputError: the file cannot be written.
    """
    write_json(file, {**(read_json_object(file) or {}), **metrics})
