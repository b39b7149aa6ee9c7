"""Heatmaps of keypoints and limbs: Gaussians cut off at 3 sigma, persons merged by maximum (`GeneratePoseTarget`).

Nothing is painted joint by joint. All keypoint windows have one size, so their Gaussians are two vectors each and one
outer product for the whole batch; limb windows are made together where their sizes are alike. Values go to their places
in one step per person. Mirrored copies are the same values at mirrored places.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from components.errors import InputError
from components.keypoints.heatmap_windows import Patches, keypoint_patches, limb_canvases, limb_patches, on_device
from components.keypoints.skeletons import KeypointSkeleton

Kind = Literal["keypoint", "limb"]
# Joints and limbs with less confidence are not drawn.
EPS = 1e-3


def keypoint_heatmaps(
    keypoint: Tensor,
    score: Tensor | None,
    size: tuple[int, int],
    sigma: float = 0.6,
    use_score: bool = True,
    eps: float = EPS,
    scaling: float = 1.0,
) -> Tensor:
    """A Gaussian blob of every joint.

    Args:
        keypoint: `[..., M, T, V, 2]`, pixels (x, y) of M persons; joints that are not numbers are not drawn.
        score: `[..., M, T, V]` height of the blobs; None counts as 1.
        size: (height, width) of the picture, pixels.
        sigma: width of a blob, pixels of the result.
        use_score: false draws every joint with height 1.
        eps: joints of less score are left out.
        scaling: pixels of the result per pixel of the picture.

    Returns:
        `[..., T, V, H, W]` float32 on the device of the keypoints.
    """
    return _by_frame(keypoint, score, size, sigma, use_score, eps, scaling, None)


def limb_heatmaps(
    keypoint: Tensor,
    score: Tensor | None,
    size: tuple[int, int],
    limbs: Sequence[tuple[int, int]],
    sigma: float = 0.6,
    use_score: bool = True,
    eps: float = EPS,
    scaling: float = 1.0,
) -> Tensor:
    """A ridge along every limb, as high as the less certain of its ends; a limb below one pixel is a blob.

    Args:
        limbs: L pairs of joints.
        keypoint, score, size, sigma, use_score, eps, scaling: as in `keypoint_heatmaps`.

    Returns:
        `[..., T, L, H, W]` float32 on the device of the keypoints.
    """
    return _by_frame(keypoint, score, size, sigma, use_score, eps, scaling, limbs)


class HeatmapVolume:
    """Stacks of heatmaps as a 3D network reads them.

    Args:
        kind: a channel per joint or per limb of the skeleton.
        sigma: width of a blob, pixels.
        use_score: heights are confidences; false draws all with height 1.
        double: append all clips mirrored, left and right changed.
        skeleton: joints, limbs and which of them are mirror images.
        eps: joints of less score are left out.
        scaling: pixels of the volume per pixel of the picture.

    Raises:
        InputError: a value is out of range, or limbs of a skeleton without any.
    """

    def __init__(
        self,
        kind: Kind,
        skeleton: KeypointSkeleton,
        sigma: float = 0.6,
        use_score: bool = True,
        double: bool = False,
        eps: float = EPS,
        scaling: float = 1.0,
    ) -> None:
        if kind not in ("keypoint", "limb"):
            raise InputError(f"data.heatmap.kind='{kind}' is not one of keypoint, limb")
        if sigma <= 0 or scaling <= 0:
            raise InputError(f"data.heatmap: sigma={sigma} and scaling={scaling} must be above 0")
        if kind == "limb" and not skeleton.limbs:
            raise InputError(
                f"data.heatmap.kind=limb, but skeleton '{skeleton.name}' has no limbs.\n"
                "List them in its json file, or choose data.heatmap.kind=keypoint"
            )
        self.kind: Kind = kind
        self.skeleton = skeleton
        self.sigma, self.use_score, self.double, self.eps, self.scaling = sigma, use_score, double, eps, scaling

    @property
    def channels(self) -> int:
        """V or L."""
        return self.skeleton.num_joints if self.kind == "keypoint" else self.skeleton.num_limbs

    def shape(self, clips: int, frames: int, size: tuple[int, int]) -> tuple[int, ...]:
        """Shape of one sample's volume, `(N, C, T, H, W)`."""
        return (clips * (1 + self.double), self.channels, frames, *scaled_size(size, self.scaling))

    @torch.no_grad()
    def __call__(
        self, keypoint: Tensor, score: Tensor | None, size: tuple[int, int], out: Tensor | None = None
    ) -> Tensor:
        """All clips, then all of them mirrored with `double`.

        Args:
            keypoint: `[..., K, M, T, V, 2]`, pixels (x, y); K clips of M persons.
            score: `[..., K, M, T, V]`; None counts as 1.
            size: (height, width) of the picture, pixels.
            out: contiguous float32 memory to write into.

        Returns:
            `[..., K, C, T, H, W]` float32, twice as many clips with `double`.
        """
        mirror = self.skeleton.joint_mirror if self.kind == "keypoint" else self.skeleton.limb_mirror
        limbs = None if self.kind == "keypoint" else self.skeleton.limbs
        lead = keypoint.shape[:-5]
        volume = _volume(
            keypoint.flatten(0, -6) if lead else keypoint[None],
            None if score is None else score.flatten(0, -5) if lead else score[None],
            size, self.sigma, self.use_score, self.eps, self.scaling, limbs, mirror if self.double else None, out,
        )  # fmt: skip
        return volume.view(*lead, *volume.shape[1:])


