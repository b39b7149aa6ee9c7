"""From the keys `data.frame_aug`, `patch_size` and `normalization` to the transform that makes nodes of frames."""

from collections.abc import Sequence
from typing import Literal

from components.errors import InputError
from components.media.normalization import named_normalization
from components.media.patches import PatchGrid, WholeFrame
from components.spelling import did_you_mean

_NODE_OPTIONS = ("grid", "none", "cj", "flip")


def node_transform(
    frame_aug: str | Sequence[str] = "grid",
    patch_size: int = 64,
    patch_stride: float = 0.5,
    normalization: Literal["crw_training", "imagenet", "gray_lab"] = "crw_training",
) -> PatchGrid | WholeFrame:
    """What turns frames into nodes.

    Args:
        frame_aug: "grid" = jittered patches, "none" = whole frames; a list may add "cj" (colours of each node) and
            "flip" (mirror images of nodes).
        patch_size: side of a patch, pixels.
        patch_stride: distance of patches as share of their side.
        normalization: statistics; CRW is trained with "crw_training" and evaluated with "imagenet".

    Raises:
        InputError: unknown or contradictory names, values out of range.
    """
    names = option_names("data.frame_aug", frame_aug, _NODE_OPTIONS)
    if {"grid", "none"} <= set(names):
        raise InputError("data.frame_aug=[grid,none]: patches and whole frames exclude each other; leave one out")
    shift_and_scale = named_normalization(normalization, "data.normalization")
    jitter, flip = "cj" in names, "flip" in names
    if "grid" not in names:
        return WholeFrame(jitter, flip, shift_and_scale)
    return PatchGrid(patch_size, patch_stride, colour_jitter=jitter, flip=flip, normalization=shift_and_scale)


def option_names(key: str, names: str | Sequence[str], known: Sequence[str]) -> list[str]:
    """The names of a list key, which may also be one name.

    Raises:
        InputError: a name that is not known.
    """
    listed = [names] if isinstance(names, str) else list(names)
    for name in listed:
        if name not in known:
            raise InputError(f"{key}: unknown '{name}'{did_you_mean(name, known)}; choose of {', '.join(known)}")
    return listed
