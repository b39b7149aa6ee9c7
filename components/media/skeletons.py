"""Stick figures: anti-aliased drawings of moving joints, one colour per chain."""

import colorsys
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from components.body.skeleton import SMPL_CHAINS, SMPL_JOINTS
from components.geometry.cameras import LookAtCamera
from components.rendering.floor import CheckerFloor
from components.rendering.framing import frame_points, smooth_path
from components.rendering.shading import encode_gamma

Rgb = tuple[int, int, int]
# Right leg, left leg, trunk, left arm, right arm: warm colours on the right of the body, cool ones on the left.
CHAIN_COLORS: tuple[Rgb, ...] = ((214, 92, 62), (46, 116, 181), (70, 78, 92), (76, 160, 190), (231, 152, 67))
_SHADOW: Rgb = (150, 156, 168)
_OVERSAMPLE = 3
_SMPL_HEAD = SMPL_JOINTS.index("head")


@dataclass(frozen=True)
class _Bone:
    start: int
    end: int
    color: Rgb


@torch.no_grad()
def draw_motion(
    joints: Tensor | np.ndarray,
    size: tuple[int, int] = (320, 320),
    *,
    chains: Sequence[Sequence[int]] | None = None,
    parents: Sequence[int] | None = None,
    colors: Sequence[Rgb] | None = None,
    view: str = "three_quarter",
    floor: bool = True,
    follow: bool = False,
    fill: float = 0.82,
) -> Tensor:
    """Film of a stick figure.

    Args:
        joints: `[T, J, 3]` metres, y up.
        size: (height, width) in pixels.
        chains: joints along each limb; each chain has its colour. None: from `parents`, or SMPL's for 24 joints.
        parents: parent of each joint, -1 for a root; limbs are found by following single children.
        colors: one per chain, taken in turn.
        view: front, side, three_quarter or back.
        floor: a checker floor with the figure's shadow straight below.
        follow: the camera goes along with the figure.
        fill: share of the picture that the figure may take.

    Returns:
        `[T, H, W, 3]` uint8.

    Raises:
        ValueError: wrong shape, NaN coordinates, or joints that are not SMPL's without chains and parents.
    """
    motion = torch.as_tensor(joints).detach().cpu().float()
    if motion.dim() != 3 or motion.shape[-1] != 3 or 0 in motion.shape:
        raise ValueError(f"joints must be [T, J, 3] with at least one frame, got {list(motion.shape)}")
    if not torch.isfinite(motion).all():
        raise ValueError("joints hold NaN or infinite coordinates")
    head = _SMPL_HEAD if motion.shape[1] == 24 and chains is None and parents is None else None
    bones = _bones(motion.shape[1], chains, parents, colors)
    level = float(motion[..., 1].min()) - 0.03
    path = torch.zeros(len(motion), 3)
    if follow:
        path = smooth_path(motion.mean(1), sigma=8.0) * torch.tensor([1.0, 0.0, 1.0])
        path = path - path[:1]
    seen = (motion - path[:, None]).reshape(-1, 3)
    camera = frame_points(seen, view, size[1] / size[0], fill=fill)
    height = float(seen[:, 1].max() - seen[:, 1].min())
    ground = CheckerFloor(level=level, reach=3.0 + 1.6 * float((seen.amax(0) - seen.amin(0)).max()))
    center = (seen.amin(0) + seen.amax(0)) / 2

    backdrop = _backdrop(ground, camera, center + path[:1], size, floor)
    film = []
    for points, offset in zip(motion, path, strict=True):
        moved = replace(camera, eye=camera.eye + offset, target=camera.target + offset)
        if follow and floor:
            backdrop = _backdrop(ground, moved, (center + offset)[None], size, floor)
        film.append(_draw_pose(points, moved, bones, backdrop, level if floor else None, height, head))
    return torch.from_numpy(np.stack(film))


def _bones(
    count: int,
    chains: Sequence[Sequence[int]] | None,
    parents: Sequence[int] | None,
    colors: Sequence[Rgb] | None,
) -> list[_Bone]:
    if chains is None:
        if parents is not None:
            chains = chains_of(parents)
        elif count == 24:
            chains = SMPL_CHAINS
        else:
            raise ValueError(f"{count} joints are not SMPL's 24: give chains or parents")
    if max(max(chain) for chain in chains) >= count:
        raise ValueError(f"the chains name a joint beyond the {count} joints given")
    palette = colors or (CHAIN_COLORS if len(chains) <= len(CHAIN_COLORS) else _rainbow(len(chains)))
    return [
        _Bone(start, end, palette[index % len(palette)])
        for index, chain in enumerate(chains)
        for start, end in itertools.pairwise(chain)
    ]


