"""What decides how labels are carried from frame to frame."""

import math
from dataclasses import dataclass
from typing import Any

from components.errors import InputError


@dataclass(frozen=True)
class PropagationSettings:
    """Settings of label propagation; the names and defaults are those of the paper's evaluation.

    Attributes:
        context: how many of the last frames are sources; before there are that many, the first frame stands in for the
            missing ones and counts as often.
        topk: how many source cells vote for a target cell.
        radius: only source cells nearer than this (euclidean, cells of the feature map, strictly less) are looked at in
            the context; None = all.
        temperature: of the softmax over the votes.
        long_memory: frames that stay sources for ever and are searched whole; frame m from target m + 1 on, and frame 0
            in its place before.
        published_long_memory: as the published code has it: frame m + 1 instead of m > 0, only once it has left the
            context; and with `norm_mask` the remembered labels of the first frame are normalised too.
        norm_mask: labels of a cell are handed out as (x - min) / max of that; propagation goes on with those before.
        normalize: features are brought to length 1.
        size: of the frames that the network sees: None as they are; a number is the shorter side, in proportion;
            [height, width] as given (the published `cropSize` 320 is [320, 320]).

    Raises:
        InputError: a value out of range.
    """

    context: int = 20
    topk: int = 10
    radius: float | None = 12.0
    temperature: float = 0.05
    long_memory: tuple[int, ...] = (0,)
    published_long_memory: bool = False
    norm_mask: bool = False
    normalize: bool = True
    size: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "long_memory", tuple(self.long_memory))
        if isinstance(self.size, list):
            object.__setattr__(self, "size", tuple(self.size))
        rules: dict[str, tuple[bool, str]] = {
            "context": (self.context >= 1, "expected at least 1 frame"),
            "topk": (self.topk >= 1, "expected at least 1 source cell"),
            "radius": (
                self.radius is None or 0 < self.radius < math.inf,
                "no source cell is nearer than that; expected cells above 0 (12 in the paper), or null for no limit"
                if self.radius is None or self.radius <= 0
                else "is no distance; expected cells above 0 (12 in the paper), or null for no limit",
            ),
            "temperature": (self.temperature > 0, "expected a value above 0 (0.05 in the paper)"),
            "long_memory": (
                all(frame >= 0 for frame in self.long_memory),
                "expected frame numbers from 0 on, e.g. [0]; [] for none",
            ),
            "size": (_is_size(self.size), "expected the shorter side in pixels (from 16 on), [height, width], or null"),
        }
        faults = [f"{key}={getattr(self, key)}: {rule}" for key, (fine, rule) in rules.items() if not fine]
        if faults:
            raise InputError("\n".join(faults))

    def frame_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which the network sees frames of the given size."""
        if self.size is None:
            return height, width
        if isinstance(self.size, tuple):
            return self.size
        scale = self.size / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))


def _is_size(size: Any) -> bool:
    sides = size if isinstance(size, tuple) else (size,)
    return size is None or (
        len(sides) == (2 if isinstance(size, tuple) else 1)
        and all(isinstance(side, int) and not isinstance(side, bool) and 16 <= side <= 8192 for side in sides)
    )
