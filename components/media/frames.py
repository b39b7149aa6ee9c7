"""What counts as a picture or a film here: uint8 RGB arrays `[H, W, 3]` and `[T, H, W, 3]`, numpy or torch."""

import numpy as np
import torch

Frames = np.ndarray | torch.Tensor


def as_array(frames: Frames, what: str = "frames") -> np.ndarray:
    """A contiguous numpy view of uint8 RGB data.

    Raises:
        ValueError: not uint8, or the last axis does not hold 3 channels.
    """
    array = frames.detach().cpu().numpy() if isinstance(frames, torch.Tensor) else np.asarray(frames)
    if array.dtype != np.uint8 or array.ndim < 3 or array.shape[-1] != 3 or 0 in array.shape:
        raise ValueError(f"{what} must be uint8 [..., H, W, 3] and not empty, got {array.dtype} {list(array.shape)}")
    return np.ascontiguousarray(array)


def as_film(frames: Frames, what: str = "frames") -> np.ndarray:
    """`[T, H, W, 3]`; a single picture becomes a film of one frame.

    Raises:
        ValueError: wrong type or shape.
    """
    array = as_array(frames, what)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4:
        raise ValueError(f"{what} must be [T, H, W, 3] or [H, W, 3], got {list(array.shape)}")
    return array


def as_picture(image: Frames, what: str = "image") -> np.ndarray:
    """`[H, W, 3]`.

    Raises:
        ValueError: wrong type or shape.
    """
    array = as_array(image, what)
    if array.ndim != 3:
        raise ValueError(f"{what} must be [H, W, 3], got {list(array.shape)}")
    return array


def evenly_spaced(length: int, count: int) -> np.ndarray:
    """Indices of `count` moments of a clip, first and last included; no more than there are frames."""
    return np.linspace(0, length - 1, min(max(count, 1), length)).round().astype(int)
