"""Which frames of a video a clip takes: one at random from each of equal parts (`UniformSampleFrames`)."""

from functools import lru_cache

import numpy as np

from components.errors import InputError


def generator_of(seed: int) -> np.random.RandomState:
    """A private generator from a whole number of at most 64 bits.

    Numpy's legacy generator, as the published pipeline draws from that kind: equal seeds give its numbers.
    """
    return np.random.RandomState(seed if seed < 2**32 else [seed & 0xFFFFFFFF, seed >> 32])


def sample_frames(
    num_frames: int,
    clip_len: int,
    num_clips: int,
    generator: np.random.RandomState,
    test: bool = False,
    interval: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Frame numbers of all clips of a video, one clip after the other.

    A video of at least two frames per place gives one random frame of every part; one with fewer skips some frames by
    chance; one shorter than a clip starts somewhere and begins again at its end.

    Args:
        num_frames: n, frames of the video.
        clip_len: L, frames of a clip.
        num_clips: K.
        generator: drawn from in the published order, so that one seeded equally gives the published numbers.
        test: clips of short videos start at evenly spread frames instead of random ones.
        interval: smallest and largest share of the video that a clip is drawn from (`p_interval`).

    Returns:
        int64 `[K * L]`, each in 0..n-1.

    Raises:
        InputError: no frames, or a length below 1.
    """
    if min(num_frames, clip_len, num_clips) < 1:
        raise InputError(
            f"{num_frames} frame(s), data.clip_len={clip_len}, {num_clips} clip(s): each must be at least 1"
        )
    low, high = interval
    clips = []
    for clip in range(num_clips):
        part = int((generator.rand() * (high - low) + low) * num_frames)
        shift = generator.randint(num_frames - part + 1)
        clips.append(_one_clip(max(part, 1), clip_len, clip, num_clips, generator, test) + shift)
    return np.concatenate(clips) % num_frames


def _one_clip(n: int, length: int, clip: int, num_clips: int, chance: np.random.RandomState, test: bool) -> np.ndarray:
    places = np.arange(length)
    if n < length:
        if test:
            return places + (clip if n < num_clips else clip * n // num_clips)
        return places + chance.randint(0, n)
    if n < 2 * length:
        skips = np.zeros(length + 1, dtype=np.int64)
        skips[chance.choice(length + 1, n - length, replace=False)] = 1
        return places + np.cumsum(skips)[:-1]
    edges = np.arange(length + 1) * n // length
    return edges[:-1] + chance.randint(np.diff(edges))


@lru_cache(maxsize=65536)
def evaluation_frames(num_frames: int, clip_len: int, num_clips: int, seed: int) -> np.ndarray:
    """Frame numbers for evaluation, `[K * L]`: the same for all videos of this length, so they are kept; read-only."""
    frames = sample_frames(num_frames, clip_len, num_clips, generator_of(seed), test=True)
    narrow = frames.astype(np.int32)  # half the memory: a set has thousands of lengths
    narrow.setflags(write=False)
    return narrow
