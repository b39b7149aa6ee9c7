"""How many heatmaps a frame has: the one fact of the data that a network must know before it is built."""

from typing import Literal

from components.errors import InputError
from components.keypoints.skeletons import load_skeleton


def heatmap_channels(skeleton: str, kind: Literal["keypoint", "limb"] = "keypoint") -> int:
    """Channels of a volume: a heatmap per joint, or per limb.

    Args:
        skeleton: name or json file, see `load_skeleton`.
        kind: what the heatmaps show.

    Raises:
        InputError: no such skeleton or kind, or limb heatmaps of a skeleton without limbs.
    """
    loaded = load_skeleton(skeleton)
    if kind not in ("keypoint", "limb"):
        raise InputError(f"data.heatmap.kind='{kind}' is not one of keypoint, limb")
    if kind == "limb" and not loaded.num_limbs:
        raise InputError(f"data.heatmap.kind=limb, but skeleton '{skeleton}' lists no limbs")
    return loaded.num_joints if kind == "keypoint" else loaded.num_limbs
