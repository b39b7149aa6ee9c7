"""Masks and joints drawn over a frame."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from components.media.frames import Frames, as_picture

# Hues of the first objects, degrees: neighbours in the list are far apart. Later objects take them again, paler.
_HUES = (4, 211, 45, 130, 283, 178, 325, 85, 24, 245)
# Joints are drawn this many times larger and then reduced, for smooth edges.
_FINE = 3


def object_color(index: int) -> tuple[int, int, int]:
    """A bright colour for object `index`, from 1 on; unlike the palette of the files it shows over dark frames."""
    hue = _HUES[(index - 1) % len(_HUES)] / 360
    saturation = (0.82, 0.5, 0.95)[(index - 1) // len(_HUES) % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, (1.0, 1.0, 0.72)[(index - 1) // len(_HUES) % 3])
    return round(255 * red), round(255 * green), round(255 * blue)


def overlay_mask(picture: Frames, ids: np.ndarray, opacity: float = 0.5) -> np.ndarray:
    """Objects tinted in their colour, with an outline.

    Args:
        picture: RGB uint8 `[H, W, 3]`; not changed.
        ids: uint8 `[H, W]`, 0 is left as it is.
        opacity: of the tint, 0 to 1; the outline is always opaque.

    Returns:
        uint8 `[H, W, 3]`.

    Raises:
        ValueError: picture and mask differ in size.
    """
    image = as_picture(picture)
    if image.shape[:2] != ids.shape:
        raise ValueError(f"picture {list(image.shape)} and mask {list(ids.shape)} differ in size")
    result = image.copy()
    inside = ids > 0
    if not inside.any():
        return result
    colors = np.zeros((256, 3), dtype=np.float32)
    for index in np.unique(ids[inside]):
        colors[index] = object_color(int(index))
    tint = colors[ids[inside]]
    # Half of the tint follows the brightness of the frame, so that its structure stays visible.
    light = image[inside].astype(np.float32).mean(1, keepdims=True) / 255
    result[inside] = np.clip(image[inside] * (1 - opacity) + tint * opacity * (0.65 + 0.7 * light), 0, 255).astype(
        np.uint8
    )
    edge = _outline(ids, max(1, round(min(ids.shape) / 240))) & inside
    result[edge] = (colors[ids[edge]] * 0.75 + 255 * 0.25).astype(np.uint8)
    return result


def overlay_joints(
    picture: Frames, joints: np.ndarray, limbs: Sequence[tuple[int, int]] = (), radius: float | None = None
) -> np.ndarray:
    """Joints as discs of a colour each, limbs as lines.

    Args:
        picture: RGB uint8 `[H, W, 3]`; not changed.
        joints: `[2, J]`, x and y in pixels; those with a negative or not finite coordinate are left out.
        limbs: pairs of joints that are joined by a line.
        radius: of a disc, pixels; None = as suits the frame.

    Returns:
        uint8 `[H, W, 3]`.
    """
    image = as_picture(picture)
    height, width = image.shape[:2]
    size = radius or max(2.5, min(height, width) / 55)
    seen = (np.isfinite(joints) & (joints >= 0)).all(0)
    canvas = Image.fromarray(image).resize((width * _FINE, height * _FINE), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(canvas)
    places = np.where(seen, (np.nan_to_num(joints) + 0.5) * _FINE, 0)
    for first, second in limbs:
        if seen[first] and seen[second]:
            ends = [tuple(places[:, first]), tuple(places[:, second])]
            draw.line(ends, fill=(20, 22, 26), width=round(size * _FINE * 0.9))
            draw.line(ends, fill=(245, 245, 245), width=round(size * _FINE * 0.45))
    for joint in np.flatnonzero(seen):
        x, y = places[:, joint]
        for part, color in ((1.0, (20, 22, 26)), (0.86, (245, 245, 245)), (0.64, object_color(int(joint) + 1))):
            reach = size * _FINE * part
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=color)
    drawn = np.asarray(canvas.resize((width, height), Image.Resampling.BOX))
    # Enlarging and reducing blurs the frame a little: only what was drawn on is taken over.
    touched = np.zeros((height, width), dtype=bool)
    for mark in _boxes(joints[:, seen], joints, limbs, seen, size):
        touched[mark] = True
    return np.where(touched[..., None], drawn, image)


def _boxes(
    points: np.ndarray, joints: np.ndarray, limbs: Sequence[tuple[int, int]], seen: np.ndarray, size: float
) -> list[tuple[slice, slice]]:
    """Rows and columns round the discs and limbs."""
    corners = [(points[:, index], points[:, index]) for index in range(points.shape[1])]
    corners += [(joints[:, a], joints[:, b]) for a, b in limbs if seen[a] and seen[b]]
    boxes = []
    for first, second in corners:
        low, high = np.minimum(first, second) - size - 1, np.maximum(first, second) + size + 2
        x0, y0, x1, y1 = (max(0, int(value)) for value in (*low, *high))
        boxes.append((slice(y0, y1), slice(x0, x1)))
    return boxes


def _outline(ids: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels within `thickness` of another id, up, down, left or right; the border of the frame is no outline."""
    edge = np.zeros(ids.shape, dtype=bool)
    for step in range(1, thickness + 1):
        for axis in (0, 1):
            if ids.shape[axis] <= step:
                continue
            front, back = [slice(None)] * 2, [slice(None)] * 2
            front[axis], back[axis] = slice(step, None), slice(None, -step)
            differs = ids[tuple(front)] != ids[tuple(back)]
            edge[tuple(front)] |= differs
            edge[tuple(back)] |= differs
    return edge
