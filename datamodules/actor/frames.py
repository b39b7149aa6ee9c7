"""Which frames of a clip become a training sample (ACTOR's `_get_item_data_index`)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from components.errors import InputError

# Draws a whole number between two bounds, both included.
DrawInteger = Callable[[int, int], int]

Sampling = Literal["conseq", "random_conseq", "random"]


@dataclass(frozen=True)
class FrameSampling:
    """How many frames are taken and how.

    Args:
        num_frames: frames of a sample; -1 the whole clip (cropped to `max_len`), -2 a random number between `min_len`
            and `max_len`.
        sampling: `conseq` equidistant frames, `random_conseq` equidistant with a random step, `random` any frames,
            in order.
        sampling_step: step of `conseq` in frames; -1 or too large a step spreads the sample over the clip.
        min_len: shortest sample in frames, for `num_frames=-2`.
        max_len: longest sample in frames, -1 without limit.
        repeat_last: a clip that is too short repeats its last frame (published; the repeated frames then count as
            real ones); false gives the frames there are.

    Raises:
        InputError: a value is out of range.
    """

    num_frames: int = 60
    sampling: Sampling = "conseq"
    sampling_step: int = 1
    min_len: int = -1
    max_len: int = -1
    repeat_last: bool = True

    def __post_init__(self) -> None:
        if self.num_frames == 0 or self.num_frames < -2:
            raise InputError(f"data.num_frames={self.num_frames}: expected at least 1, -1 (whole clip) or -2 (random)")
        if self.num_frames == -2 and self.min_len < 1:
            raise InputError(f"data.num_frames=-2 needs data.min_len of at least 1, found {self.min_len}")
        if self.sampling not in ("conseq", "random_conseq", "random"):
            raise InputError(f"data.sampling='{self.sampling}' is not one of conseq, random_conseq, random")
        if self.sampling_step == 0 or self.sampling_step < -1:
            raise InputError(f"data.sampling_step={self.sampling_step}: expected at least 1, or -1 (spread)")
        if self.max_len != -1 and self.max_len < max(self.min_len, 1):
            raise InputError(f"data.max_len={self.max_len}: expected -1 or at least min_len={self.min_len}")

    def choose(self, length: int, draw: DrawInteger) -> np.ndarray:
        """Frame indices `[n]` int64 of a clip with `length` frames, see `repeat_last` for one that is too short."""
        count = self._count(length, draw)
        if count is None:
            return np.arange(length)
        if count > length:
            return np.minimum(np.arange(count if self.repeat_last else length), length - 1)
        if self.sampling == "random":
            return _distinct(length, count, draw)
        largest = (length - 1) // (count - 1) if count > 1 else 1
        if self.sampling == "random_conseq":
            step = draw(1, largest)
        elif self.sampling_step == -1 or self.sampling_step * (count - 1) >= length:
            step = largest
        else:
            step = self.sampling_step
        last = step * (count - 1)
        # The last possible shift is never drawn: published behaviour, kept so that samples agree.
        return draw(0, max(0, length - last - 2)) + step * np.arange(count)

    def _count(self, length: int, draw: DrawInteger) -> int | None:
        """Frames to take, None for all."""
        if self.num_frames == -1:
            return None if self.max_len == -1 or length <= self.max_len else self.max_len
        if self.num_frames == -2:
            longest = length if self.max_len == -1 else min(length, self.max_len)
            return draw(self.min_len, max(longest, self.min_len))
        return self.num_frames


def central(low: int, high: int) -> int:
    """A draw without chance: the middle. Consecutive frames then come from the centre of the clip."""
    return (low + high) // 2


def random_draw(seed: int) -> DrawInteger:
    """Draws from a stream of their own."""
    generator = torch.Generator().manual_seed(seed)
    return lambda low, high: int(torch.randint(low, high + 1, (), generator=generator))


def _distinct(length: int, count: int, draw: DrawInteger) -> np.ndarray:
    """`count` distinct frames in order (Floyd's algorithm: every subset has the same chance)."""
    chosen: set[int] = set()
    for top in range(length - count, length):
        candidate = draw(0, top)
        chosen.add(top if candidate in chosen else candidate)
    return np.array(sorted(chosen), dtype=np.int64)
