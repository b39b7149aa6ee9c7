"""Weights of frame features as weights of the frames of a video."""

import numpy as np


def spread_weights(weights: np.ndarray, indices: np.ndarray, frames: int) -> np.ndarray:
    """Weights of a video's frames relative to their mean.

    A feature stands for the frames that it was made of, a frame of several clips has the mean of its weights, and one
    that no clip has takes those of its neighbours. Each clip counts by the shares of its weights alone.

    Args:
        weights: `[K, T']` of the features of K clips, not negative.
        indices: `[K * T]` which frame of the video each frame of the clips is.
        frames: of the video.

    Returns:
        `[frames]` float64, mean 1.
    """
    clips, features = weights.shape
    length = len(indices) // clips
    shares = weights.astype(np.float64) / np.maximum(weights.mean(axis=1, keepdims=True), 1e-12)
    of_frames = shares[:, np.arange(length) * features // length].ravel()
    total = np.bincount(indices, of_frames, frames)
    count = np.bincount(indices, minlength=frames)
    known = np.flatnonzero(count)
    spread = np.interp(np.arange(frames), known, total[known] / count[known])
    return spread / max(float(spread.mean()), 1e-12)
