"""Smooth curves over the frames of a clip, and the seeded draws that vary them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# Frames per second of the HumanAct12 layout.
FPS = 20.0


class Draw:
    """Random numbers of one clip, a function of the given integers alone.

    Args:
        seeds: for example (dataset seed, action, clip).
    """

    def __init__(self, *seeds: int) -> None:
        mixed = 0x9E3779B9
        for seed in seeds:
            mixed = (mixed * 6364136223846793005 + seed + 1442695040888963407) % (1 << 63)
        self.generator = torch.Generator().manual_seed(mixed)

    def uniform(self, low: float, high: float) -> float:
        """One number of [low, high)."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def normal(self, deviation: float, limit: float = 2.0) -> float:
        """One number around 0, cut at `limit` deviations."""
        return deviation * max(-limit, min(limit, float(torch.randn((), generator=self.generator))))

    def integer(self, low: int, high: int) -> int:
        """One integer of low..high, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform(0.0, 1.0) < probability


def keyframes(frames: int, times: Sequence[float], values: Sequence[float] | Sequence[Sequence[float]]) -> Tensor:
    """A curve through key values that never overshoots them (piecewise cubic, Fritsch and Carlson 1980).

    Args:
        frames: length T of the clip.
        times: K increasing key times, in frames; before the first and after the last key the curve is constant.
        values: K numbers or K vectors of D numbers.

    Returns:
        `[T]` or `[T, D]`, float64.
    """
    at = torch.arange(frames, dtype=torch.float64)
    return interpolate(at, torch.tensor(times, dtype=torch.float64), torch.tensor(values, dtype=torch.float64))


def cyclic(phase: Tensor, knots: Sequence[float], values: Sequence[float]) -> Tensor:
    """A curve of period 1 through key values at knots of [0, 1), read at `phase [T]`."""
    knot = torch.tensor(knots, dtype=torch.float64)
    value = torch.tensor(values, dtype=torch.float64)
    return interpolate(phase % 1.0, torch.cat([knot - 1, knot, knot + 1]), value.repeat(3))


def interpolate(at: Tensor, times: Tensor, values: Tensor) -> Tensor:
    """The curve of `keyframes` at any times: `at [T]`, `times [K]`, `values [K]` or `[K, D]`."""
    shape = (-1,) + (1,) * (values.dim() - 1)
    step = (times[1:] - times[:-1]).view(shape)
    slope = (values[1:] - values[:-1]) / step
    left, right = slope[:-1], slope[1:]
    near, far = step[:-1] + 2 * step[1:], 2 * step[:-1] + step[1:]
    monotone = left * right > 0
    safe_left, safe_right = (torch.where(monotone, x, torch.ones_like(x)) for x in (left, right))
    inner = torch.where(monotone, (near + far) / (near / safe_left + far / safe_right), torch.zeros_like(left))
    rest = torch.zeros_like(values[:1])
    tangent = torch.cat([rest, inner, rest])
    index = torch.searchsorted(times, at, right=True).clamp(1, len(times) - 1) - 1
    width = step[index]
    s = ((at.view(shape) - times[index].view(shape)) / width).clamp(0.0, 1.0)
    hermite = (1 + 2 * s) * (1 - s) ** 2 * values[index] + s * (1 - s) ** 2 * width * tangent[index]
    return hermite + s**2 * (3 - 2 * s) * values[index + 1] + s**2 * (s - 1) * width * tangent[index + 1]


def rise_and_fall(frames: int, start: float, period: float, shares: tuple[float, float, float, float]) -> Tensor:
    """0 to 1 and back once per period, `[T]`; `shares` of the period: leaves 0, reaches 1, leaves 1, reaches 0."""
    times: list[float] = []
    while not times or times[-1] < frames:
        base = start + period * (len(times) // 4)
        times += [base + period * share for share in shares]
    return keyframes(frames, times, [0.0, 1.0, 1.0, 0.0] * (len(times) // 4))


def wander(draw: Draw, frames: int, amplitude: float) -> Tensor:
    """Slow drift of about the given amplitude, `[T]`: nobody stands still like a statue."""
    at = torch.arange(frames, dtype=torch.float64)
    total = torch.zeros(frames, dtype=torch.float64)
    for share, low, high in ((0.7, 45.0, 80.0), (0.3, 20.0, 35.0)):
        total += share * torch.sin(2 * math.pi * (at / draw.uniform(low, high) + draw.uniform(0.0, 1.0)))
    return amplitude * total
