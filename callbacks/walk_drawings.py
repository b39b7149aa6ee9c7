"""Diagrams of a walk over a clip, from plain arrays."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, hsv_to_rgb
from matplotlib.figure import Figure

# Longest side of the heat map of one node, cells: what is finer is averaged.
_FINEST = 16
_INK = "#2d323c"


def draw_pair(
    pictures: Sequence[np.ndarray],
    colours: Sequence[np.ndarray],
    flow: tuple[np.ndarray, np.ndarray, np.ndarray],
    shape: tuple[int, int],
    shown: np.ndarray,
) -> Figure:
    """Two neighbouring frames, their features as colours, and where each node of the first goes in the second.

    Args:
        pictures: of both frames, `[H, W, 3]` 0..1.
        colours: of both frames' features, `[h, w, 3]` 0..1.
        flow: start and end of each node's step as shares (y, x) of the picture, `[N, 2]`, and its probability `[N]`.
        shape: rows and columns of the grid of nodes.
        shown: nodes that get an arrow.
    """
    figure = Figure(figsize=(11.0, 7.4), layout="constrained")
    panels = figure.subplots(2, 3)
    for column in range(2):
        _picture(panels[0, column], pictures[column], f"frame {column}")
        _picture(panels[1, column], colours[column], f"features of frame {column} (three components)")
    height, width = pictures[0].shape[:2]
    pale = 0.35 * pictures[0] + 0.65
    _picture(panels[0, 2], pale, "likeliest step, frame 0 to 1")
    steps = flow[1] - flow[0]
    start, moved, probability = flow[0][shown], steps[shown], flow[2][shown]
    scale = Normalize(0.0, max(float(probability.max()), 1e-6))
    arrows = panels[0, 2].quiver(
        start[:, 1] * width, start[:, 0] * height, moved[:, 1] * width, moved[:, 0] * height, probability,
        angles="xy", scale_units="xy", scale=1, width=0.006, headwidth=4, cmap="viridis", norm=scale, pivot="tail",
    )  # fmt: skip
    still = (moved == 0).all(1)
    panels[0, 2].scatter(
        start[still, 1] * width, start[still, 0] * height, c=probability[still], s=14, cmap="viridis", norm=scale
    )
    bar = figure.colorbar(arrows, ax=panels[0, 2], shrink=0.75)
    bar.set_label("probability of the step", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    _picture(panels[1, 2], _wheel(steps, shape), "steps as colours: right red, down green, left cyan, up violet")
    return figure


def draw_cycle(
    picture: np.ndarray, rows: np.ndarray, loss: np.ndarray, hits: float, shape: tuple[int, int], nodes: np.ndarray
) -> Figure:
    """Where walkers end that go to the next frame and back, a small map for each start, in the colour of its loss.

    Args:
        picture: of frame 0, `[H, W, 3]` 0..1.
        rows: probabilities `[n, N]` of the ends, one row per start shown.
        loss: of these rows, `[n]`.
        hits: share of all nodes whose likeliest end is their start.
        shape: rows and columns of the grid of all N nodes.
        nodes: which nodes the rows start at, `[n]`; they form a grid themselves.
    """
    across = len(np.unique(nodes % shape[1]))
    down = len(nodes) // across
    figure = Figure(figsize=(11.0, 5.6), layout="constrained")
    panels = figure.subplots(1, 2)
    _picture(panels[0], picture, "frame 0")
    scale = Normalize(0.0, max(float(np.log(shape[0] * shape[1])), 1e-6))  # the loss of a blind walker
    gap = 1
    finest = max(1, -(-max(shape) // _FINEST))
    cell = (-(-shape[0] // finest), -(-shape[1] // finest))
    sheet = np.ones((down * (cell[0] + gap) + gap, across * (cell[1] + gap) + gap, 3))
    for index, (row, value) in enumerate(zip(rows, loss, strict=True)):
        shown = _coarser(row.reshape(shape), finest)
        strength = (shown / max(shown.max(), 1e-12))[..., None] ** 0.7
        tint = np.array(colormaps["RdYlGn_r"](scale(value))[:3])
        y, x = gap + index // across * (cell[0] + gap), gap + index % across * (cell[1] + gap)
        sheet[y : y + cell[0], x : x + cell[1]] = strength * tint + (1 - strength) * np.array([0.13, 0.14, 0.18])
    title = f"ends of walks 0 → 1 → 0 from {len(nodes)} starts; {hits:.0%} of all most likely come back"
    _picture(panels[1], sheet, title)
    bar = figure.colorbar(ScalarMappable(scale, "RdYlGn_r"), ax=panels[1], shrink=0.75)
    bar.set_label("loss of a start (top: a walker who sees nothing)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def draw_neighbours(
    queries: Sequence[np.ndarray], found: Sequence[Sequence[np.ndarray]], similar: np.ndarray
) -> Figure:
    """Query patches on the left, the patches of other frames that look most like them to the network beside them.

    Args:
        queries: Q patches `[p, p, 3]` 0..1.
        found: K patches for each.
        similar: their dot products `[Q, K]`.
    """
    count = max(len(row) for row in found)
    figure = Figure(figsize=(0.95 * (count + 1.4), 1.16 * len(queries) + 0.3), layout="constrained")
    panels = figure.subplots(len(queries), count + 1, squeeze=False)
    for row, query in enumerate(queries):
        _picture(panels[row, 0], query, "query" if row == 0 else None)
        for side in panels[row, 0].spines.values():
            side.set_visible(True)
            side.set(linewidth=2.5, edgecolor="#dd6b20")
        for column in range(count):
            axes = panels[row, column + 1]
            if column < len(found[row]):
                _picture(axes, found[row][column], None)
                axes.set_xlabel(f"{similar[row, column]:.3f}", fontsize=7, labelpad=1)
            else:
                axes.set_visible(False)
    return figure


def draw_matches(pictures: Sequence[np.ndarray], start: np.ndarray, end: np.ndarray, total: int) -> Figure:
    """Two frames side by side, cells that are each other's nearest neighbour joined by lines.

    Args:
        pictures: `[H, W, 3]` 0..1.
        start: places in the first frame, as shares (y, x) of the picture, `[M, 2]`.
        end: in the second.
        total: number of cells of a frame.
    """
    height, width = pictures[0].shape[:2]
    gap = max(2, width // 20)
    figure = Figure(figsize=(11.0, 11.0 * height / (2 * width + gap) + 0.5), layout="constrained")
    axes = figure.subplots()
    both = np.concatenate([pictures[0], np.ones((height, gap, 3)), pictures[1]], axis=1)
    _picture(axes, 0.75 * both + 0.25, f"{len(start)} of {total} cells of frame 0 have a mutual nearest neighbour")
    chosen = _spread(start, 80)
    # Neighbours have like colours: a crossing line stands out.
    for (y0, x0), (y1, x1) in zip(start[chosen], end[chosen], strict=True):
        colour = hsv_to_rgb([0.85 * x0, 0.9, 0.95 - 0.45 * y0])
        xs, ys = [x0 * width, x1 * width + width + gap], [y0 * height, y1 * height]
        axes.plot(xs, ys, color=colour, linewidth=0.9, alpha=0.7)
        axes.scatter(xs, ys, color=[colour], s=9, edgecolors="white", linewidths=0.4, zorder=3)
    return figure


def _picture(axes: Axes, picture: np.ndarray, title: str | None) -> None:
    height, width = picture.shape[:2]
    # Pixel edges at whole numbers, so that shares of the picture are places in it.
    axes.imshow(np.clip(picture, 0, 1), extent=(0, width, height, 0), interpolation="nearest")
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set(xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    if title:
        axes.set_title(title, fontsize=9, loc="left", color=_INK)


def _wheel(moved: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Steps as colours, `[rows, columns, 3]`: the hue is the direction, white is no step."""
    length = np.hypot(moved[:, 0], moved[:, 1])
    hue = (np.arctan2(moved[:, 0], moved[:, 1]) / (2 * np.pi)) % 1.0
    reach = max(float(np.quantile(length, 0.95)), 1e-6)
    colours = hsv_to_rgb(np.stack([hue, np.clip(length / reach, 0, 1), np.full_like(hue, 0.95)], -1))
    return np.asarray(colours).reshape(*shape, 3)


def _coarser(values: np.ndarray, factor: int) -> np.ndarray:
    """Sums of blocks of `factor` x `factor` cells; those at the edges may be smaller."""
    if factor == 1:
        return values
    rows = np.add.reduceat(values, np.arange(0, values.shape[0], factor), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, values.shape[1], factor), axis=1))


def _spread(places: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most `most` places, evenly spread over their order."""
    if len(places) == 0:
        return np.zeros(0, dtype=int)
    return np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))
