"""Skeletons of a clip side by side, coloured by how much each frame counts, over a bar of all frames."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from components.media.frames import evenly_spaced
from components.media.pictures import draw_text, fitting_size
from components.media.skeletons import round_line

Rgb = tuple[int, int, int]
_PAPER: Rgb = (255, 255, 255)
_AXIS: Rgb = (196, 201, 210)
# From frames that count least to those that count most; readable in grey too, for it darkens all along.
_SCALE: tuple[Rgb, ...] = ((210, 217, 228), (246, 202, 128), (234, 122, 52), (158, 18, 44))
_LEAST_SPREAD = 0.1
_OVERSAMPLE = 3
# Joints that an estimator was less sure of are not drawn.
_SURE = 0.2


def weight_colors(weights: np.ndarray) -> np.ndarray:
    """Colours `[n, 3]` uint8 of weights `[n]`, from the least to the largest of them.

    The scale spans a tenth of their mean at least: weights that hardly differ look alike, and equal ones are all pale.
    """
    spread = max(float(np.ptp(weights)), _LEAST_SPREAD * float(np.mean(weights)), 1e-12)
    places = (weights - weights.min()) / spread
    stops = np.linspace(0, 1, len(_SCALE))
    channels = [np.interp(places, stops, [color[channel] for color in _SCALE]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def skeleton_strip(
    keypoint: np.ndarray,
    score: np.ndarray | None,
    limbs: Sequence[tuple[int, int]],
    weights: np.ndarray,
    frames: int = 12,
    cell: tuple[int, int] = (150, 110),
    title: str | None = None,
) -> np.ndarray:
    """Moments of a clip in one scale, with the weights of all its frames below.

    Args:
        keypoint: `[M, T, V, 2]` pixels; joints at the origin or with NaN are missing.
        score: `[M, T, V]`; None counts as 1.
        limbs: joints that lines join; without any, joints are dots.
        weights: `[T]`, how much each frame counts.
        frames: moments shown, first and last included.
        cell: (height, width) of a moment, pixels.
        title: a line above.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: another number of weights than of frames.
    """
    if keypoint.ndim != 4 or len(weights) != keypoint.shape[1]:
        raise ValueError(f"{len(weights)} weights for keypoints {list(keypoint.shape)}; expected one per frame")
    points = np.nan_to_num(keypoint[..., :2].astype(np.float64))
    seen = (points != 0).any(-1)
    if score is not None:
        seen &= np.nan_to_num(score) > min(_SURE, float(np.nan_to_num(score).max(initial=0.0)) / 2)
    chosen = evenly_spaced(len(weights), frames)
    colors = weight_colors(np.asarray(weights, dtype=np.float64))
    placed = _placed(points, seen, cell)
    moments = [
        _moment(placed[:, frame], seen[:, frame], limbs, tuple(colors[frame].tolist()), cell) for frame in chosen
    ]
    picture = np.concatenate(moments, axis=1)
    width = picture.shape[1]
    bars = _bars(weights, colors, chosen, cell[1], width)
    parts = [picture, bars]
    if title:
        head = np.full((30, width, 3), _PAPER, dtype=np.uint8)
        parts.insert(0, draw_text(head, title, (0.0, 0.5), fitting_size(title, 16, width)))
    return np.concatenate(parts)


def _placed(points: np.ndarray, seen: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """Pixels of the clip as pixels of a cell; one scale and place for all frames, so that motion is seen."""
    height, width = cell
    if not seen.any():
        return points
    low, high = points[seen].min(0), points[seen].max(0)
    scale = min(0.84 * width / max(high[0] - low[0], 1.0), 0.84 * height / max(high[1] - low[1], 1.0))
    return (points - (low + high) / 2) * scale + np.array([width, height]) / 2


def _moment(
    points: np.ndarray, seen: np.ndarray, limbs: Sequence[tuple[int, int]], color: Rgb, cell: tuple[int, int]
) -> np.ndarray:
    """One frame: limbs as lines in the frame's colour, joints as dots."""
    height, width = cell
    canvas = Image.new("RGB", (width * _OVERSAMPLE, height * _OVERSAMPLE), _PAPER)
    pen = ImageDraw.Draw(canvas)
    thickness = max(2.0, height / 42) * _OVERSAMPLE
    if not seen.any():
        empty = np.full((height, width, 3), _PAPER, dtype=np.uint8)
        return draw_text(empty, "nobody", (0.5, 0.5), 11, _AXIS)
    dark = tuple(round(0.72 * channel) for channel in color)
    for person, there in zip(points * _OVERSAMPLE, seen, strict=True):
        for start, end in limbs:
            if there[start] and there[end]:
                round_line(pen, person[start], person[end], thickness, color)
        radius = thickness * (0.75 if limbs else 1.1)
        for x, y in person[there].tolist():
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=dark)
    pen.line([(0, 0), (0, canvas.height)], fill=(236, 238, 242), width=_OVERSAMPLE)
    return np.asarray(canvas.reduce(_OVERSAMPLE))


def _bars(weights: np.ndarray, colors: np.ndarray, chosen: np.ndarray, cell_width: int, width: int) -> np.ndarray:
    """All frames as bars over the mean of them; ticks join the shown ones to their skeletons."""
    top, height, foot, side = 16, 64, 22, 6
    canvas = Image.new("RGB", (width, top + height + foot), _PAPER)
    pen = ImageDraw.Draw(canvas)
    mean = float(np.mean(weights))
    relative = np.asarray(weights, dtype=np.float64) / mean if mean > 0 else np.ones(len(weights))
    largest = max(1.0, float(relative.max()))
    step = (width - 2 * side) / len(weights)
    for frame, value in enumerate(relative):
        left, right = side + frame * step, side + (frame + 1) * step
        box = [left, top + height * (1 - value / largest), max(left + 1, right - 1), top + height]
        pen.rectangle(box, fill=tuple(colors[frame].tolist()))
    level = top + height * (1 - 1 / largest)
    pen.line([(side, level), (width - side, level)], fill=(110, 118, 132), width=1)
    pen.line([(side, top + height), (width - side, top + height)], fill=_AXIS, width=1)
    for place, frame in enumerate(chosen):
        pen.line([((place + 0.5) * cell_width, 0), (side + (frame + 0.5) * step, top - 3)], fill=_AXIS, width=1)
    told = f"largest {relative.max():.2f}, least {relative.min():.2f} of it"
    text = f"{len(weights)} frames; the line is the mean of all weights, {told}"
    labelled = draw_text(np.asarray(canvas), text, (0.0, 1.0), fitting_size(text, 12, width))
    return labelled
