"""Sets of 3D clips as sets of 2D ones: heatmaps are drawn in pictures."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet, clip_fault, report_broken
from components.keypoints.camera import ProjectedJoints


def in_pixels(
    skeletons: SkeletonSet,
    camera: Callable[[np.ndarray], ProjectedJoints] | None,
    on_error: Literal["skip", "raise"] = "raise",
) -> SkeletonSet:
    """The set with its 3D clips projected; 2D clips stay as they are.

    Pixels keep the number type of the joints, and get the camera's img_shape. A clip's own scores stay where the camera
    sees the joint.

    Args:
        skeletons: clips, some of which may be 3D.
        camera: `components.keypoints.camera.JointCamera`, or anything called like one; None admits no 3D clip.
        on_error: what a clip does that the camera does not see, as in `read_skeleton_set`.

    Raises:
        InputError: there is a 3D clip and no camera; a clip cannot be projected and `on_error=raise`.
    """
    first = next((clip for clip in skeletons.clips if not clip.planar), None)
    if first is None:
        return skeletons
    if camera is None:
        raise InputError(
            f"{skeletons.source}: clip '{first.name}' has 3D joints and no img_shape, but heatmaps need pixels.\n"
            "Take a file of 2D keypoints, or project: "
            "'data.camera={_target_:components.keypoints.camera.JointCamera,kind:drop_z}' (or kind:perspective)"
        )
    clips: list[SkeletonClip] = []
    skipped: dict[str, str] = {}
    for clip in skeletons.clips:
        try:
            clips.append(clip if clip.planar else _projected(clip, camera))
        except InputError as error:
            skipped[clip.name] = clip_fault(clip.name, error)
    if skipped:
        report_broken(skeletons.source, skipped, len(skeletons), on_error)
    return replace(skeletons, clips=clips, skipped={**skeletons.skipped, **skipped})


def _projected(clip: SkeletonClip, camera: Callable[[np.ndarray], ProjectedJoints]) -> SkeletonClip:
    found = camera(clip.keypoint)
    # Halves where the file has them, unless joints close to the lens lie so far outside that steps exceed 2 pixels.
    small = clip.keypoint.dtype == np.float16 and np.abs(found.keypoint).max() < 4096
    pixels = found.keypoint.astype(np.float16) if small else found.keypoint
    score = found.score if clip.score is None else found.score * clip.score
    return replace(clip, keypoint=pixels, score=score.astype(np.float16), img_shape=found.img_shape)
