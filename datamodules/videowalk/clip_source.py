"""What every kind of training video offers: clips that are counted beforehand and read one at a time."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from components.errors import InputError

_SHOWN = 3


class ClipSource(Protocol):
    """Videos cut into clips; what cannot be used at all has been left out and is listed.

    Objects travel to loader processes, so they pickle.
    """

    @property
    def counts(self) -> np.ndarray:
        """Clips of every video, `[V]` int64; videos that are too short for one have 0."""

    @property
    def keys(self) -> Sequence[str]:
        """Name of every video below the folder of all: the same on every machine."""

    @property
    def skipped(self) -> Mapping[str, str]:
        """Videos that cannot be used, with the reason."""

    def name(self, video: int) -> str:
        """Path of a video, as reports show it."""

    def read(self, video: int, clip: int) -> Tensor:
        """Frames of a clip, uint8 `[T, 3, H, W]`.

        Raises:
            BrokenVideoError: they cannot be read.
        """


def check_source(source: ClipSource, key: str, root: str, on_error: str, max_fail_ratio: float, why_short: str) -> None:
    """Refuse videos of which none, or too few, can be used.

    Videos that cannot be used may be among the counted ones (without clips) or not.

    Args:
        source: the videos.
        key, root: the config key that named where they are from, and its value.
        on_error: `raise` admits no broken video.
        max_fail_ratio: largest share of broken videos with `skip`.
        why_short: what a clip takes, e.g. `"4 frames at 8 frames per second"`.

    Raises:
        InputError: no clips at all, or broken videos beyond what is admitted.
    """
    broken, total = len(source.skipped), len({*map(source.name, range(len(source.counts))), *source.skipped})
    place = f"{key}={root}"
    examples = listing(
        [f"{path.removeprefix(root).lstrip('/') or 'itself'}: {reason}" for path, reason in source.skipped.items()]
    )
    if broken and broken == total:
        raise InputError(f"{place}: not one of {total} videos can be used ({examples}).\nMend them or give others")
    if broken and on_error == "raise":
        raise InputError(
            f"{place}: {broken} of {total} videos cannot be used ({examples}).\n"
            "Mend or remove them, or leave them out with data.on_error=skip"
        )
    if broken > max_fail_ratio * total:
        raise InputError(
            f"{place}: {broken} of {total} videos cannot be used ({examples}).\n"
            f"That is more than data.max_fail_ratio={max_fail_ratio:g} admits: mend or remove them, or raise it"
        )
    if not source.counts.any():
        sound = total - broken
        longest = f"none of {sound} videos is long enough" if sound else "there are no videos"
        raise InputError(f"{place}: {longest}; a clip takes {why_short}.\nLower data.clip_len, or give other videos")


def listing(texts: Sequence[str]) -> str:
    """The first few texts, and how many more there are."""
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