def chains_of(parents: Sequence[int]) -> list[list[int]]:
    """Split a joint tree into chains that start at the root or at a branching joint."""
    children: dict[int, list[int]] = {}
    for joint, parent in enumerate(parents):
        children.setdefault(parent, []).append(joint)
    chains = []
    for start in range(len(parents)):
        if parents[start] >= 0 and len(children.get(start, [])) == 1:
            continue
        for child in children.get(start, []):
            chain = [start, child]
            while len(children.get(chain[-1], [])) == 1:
                chain.append(children[chain[-1]][0])
            chains.append(chain)
    return chains


def _rainbow(count: int) -> list[Rgb]:
    hues = (colorsys.hls_to_rgb(index / count, 0.45, 0.55) for index in range(count))
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in hues]


def _backdrop(
    ground: CheckerFloor, camera: LookAtCamera, focus: Tensor, size: tuple[int, int], floor: bool
) -> np.ndarray:
    batched = replace(camera, eye=camera.eye[None], target=camera.target[None])
    view = ground.seen_by(batched, focus, *size) if floor else ground.backdrop(focus, *size)
    return (encode_gamma(view.color[0]) * 255).round().numpy()


def _draw_pose(
    points: Tensor,
    camera: LookAtCamera,
    bones: list[_Bone],
    backdrop: np.ndarray,
    level: float | None,
    tall: float,
    head: int | None,
) -> np.ndarray:
    """One frame: the shadow straight below on the floor, the bones as round-ended lines, the head as a disc."""
    height, width = backdrop.shape[:2]
    scale = torch.tensor([width * _OVERSAMPLE, height * _OVERSAMPLE]) / 2

    def on_picture(positions: Tensor) -> tuple[np.ndarray, np.ndarray]:
        x, y, depth = camera.to_raster(positions).unbind(-1)
        return (torch.stack([x + 1, 1 - y], dim=-1) * scale).numpy(), depth.numpy()

    spots, depth = on_picture(points)
    # Lines are as thick as a limb of the figure would be: about a fortieth of its height.
    thickness = max(2.0 * _OVERSAMPLE, float(tall / 42 / (camera.extent * depth.mean()) * scale[1]))
    picture = backdrop
    if level is not None:
        flat = points.clone()
        flat[:, 1] = level
        shadow, _ = on_picture(flat)
        mask = Image.new("L", (width * _OVERSAMPLE, height * _OVERSAMPLE))
        pen = ImageDraw.Draw(mask)
        for bone in bones:
            round_line(pen, shadow[bone.start], shadow[bone.end], thickness * 0.8, 255)
        weight = np.asarray(mask.reduce(_OVERSAMPLE), dtype=np.float32)[..., None] / 255
        picture = picture + (np.asarray(_SHADOW, dtype=np.float32) - picture) * (weight * 0.55)

    layer = Image.new("RGBA", (width * _OVERSAMPLE, height * _OVERSAMPLE))
    pen = ImageDraw.Draw(layer)
    # Far bones first. A pale edge along the middle of a bone keeps crossing limbs apart without cutting the joints.
    for bone in sorted(bones, key=lambda each: -(depth[each.start] + depth[each.end])):
        start, end = spots[bone.start], spots[bone.end]
        inset = (end - start) * 0.5 * min(1.0, thickness * 1.6 / max(1e-6, float(np.hypot(*(end - start)))))
        pen.line([*(start + inset), *(end - inset)], fill=(255, 255, 255, 255), width=round(thickness * 1.55))
        round_line(pen, start, end, thickness, (*bone.color, 255))
        if bone.end == head:
            x, y = (end + 0.35 * (end - start)).tolist()
            radius = thickness * 1.75
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(*bone.color, 255))
    # Colours times their opacity: only those may be averaged.
    flesh = np.asarray(layer.convert("RGBa").reduce(_OVERSAMPLE), dtype=np.float32)
    return np.round(flesh[..., :3] + picture * (1 - flesh[..., 3:] / 255)).clip(0, 255).astype(np.uint8)


def round_line(
    pen: ImageDraw.ImageDraw, start: np.ndarray, end: np.ndarray, thickness: float, color: int | tuple
) -> None:
    """A line with round ends."""
    (x0, y0), (x1, y1) = start.tolist(), end.tolist()
    pen.line([x0, y0, x1, y1], fill=color, width=max(1, round(thickness)))
    radius = thickness / 2
    for x, y in ((x0, y0), (x1, y1)):
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
