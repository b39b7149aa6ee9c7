"""Persons of single frames, in any order, joined over time by where they stand."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class _Track:
    """A person: which frames they were found in, and which entry of each frame they are."""

    frames: list[int] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    weight: float = 0.0


def track_persons(
    frames: Sequence[np.ndarray],
    max_persons: int = 2,
    max_distance: float = 0.5,
    max_gap: int = 15,
    identities: Sequence[Sequence[object]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Join the persons of all frames greedily, nearest pairs first, and keep those with most evidence.

    The distance of two poses is the mean distance of the joints that both show, as a share of the larger pose's
    diagonal. Two tracks that never share a frame (someone left, someone came back) may fill one row of the result.

    Args:
        frames: of each frame the persons `[P, V, 3]`: x and y in pixels and a score; a score of 0 is a missing joint.
        max_persons: M at most; persons with the highest sum of scores stay.
        max_distance: above it two poses are two persons.
        max_gap: a person who was not found for more frames than this is a new one.
        identities: of each frame the persons' own names, where a tracker gave some; then distances do not count.

    Returns:
        Keypoints `[M, T, V, 2]` and scores `[M, T, V]`, float32, zeros where a person is missing; M is 1 where nobody
        was found at all.

    Raises:
        ValueError: no frames, or a frame whose persons are not `[P, V, 3]`.
    """
    if not frames:
        raise ValueError("there are no frames to track persons in")
    joints = next((found.shape[1] for found in frames if len(found)), frames[0].shape[1] if frames[0].ndim == 3 else 0)
    for found in frames:
        if found.ndim != 3 or found.shape[2] != 3 or (len(found) and found.shape[1] != joints):
            raise ValueError(f"persons of a frame must be [P, {joints}, 3], got {list(found.shape)}")
    tracks = _named(frames, identities) if identities is not None else _nearest(frames, max_distance, max_gap)
    rows: list[list[_Track]] = []
    # Python's sort is stable: of equals, whoever came first stays first.
    for track in sorted(tracks, key=lambda each: -each.weight):
        taken = set(track.frames)
        free = next((row for row in rows if all(taken.isdisjoint(other.frames) for other in row)), None)
        if free is not None:
            free.append(track)
        elif len(rows) < max_persons:
            rows.append([track])
    result = np.zeros((max(1, len(rows)), len(frames), joints, 3), dtype=np.float32)
    for person, row in enumerate(rows):
        for track in row:
            for frame, entry in zip(track.frames, track.entries, strict=True):
                result[person, frame] = frames[frame][entry]
    result[result[..., 2] <= 0] = 0
    return result[..., :2], result[..., 2]


def _nearest(frames: Sequence[np.ndarray], max_distance: float, max_gap: int) -> list[_Track]:
    tracks: list[_Track] = []
    for frame, persons in enumerate(frames):
        alive = [track for track in tracks if frame - track.frames[-1] <= max_gap + 1]
        pairs = []
        for number, track in enumerate(alive):
            last = frames[track.frames[-1]][track.entries[-1]]
            for entry, person in enumerate(persons):
                apart = _distance(last, person)
                if apart <= max_distance:
                    pairs.append((apart, number, entry))
        joined: set[int] = set()
        found: set[int] = set()
        for _, number, entry in sorted(pairs):
            if number not in joined and entry not in found:
                joined.add(number)
                found.add(entry)
                _extend(alive[number], frame, entry, persons[entry])
        for entry in range(len(persons)):
            if entry not in found and (persons[entry][:, 2] > 0).any():
                tracks.append(_Track())
                _extend(tracks[-1], frame, entry, persons[entry])
    return tracks


def _named(frames: Sequence[np.ndarray], identities: Sequence[Sequence[object]]) -> list[_Track]:
    """Tracks by the names of persons; the second person of the same name in a frame is left out."""
    tracks: dict[object, _Track] = {}
    for frame, (persons, names) in enumerate(zip(frames, identities, strict=True)):
        for entry, name in enumerate(names):
            track = tracks.setdefault(name, _Track())
            if not track.frames or track.frames[-1] != frame:
                _extend(track, frame, entry, persons[entry])
    return list(tracks.values())


def _extend(track: _Track, frame: int, entry: int, person: np.ndarray) -> None:
    track.frames.append(frame)
    track.entries.append(entry)
    track.weight += float(person[:, 2].sum())


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    both = (first[:, 2] > 0) & (second[:, 2] > 0)
    if not both.any():
        return float("inf")
    size = max(_diagonal(first), _diagonal(second), 1.0)
    return float(np.linalg.norm(first[both, :2] - second[both, :2], axis=1).mean() / size)


def _diagonal(person: np.ndarray) -> float:
    seen = person[person[:, 2] > 0, :2]
    return float(np.linalg.norm(np.ptp(seen, axis=0)))
