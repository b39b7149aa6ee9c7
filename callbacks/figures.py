"""How our diagrams look, and how they are written."""

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from components.files.atomic import atomic_path


def plain_axes(axes: Axes, title: str, grid: Literal["both", "x", "y"] = "both") -> None:
    """Title on the left, small numbers, a pale grid, no box."""
    axes.set_title(title, fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.grid(True, axis=grid, alpha=0.25, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(file: str | Path, figure: Figure, dpi: int = 130) -> Path:
    """Write a figure as png without pyplot, so that threads and sweeps in one process do not share state."""
    FigureCanvasAgg(figure)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return Path(file)
