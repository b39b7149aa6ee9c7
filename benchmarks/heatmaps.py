"""Heatmap volumes and the training pipeline against painting joint by joint, measured alternately in one process.

    python -m benchmarks.heatmaps                          # 48 frames, 17 joints, 56 x 56, one thread
    python -m benchmarks.heatmaps --batch 16 --threads 2
    python -m benchmarks.heatmaps --device cuda

`loop` is the published way: frame by frame, joint by joint, person by person with numpy. Targets: a volume takes at
most 1/4 of its time for 1 and for 2 persons, the whole training pipeline (frames, compacting, resizing, crop, flip,
heatmaps) at most 1/2 of the same pipeline with that loop. Times of volumes are those of the painting alone, the
pipelines both end in a batch `[B, 1, V, T, H, W]`.

Shortest of the repeats: other work on the machine only ever adds. Memory that was freed is kept, as in our commands.
"""

import argparse
import time
from collections.abc import Callable, Sized
from typing import cast

import numpy as np
import torch
from torch import Tensor

from benchmarks.heatmap_loop import keypoint_loop, limb_loop
from components.heap import keep_freed_memory
from components.keypoints.heatmaps import HeatmapVolume
from components.keypoints.skeletons import load_skeleton
from datamodules.skeletonclip.batch import SkeletonBatch
from datamodules.skeletonclip.dataset import SkeletonCollate, SkeletonItem
from datamodules.skeletonclip.pipeline import TrainPipeline
from datamodules.skeletonclip.pose_transforms import Compact, RandomCrop

VOLUME_TARGET, PIPELINE_TARGET = 1 / 4, 1 / 2
COCO = load_skeleton("coco17")
VIDEO_FRAMES, VIDEO_SIZE = 100, (1080, 1920)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=56, help="side of a heatmap, pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    device = torch.device(options.device)
    print(
        f"batch {options.batch}, {options.frames} frames, {COCO.num_joints} joints, {options.size} x {options.size}, "
        f"{options.threads} thread(s), {device}"
    )
    for persons in (1, 2):
        poses = walk(options.batch, persons)
        for kind in ("keypoint", "limb"):
            measure_volume(kind, poses, options.frames, options.size, options.repeats, device)
        measure_pipeline(poses, options.frames, options.size, options.repeats, device)


def walk(batch: int, persons: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keypoints `[M, T, V, 2]` and scores of videos: joints that swing about people who wander through a picture."""
    generator = np.random.default_rng(0)
    videos = []
    for _ in range(batch):
        height = generator.uniform(300, 700)
        joints = generator.uniform(-0.5, 0.5, (persons, 1, COCO.num_joints, 2)) * [0.5 * height, height]
        swing = generator.uniform(0, 0.1 * height, (persons, 1, COCO.num_joints, 2))
        times = np.arange(VIDEO_FRAMES)[:, None, None] * generator.uniform(0.1, 0.5, (persons, 1, COCO.num_joints, 2))
        places = generator.uniform([600, 400], [1300, 700], (persons, 1, 1, 2))
        score = generator.uniform(0.3, 1, (persons, VIDEO_FRAMES, COCO.num_joints)).astype(np.float32)
        videos.append(((places + joints + swing * np.sin(times)).astype(np.float32), score))
    return videos


def make_pipeline(frames: int, size: int) -> TrainPipeline:
    """The published one."""
    return TrainPipeline(COCO, frames, 1, 64, size, RandomCrop(), 0.5, Compact())


def items_of(poses: list[tuple[np.ndarray, np.ndarray]], pipeline: TrainPipeline) -> list[SkeletonItem]:
    """What a dataset gives for them."""
    items: list[SkeletonItem] = []
    for number, (keypoint, score) in enumerate(poses):
        clips = pipeline(keypoint, score, VIDEO_SIZE, seed=number)
        items.append({"keypoint": clips.keypoint, "score": clips.score, "label": 0, "index": number})
    return items


def painted(kind: str, item: SkeletonItem, size: int) -> np.ndarray:
    """Frames `[T, C, H, W]` of one sample by the loop."""
    keypoint, score = item["keypoint"][0].numpy(), item["score"][0].numpy()
    if kind == "keypoint":
        return keypoint_loop(keypoint, score, (size, size))
    return limb_loop(keypoint, score, (size, size), COCO.limbs)


def looped(kind: str, items: list[SkeletonItem], size: int, device: torch.device) -> Tensor:
    """Volumes `[B, 1, C, T, H, W]` by the loop."""
    volumes = [painted(kind, item, size).transpose(1, 0, 2, 3) for item in items]
    return torch.stack([torch.from_numpy(np.ascontiguousarray(volume))[None] for volume in volumes]).to(device)


def measure_volume(
    kind: str, poses: list[tuple[np.ndarray, np.ndarray]], frames: int, size: int, repeats: int, device: torch.device
) -> None:
    """Volumes alone, from keypoints that have gone through the pipeline."""
    items = items_of(poses, make_pipeline(frames, size))
    keypoint = torch.stack([item["keypoint"] for item in items])
    score = torch.stack([item["score"] for item in items])
    volume = HeatmapVolume(kind, COCO)  # type: ignore[arg-type]

    def ours() -> Tensor:
        return volume(keypoint.to(device), score.to(device), (size, size))

    def loop() -> list[np.ndarray]:
        return [painted(kind, item, size) for item in items]

    difference = (ours() - looped(kind, items, size, device)).abs().max().item()
    report(f"{kind} volume", ours, loop, difference, keypoint.shape[2], VOLUME_TARGET, repeats, device)


def measure_pipeline(
    poses: list[tuple[np.ndarray, np.ndarray]], frames: int, size: int, repeats: int, device: torch.device
) -> None:
    """From the keypoints of whole videos to a batch of volumes."""
    pipeline = make_pipeline(frames, size)
    collate = SkeletonCollate("train", size, HeatmapVolume("keypoint", COCO))

    def ours() -> Tensor:
        return cast(SkeletonBatch, collate(items_of(poses, pipeline)))["imgs"].to(device)

    def loop() -> Tensor:
        return looped("keypoint", items_of(poses, pipeline), size, device)

    difference = (ours() - loop()).abs().max().item()
    report("training pipeline", ours, loop, difference, len(poses[0][0]), PIPELINE_TARGET, repeats, device)


def report(
    what: str,
    ours: Callable[[], Sized],
    loop: Callable[[], Sized],
    difference: float,
    persons: int,
    target: float,
    repeats: int,
    device: torch.device,
) -> None:
    """Both ways in turn; one line."""
    best = [float("inf")] * 2
    for _ in range(repeats):
        for number, job in enumerate((ours, loop)):
            start = time.perf_counter()
            result = job()
            if device.type == "cuda":
                torch.cuda.synchronize()
            best[number] = min(best[number], (time.perf_counter() - start) / len(result))
    ratio = best[0] / best[1]
    print(
        f"{what:18s} {persons} person(s): {1e3 * best[0]:6.2f} ms per sample, loop {1e3 * best[1]:6.2f} ms, "
        f"ratio {ratio:.3f} (target {target:g}, {'met' if ratio <= target else 'MISSED'}), differ by {difference:.1e}"
    )


if __name__ == "__main__":
    main()
