"""The mixing collate against the published per-pair loop: 3 classes x 4 motions, 60 frames, 24 joints x 6 features.

Both take the same twelve items and return the same twelve mixtures and twelve originals with labels, masks and lengths.
The loop is written after the published description: per pair it weighs the masks, interpolates the first frames, and
adds the weighted differences frame by frame. `whole clips` is the same loop with the frames of a pair in one tensor
operation, the fastest form that still goes pair by pair.

Run: python -m benchmarks.mixing
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor

from components.body.pose_format import PoseFormat
from datamodules.actor.batch import MotionItem
from datamodules.actor.humanact12 import HUMANACT12_ACTIONS
from datamodules.actor.mixing import MixingCollate

NUM_ACTIONS, NUM_INSTANCES, FRAMES = 3, 4, 60
LIMIT = 1 / 7


def make_items() -> list[MotionItem]:
    """Twelve motions of three classes, as the dataset returns them."""
    generator = torch.Generator().manual_seed(0)
    motions = torch.randn(NUM_ACTIONS * NUM_INSTANCES, 24, 6, FRAMES, generator=generator)
    return [
        {"motion": motion, "action": (1, 4, 11)[row // NUM_INSTANCES], "seed": row}
        for row, motion in enumerate(motions)
    ]


def combine_frames(one: Tensor, two: Tensor, first_mask: Tensor, second_mask: Tensor, alpha: float) -> Tensor:
    """One pair `[T, 24, 6]`, frame after frame."""
    total = alpha * first_mask + (1 - alpha) * second_mask
    w1 = (alpha * first_mask / total)[:, None]
    w2 = ((1 - alpha) * second_mask / total)[:, None]
    start = w1 * one[0] + w2 * two[0]
    frames = []
    for t in range(len(one)):
        frames.append(w1 * (one[t] - one[0]) + w2 * (two[t] - two[0]) + start)
    return torch.stack(frames)


def combine_clips(one: Tensor, two: Tensor, first_mask: Tensor, second_mask: Tensor, alpha: float) -> Tensor:
    """One pair `[T, 24, 6]`, all frames at once."""
    total = alpha * first_mask + (1 - alpha) * second_mask
    w1 = (alpha * first_mask / total)[:, None]
    w2 = ((1 - alpha) * second_mask / total)[:, None]
    start = w1 * one[0] + w2 * two[0]
    return w1 * (one - one[0]) + w2 * (two - two[0]) + start


def loop_collate(items: list[MotionItem], masks: Tensor, partners: list[int], combine: Callable[..., Tensor]) -> dict:
    """The published batch rule, pair by pair."""
    videos = [item["motion"].permute(2, 0, 1) for item in items]
    labels = [item["action"] for item in items]
    mixed = []
    for row, partner in enumerate(partners):
        one, two = videos[row], videos[partner]
        mixed.append(combine(one, two, masks[labels[row]], masks[labels[partner]], 0.5))
    batch = torch.stack(mixed + videos).permute(0, 2, 3, 1).contiguous()
    lengths = torch.tensor([len(video) for video in videos] * 2)
    return {
        "motion": batch,
        "mask": torch.arange(batch.shape[-1]) < lengths[:, None],
        "lengths": lengths,
        "action": torch.tensor(labels * 2),
        "second_action": torch.tensor([labels[partner] for partner in partners] + labels),
        "mix_alpha": torch.tensor([0.5] * len(partners) + [1.0] * len(labels)),
    }


def fastest(job: Callable[[], object], seconds: float = 1.0) -> float:
    """Shortest of many runs, in seconds: other work on the machine only ever adds."""
    job()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        job()
        best = min(best, time.perf_counter() - start)
    return best


def measure(seconds: float = 1.0) -> dict[str, float]:
    """Seconds of each way, after a check that they agree."""
    items = make_items()
    collate = MixingCollate(HUMANACT12_ACTIONS, PoseFormat("rot6d", translation=False), masks="table")
    batch = collate(items)
    # The partners that our collate draws for these seeds, so that both make the same batch.
    same = [
        [other for other in range(12) if torch.equal(_pair(collate, items, row, other), batch["motion"][row])]
        for row in range(12)
    ]
    partners = [matches[0] for matches in same]
    for combine in (combine_frames, combine_clips):
        loop = loop_collate(items, collate.masks, partners, combine)
        for key, value in batch.items():
            torch.testing.assert_close(value, loop[key], rtol=0, atol=1e-5)
    return {
        "ours": fastest(lambda: collate(items), seconds),
        "loop": fastest(lambda: loop_collate(items, collate.masks, partners, combine_frames), seconds),
        "whole clips": fastest(lambda: loop_collate(items, collate.masks, partners, combine_clips), seconds),
    }


def _pair(collate: MixingCollate, items: list[MotionItem], row: int, other: int) -> Tensor:
    from datamodules.actor.collate import collate_motions

    originals = collate_motions(items)
    return collate.mix(originals, torch.tensor([row]), torch.tensor([other]), torch.tensor([0.5]))["motion"][0]


def main() -> None:
    torch.set_num_threads(1)
    seconds = measure()
    for name, value in seconds.items():
        print(f"{name:12s} {1e3 * value:8.3f} ms")
    ratio = seconds["ours"] / seconds["loop"]
    print(f"ours / loop = {ratio:.4f} (1/{1 / ratio:.1f}), limit 1/7: {'met' if ratio <= LIMIT else 'MISSED'}")
    print(f"ours / whole clips = {seconds['ours'] / seconds['whole clips']:.4f}")


if __name__ == "__main__":
    main()
