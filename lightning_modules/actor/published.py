"""Figures that papers print for ACTOR's data sets, to be shown beside one's own.

They were taken with the recogniser that was published with each data set, so only an evaluation with that recogniser,
imported, is comparable figure by figure.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lightning_modules.actor.upstream import ACTION_NAMES


class PublishedFigure(NamedTuple):
    """A mean as printed (accuracy as a share), and what stands behind +-: 1.96 * variance over 20 seeds."""

    mean: float
    interval: float | None = None


class PublishedRow(NamedTuple):
    """What one paper says of one method.

    `figures` goes by metric, and where train and test subjects differ by `fid_train`, `fid_test`. `verified` says
    whether the figures were checked against the paper or its code.
    """

    method: str
    verified: bool
    figures: dict[str, PublishedFigure]


_F = PublishedFigure

PUBLISHED: dict[str, tuple[PublishedRow, ...]] = {
    "humanact12": (
        PublishedRow(
            "real", False,
            {"fid": _F(0.02, 0.0), "accuracy": _F(0.994, 0.0), "diversity": _F(6.86, 0.03),
             "multimodality": _F(2.60, 0.01)},
        ),
        PublishedRow(
            "Action2Motion", False,
            {"fid": _F(2.46, 0.08), "accuracy": _F(0.923, 0.002), "diversity": _F(7.03, 0.04),
             "multimodality": _F(2.87, 0.04)},
        ),
        PublishedRow(
            "ACTOR", False,
            {"fid": _F(0.12, 0.0), "accuracy": _F(0.955, 0.008), "diversity": _F(6.84, 0.03),
             "multimodality": _F(2.53, 0.02)},
        ),
        PublishedRow("INR", False, {"fid": _F(0.088), "accuracy": _F(0.973)}),
        PublishedRow(
            "MDM", False,
            {"fid": _F(0.100), "accuracy": _F(0.990), "diversity": _F(6.86), "multimodality": _F(2.52)},
        ),
    ),
    "ntu13": (
        PublishedRow(
            "real", True,
            {"fid": _F(0.031, 0.004), "accuracy": _F(0.999, 0.001), "diversity": _F(7.108, 0.048),
             "multimodality": _F(2.194, 0.025)},
        ),
        PublishedRow(
            "Action2Motion", True,
            {"fid": _F(0.330, 0.008), "accuracy": _F(0.949, 0.001), "diversity": _F(7.065, 0.043),
             "multimodality": _F(2.052, 0.030)},
        ),
        PublishedRow(
            "ACTOR", False,
            {"fid": _F(0.11, 0.0), "accuracy": _F(0.971, 0.002), "diversity": _F(7.08, 0.04),
             "multimodality": _F(2.08, 0.01)},
        ),
    ),
    "uestc": (
        PublishedRow(
            "real", False,
            {"fid_train": _F(2.92), "fid_test": _F(2.79), "accuracy": _F(0.988), "diversity": _F(33.34),
             "multimodality": _F(14.16)},
        ),
        PublishedRow(
            "ACTOR", False,
            {"fid_train": _F(20.49, 2.31), "fid_test": _F(23.43, 2.20), "accuracy": _F(0.911, 0.003),
             "diversity": _F(31.96, 0.33), "multimodality": _F(14.52, 0.09)},
        ),
        PublishedRow("INR", False, {"fid_train": _F(9.55), "fid_test": _F(15.00), "accuracy": _F(0.941)}),
        PublishedRow(
            "MDM", False,
            {"fid_train": _F(9.98), "fid_test": _F(12.81), "accuracy": _F(0.950), "diversity": _F(33.02),
             "multimodality": _F(14.26)},
        ),
    ),
}  # fmt: skip

# UESTC's 40 names come with the data; these are enough to know it by.
_UESTC_CLASSES = 40
_UESTC_NAMES = {"jumping jack", "squatting", "rope skipping", "wrist circling"}


def data_set_of(action_names: Sequence[str]) -> str | None:
    """The published data set with these classes, in this order (`humanact12`, `ntu13`, `uestc`), or None."""
    names = [_plain(name) for name in action_names]
    for data_set, known in ACTION_NAMES.items():
        if names == [_plain(name) for name in known]:
            return data_set
    if len(names) == _UESTC_CLASSES and set(names) >= _UESTC_NAMES:
        return "uestc"
    return None


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())