def scaled_size(size: tuple[int, int], scaling: float) -> tuple[int, int]:
    """(height, width) of the heatmaps of a picture."""
    return int(size[0] * scaling + 0.5), int(size[1] * scaling + 0.5)


def _by_frame(
    keypoint: Tensor,
    score: Tensor | None,
    size: tuple[int, int],
    sigma: float,
    use_score: bool,
    eps: float,
    scaling: float,
    limbs: Sequence[tuple[int, int]] | None,
) -> Tensor:
    lead = keypoint.shape[:-4]
    volume = _volume(
        keypoint.reshape(-1, 1, *keypoint.shape[-4:]),
        None if score is None else score.reshape(-1, 1, *score.shape[-3:]),
        size, sigma, use_score, eps, scaling, limbs, None, None,
    )  # fmt: skip
    return volume.view(*lead, *volume.shape[2:]).transpose(-4, -3)


def _volume(
    keypoint: Tensor,
    score: Tensor | None,
    size: tuple[int, int],
    sigma: float,
    use_score: bool,
    eps: float,
    scaling: float,
    limbs: Sequence[tuple[int, int]] | None,
    mirror: Sequence[int] | None,
    out: Tensor | None,
) -> Tensor:
    """`[B, K, M, T, V, 2]` to `[B, D*K, C, T, H, W]`; D = 2 where `mirror` says which channels change places."""
    batch, clips, _, frames, _, _ = keypoint.shape
    height, width = scaled_size(size, scaling)
    keypoint = keypoint.float()
    missing = ~keypoint.isfinite().all(-1)
    keypoint = keypoint.masked_fill(missing[..., None], 0)
    if scaling != 1:
        keypoint = keypoint * scaling
    heights = torch.ones_like(missing, dtype=torch.float32) if score is None or not use_score else score.float()
    heights = heights.masked_fill(missing | ~(heights >= eps), 0)
    channels = keypoint.shape[-2] if limbs is None else len(limbs)
    copies = 1 if mirror is None else 2
    shape = (batch, copies * clips, channels, frames, height, width)
    if out is None:
        volume = torch.zeros(shape, dtype=torch.float32, device=keypoint.device)
    else:
        volume = out.view(shape).zero_()
    if not volume.numel():
        return volume
    if limbs is None or volume.device.type == "cpu":
        _draw_windows(volume, keypoint, heights, sigma, eps, limbs, mirror)
    else:
        _draw_canvases(volume, keypoint, heights, sigma, eps, limbs, mirror)
    return volume


def _draw_windows(
    volume: Tensor,
    keypoint: Tensor,
    heights: Tensor,
    sigma: float,
    eps: float,
    limbs: Sequence[tuple[int, int]] | None,
    mirror: Sequence[int] | None,
) -> None:
    """Draw into `[B, D*K, C, T, H, W]` of zeros, only where joints and limbs reach."""
    batch, clips, persons, frames, _ = heights.shape
    channels, (height, width) = volume.shape[2], volume.shape[-2:]
    flat = volume.view(-1)
    # Where the canvas of (sample, copy, clip, frame, channel) begins.
    starts = torch.arange(flat.numel() // (height * width), device=flat.device) * (height * width)
    canvases = starts.view(batch, -1, clips, channels, frames).transpose(-1, -2)
    # Where the mirror image of a channel belongs.
    mirrored = None if mirror is None else canvases[:, 1].index_select(-1, on_device(tuple(mirror), flat.device))
    for person in range(persons):
        points, sure = keypoint[:, :, person], heights[:, :, person]
        if limbs is None:
            drawn = [keypoint_patches(points, sure, (height, width), sigma)]
        else:
            drawn = limb_patches(points, sure, (height, width), sigma, limbs, eps)
        for patches in drawn:
            _merge(flat, canvases[:, 0], patches, patches.columns, width, first=person == 0)
            if mirrored is not None:
                _merge(flat, mirrored, patches, width - 1 - patches.columns, width, first=person == 0)


def _merge(flat: Tensor, starts: Tensor, patches: Patches, columns: Tensor, width: int, first: bool) -> None:
    """Put patches into canvases that begin at `starts` `[B, K, T, C]`; a pixel keeps the larger value."""
    places, values = patches.places(starts, columns, width).reshape(-1), patches.values.reshape(-1)
    flat.scatter_(0, places, values if first else torch.maximum(values, flat[places]))


def _draw_canvases(
    volume: Tensor,
    keypoint: Tensor,
    heights: Tensor,
    sigma: float,
    eps: float,
    limbs: Sequence[tuple[int, int]],
    mirror: Sequence[int] | None,
) -> None:
    """As `_draw_windows`, for limbs on an accelerator: sample by sample, so that memory stays within bounds."""
    clips, (height, width) = keypoint.shape[1], volume.shape[-2:]
    for sample, points, sure in zip(volume, keypoint, heights):
        plain = sample[:clips]
        canvases = plain.transpose(1, 2)
        for person in range(points.shape[1]):
            ridges = limb_canvases(points[:, person], sure[:, person], (height, width), sigma, limbs, eps)
            torch.maximum(canvases, ridges, out=canvases)
        if mirror is not None:
            sample[clips:] = plain.index_select(1, on_device(tuple(mirror), plain.device)).flip(-1)
