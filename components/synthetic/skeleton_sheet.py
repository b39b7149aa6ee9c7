"""A picture of synthetic skeletons: moments of clips of each class side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from components.keypoints.annotations import SkeletonClip
from components.keypoints.skeletons import load_skeleton
from components.media.frames import evenly_spaced
from components.media.pictures import image_grid

Rgb = tuple[int, int, int]
# Cool on the person's left, warm on their right, as in the films of stick figures.
_LEFT, _RIGHT, _MIDDLE, _OTHER = (46, 116, 181), (214, 92, 62), (70, 78, 92), (196, 200, 208)
_GROUND: Rgb = (247, 248, 250)
_CELL, _OVERSAMPLE, _MARGIN = 92, 3, 0.1


def draw_sheet(clips: Sequence[SkeletonClip], texts: Sequence[str], moments: int = 7) -> np.ndarray:
    """Clips of COCO joints, two strips a row, each cut to where its people are.

    Limbs on a person's left are blue, on their right red; limbs without both ends are not drawn; people after the first
    are grey.

    Args:
        clips: with labels.
        texts: of the classes.
        moments: frames of each clip, first and last included.

    Returns:
        uint8 `[H, W, 3]`.
    """
    strips = [
        np.concatenate([_frame(clip, at) for at in evenly_spaced(clip.total_frames, moments)], 1) for clip in clips
    ]
    captions = [
        f"{'' if clip.label is None else texts[clip.label]} ({clip.total_frames} frames, {clip.name})" for clip in clips
    ]
    return image_grid(strips, 2, captions, gap=8, caption_size=13)


def _frame(clip: SkeletonClip, at: int) -> np.ndarray:
    """One moment, `[92, 92, 3]`."""
    skeleton = load_skeleton("coco17")
    side = _CELL * _OVERSAMPLE
    points = clip.keypoint[0].astype(np.float32)
    seen = points[(points != 0).any(-1)]
    picture = Image.new("RGB", (side, side), _GROUND)
    if len(seen) == 0:
        return np.asarray(picture.reduce(_OVERSAMPLE))
    low, high = seen.min(0), seen.max(0)
    scale = side * (1 - 2 * _MARGIN) / max(float((high - low).max()), 1.0)
    pen = ImageDraw.Draw(picture)
    for person in range(clip.num_persons - 1, -1, -1):
        joints = clip.keypoint[person, at].astype(np.float32)
        found = (joints != 0).any(-1)
        spots = (joints - (low + high) / 2) * scale + side / 2
        for number, (start, end) in enumerate(skeleton.limbs):
            if not (found[start] and found[end]):
                continue
            color = _LEFT if number in skeleton.left_limb else _RIGHT if number in skeleton.right_limb else _MIDDLE
            pen.line([*map(float, (*spots[start], *spots[end]))], _OTHER if person else color, 2 * _OVERSAMPLE)
    return np.asarray(picture.reduce(_OVERSAMPLE))
