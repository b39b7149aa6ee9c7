"""Golden cases of frame sampling, the steps of the pose pipeline, and heatmaps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from components.keypoints.heatmaps import HeatmapVolume
from components.keypoints.skeletons import load_skeleton
from datamodules.skeletonclip.pipeline import EvalPipeline, TrainPipeline
from datamodules.skeletonclip.pose_transforms import Box, Compact, Pose, RandomCrop
from datamodules.skeletonclip.sampling import evaluation_frames, generator_of, sample_frames
from tests.golden.harness import Case

# The published lists; `mirror` and `limbs` follow from them.
COCO = load_skeleton("coco17")


def uniform_sample(case: Case) -> None:
    """Exact frame numbers of both branches."""
    for branch in ("test", "train"):
        params, offsets = case.arrays[f"in/{branch}_params"], case.arrays[f"out/{branch}_offsets"]
        expected = case.arrays[f"out/{branch}_inds"]
        assert len(params) + 1 == len(offsets)
        for row, (frames, length, clips, seed) in enumerate(params.tolist()):
            wanted = expected[offsets[row] : offsets[row + 1]]
            drawn = sample_frames(frames, length, clips, generator_of(seed), test=branch == "test")
            np.testing.assert_array_equal(drawn, wanted)
            if branch == "test":
                np.testing.assert_array_equal(evaluation_frames(frames, length, clips, seed), wanted)


def heatmaps(kind: Any) -> Callable[[Case], None]:
    """Every sub-case, without and with mirrored copies."""

    def check(case: Case) -> None:
        for name, changed in case.meta["subcases"].items():
            options = {**case.meta["defaults"], **changed}
            volume = HeatmapVolume(
                kind,
                COCO,
                options["sigma"],
                options["use_score"],
                options.get("double", False),
                options["eps_score"],
                options["scaling"],
            )
            keypoint, score = (case.tensor(f"in/{name}/{key}") for key in ("keypoint", "keypoint_score"))
            height, width = case.arrays[f"in/{name}/img_shape"].tolist()
            clips = volume(keypoint[None], score[None], (height, width))  # one clip of all frames
            case.check(f"out/{name}", clips.transpose(1, 2).flatten(0, 1))

    return check


def train_pipeline(case: Case) -> None:
    """All steps with the recorded random choices."""
    x0, y0, x1, y1 = case.arrays["in/crop_bbox_xyxy"].tolist()
    config = case.meta["config"]
    pipeline = TrainPipeline(
        COCO,
        config["clip_len"],
        config["num_clips"],
        short_side=int(config["first_resize"].rsplit(" ", 1)[1]),
        size=config["size"],
        crop=RandomCrop(config["area_range"]),
        compact=compact(config),
    )
    steps = pipeline.steps(
        pose_of(case), case.arrays["in/frame_inds"], Box(x0, y0, x1 - x0, y1 - y0), bool(case.arrays["in/flip"].item())
    )
    names = ("1_PoseDecode", "2_PoseCompact", "3_Resize", "4_RandomResizedCrop", "5_Resize", "6_Flip")
    final = None
    for name, final in zip(names, steps, strict=True):
        check_pose(case, name, final)
    assert final is not None
    clips = pipeline.clips(final)
    check_imgs(case, clips.keypoint, clips.score)


def evaluation_pipeline(case: Case) -> None:
    """The deterministic steps, from the sampling on."""
    config = case.meta["config"]
    pipeline = EvalPipeline(
        config["clip_len"], config["num_clips"], size=config["size"], seed=255, compact=compact(config)
    )
    frames = evaluation_frames(config["total_frames"], config["clip_len"], config["num_clips"], 255)
    np.testing.assert_array_equal(frames, case.arrays["in/frame_inds"])
    pose = pose_of(case)
    for name, step in zip(("1_PoseDecode", "2_PoseCompact", "3_Resize"), pipeline.steps(pose, frames), strict=True):
        check_pose(case, name, step)
    clips = pipeline(*pose)
    check_imgs(case, clips.keypoint, clips.score)


def compact(config: dict[str, Any]) -> Compact:
    return Compact(config["padding"], config["threshold"], config["hw_ratio"])


def pose_of(case: Case) -> Pose:
    height, width = case.arrays["in/img_shape"].tolist()
    return Pose(case.arrays["in/keypoint"], case.arrays["in/keypoint_score"], (height, width))


def check_pose(case: Case, step: str, pose: Pose) -> None:
    """A step's keypoints, scores and picture size against those recorded."""
    tolerance = case.meta["compare"]["keypoint"]
    for key, value in (("keypoint", pose.keypoint), ("keypoint_score", pose.score)):
        if f"out/{step}/{key}" in case.arrays:
            np.testing.assert_allclose(value, case.arrays[f"out/{step}/{key}"], **tolerance, err_msg=f"{step} {key}")
    assert list(pose.img_shape) == case.arrays[f"out/{step}/img_shape"].tolist(), step


def check_imgs(case: Case, keypoint: torch.Tensor, score: torch.Tensor) -> None:
    """The volume of the final keypoints."""
    config = case.meta["config"]
    volume = HeatmapVolume("keypoint", COCO, config["sigma"], double=config["double"])
    imgs = volume(keypoint, score, (config["size"], config["size"]))
    expected = case.arrays["out/imgs"]
    assert imgs.shape == expected.shape
    np.testing.assert_allclose(imgs.numpy(), expected, **case.meta["compare"]["imgs"])


HANDLERS: dict[str, Callable[[Case], None]] = {
    "uniform_sample": uniform_sample,
    "heatmap_keypoint": heatmaps("keypoint"),
    "heatmap_limb": heatmaps("limb"),
    "pipeline_train": train_pipeline,
    "pipeline_val": evaluation_pipeline,
    "pipeline_test_double": evaluation_pipeline,
}
