"""Diagrams and tables of a latent space."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from entrypoints.tasks.class_figures import class_mark
from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from components.projections.principal_axes import PrincipalAxes
    from lightning_modules.actor.latent_space import EncodedClips


def draw_latent_space(
    parts: "Mapping[str, EncodedClips]", axes: "PrincipalAxes", names: Sequence[str], prior: bool = True
) -> "Figure":
    """Two panels: clips in the plane of two principal axes, and what each dimension carries.

    Args:
        parts: `evaluation` clips are drawn full, `training` clips pale; ellipses are of `training` where given.
        axes: the plane.
        names: of the labels.
        prior: false for an autoencoder, whose latents are points: the second panel is left out.
    """
    from matplotlib.figure import Figure

    if not prior:
        figure = Figure(figsize=(8.5, 6.2), layout="constrained")
        _draw_plane(figure.subplots(), parts, axes, names)
        return figure
    figure = Figure(figsize=(15.0, 6.2), layout="constrained")
    plane, dimensions = figure.subplots(1, 2, width_ratios=(5, 4))
    _draw_plane(plane, parts, axes, names)
    _draw_dimensions(dimensions, parts["evaluation"])
    return figure


def _draw_plane(
    panel: "Axes", parts: "Mapping[str, EncodedClips]", axes: "PrincipalAxes", names: Sequence[str]
) -> None:
    """A colour per action, ellipses of two standard deviations."""
    from matplotlib.patches import Ellipse

    from callbacks.figures import plain_axes
    from lightning_modules.actor.latent_space import spread_ellipse

    main = parts.get("training", parts["evaluation"])
    for label in sorted({int(label) for part in parts.values() for label in part.action}):
        colour, marker = class_mark(label)
        for part_name, part in parts.items():
            spots = axes.project(part.mu[part.action == label])
            full = part_name == "evaluation"
            panel.scatter(
                spots[:, 0], spots[:, 1], s=26 if full else 12, color=colour, marker=marker,
                alpha=0.9 if full else 0.3, linewidths=0.5 if full else 0, edgecolors="white",
                label=names[label].replace("_", " ") if full else None, zorder=3 if full else 2,
            )  # fmt: skip
        ellipse = spread_ellipse(axes.project(main.mu[main.action == label]))
        if ellipse is not None:
            panel.add_patch(
                Ellipse(
                    ellipse.centre, ellipse.width, ellipse.height, angle=ellipse.degrees, facecolor="none",
                    edgecolor=colour, linewidth=1.3, alpha=0.8, zorder=1,
                )
            )  # fmt: skip
    counts = ", ".join(f"{len(part.mu)} {name}" for name, part in parts.items())
    plain_axes(panel, f"posterior means of {counts} clips")
    panel.set_xlabel(f"first principal axis, {100 * axes.share[0]:.0f} % of the variance", fontsize=9)
    panel.set_ylabel(f"second principal axis, {100 * axes.share[1]:.0f} %", fontsize=9)
    panel.set_aspect("equal", adjustable="datalim")
    panel.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_dimensions(panel: "Axes", clips: "EncodedClips") -> None:
    """KL divergence to the prior of each dimension, the most telling first, on a log axis; how many are in use."""
    from callbacks.figures import plain_axes
    from lightning_modules.actor.evaluation import ACTIVE_NATS

    floor = ACTIVE_NATS / 10
    values = clips.kl_by_dim.clamp(min=0).sort(descending=True).values
    active = int((values > ACTIVE_NATS).sum())
    ranks = range(1, len(values) + 1)
    shown = values.clamp(min=floor)
    panel.fill_between(ranks, shown, floor, step="mid", alpha=0.35, color="#2b6cb0", linewidth=0)
    panel.step(ranks, shown, where="mid", color="#2b6cb0", linewidth=1.2)
    panel.axhline(ACTIVE_NATS, color="#dd6b20", linewidth=1.2, linestyle="--")
    panel.set_yscale("log")
    in_use = f"{active} of {len(values)} dimensions in use (above {ACTIVE_NATS:g} nats)"
    plain_axes(panel, f"{in_use}, {values.sum():.1f} nats a clip")
    panel.set_xlabel("dimensions, the most telling first", fontsize=9)
    panel.set_ylabel("KL divergence to the prior, nats", fontsize=9)
    panel.set_xlim(0.5, len(values) + 0.5)
    panel.set_ylim(bottom=floor)


def clip_rows(parts: "Mapping[str, EncodedClips]", axes: "PrincipalAxes", names: Sequence[str]) -> Table:
    """Coordinates of every clip."""
    rows: list[list[Value]] = []
    for name, part in parts.items():
        for number, (spot, label) in enumerate(zip(axes.project(part.mu).tolist(), part.action.tolist())):
            rows.append([f"{name}_{number}", name, names[label], *spot])
    return Table("Clips in the latent space", ["clip", "split", "action", "axis_1", "axis_2"], rows)


def dimension_rows(clips: "EncodedClips", prior: bool = True) -> Table:
    """What each dimension carries; of an autoencoder (`prior` is false) the spread alone."""
    if not prior:
        spreads = clips.mu.std(0, correction=0).tolist()
        return Table(
            "Latent dimensions", ["dimension", "std"], [[str(index), one] for index, one in enumerate(spreads)]
        )
    kl, spread = clips.kl_by_dim.tolist(), clips.mu.std(0, correction=0).tolist()
    width = clips.logvar.exp().sqrt().mean(0).tolist()
    rows: list[list[Value]] = [[str(index), *values] for index, values in enumerate(zip(kl, spread, width))]
    columns = ["dimension", "kl_nats", "std_of_means", "mean_posterior_std"]
    return Table("Latent dimensions", columns, rows)
