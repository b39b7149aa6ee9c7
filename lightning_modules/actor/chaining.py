"""Long motions: windows of several actions, generated one by one and joined where they overlap.

Windows overlap by some frames. Over these the new window is first turned about the vertical and moved so that the
person goes on where it was, then rotations pass over by slerp and the way by a weighted mean (the window of slerp is
what TEACH, 3DV 2022, calls slerp_ws). Of several candidates for a window the one whose start is nearest to the end
of the window before is taken, so that little is left to blend.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.geometry.rotations import (
    axis_angle_to_matrix,
    axis_rotation,
    matrix_to_axis_angle,
    matrix_to_quaternion,
    quaternion_to_matrix,
    slerp,
)
from lightning_modules.actor.generation import parse_actions, request_alpha
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.sampling import SampledMotion, decoded_parameters, file_name, refuse_positions

# Longest file name of a chain, before the number of the sample.
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Segment:
    """One part of a long motion."""

    action: str
    """A name, or two joined by `+`."""
    frames: int


@dataclass(frozen=True)
class Window:
    """What is generated in one piece."""

    segment: int
    """Index of its segment."""
    start: int
    """First frame in the long motion, the overlap with the window before included."""
    frames: int
    """Frames generated, overlaps included."""


@dataclass(frozen=True)
class ChainRequest:
    """A long motion to generate.

    Args:
        segments: its parts in order.
        longest: frames of a window, see `lay_windows`.
        overlap: frames in which windows are blended.
        candidates: motions generated for each window but the first, of which the best fitting one is taken.
        num_samples: long motions.
        fact: scale of the latents.
        seed: of the latents.
        align: turn windows so that they go on in the direction of the window before.
    """

    segments: Sequence[Segment]
    longest: int = 60
    overlap: int = 8
    candidates: int = 8
    num_samples: int = 1
    fact: float = 1.0
    seed: int = 0
    align: bool = True


def sample_chain(
    net: ActorCVAE,
    request: ChainRequest,
    action_names: Sequence[str],
    pose_format: PoseFormat,
    fps: float,
    body: BodyModel,
    betas: Tensor | None = None,
) -> list[SampledMotion]:
    """Generate long motions.

    Args:
        net: a trained network.
        request: what to generate.
        action_names: names of the labels 0, 1, ...
        pose_format: of the training data.
        fps: frames per second of the training data.
        body: tells where the feet are.
        betas: `[10]` shape of the body, None = mean shape.

    Raises:
        InputError: unknown or too many actions, a pair for a model of single actions, too short segments.
    """
    refuse_positions(pose_format)
    pairs = parse_actions([segment.action for segment in request.segments], action_names, net.sizes.conditioning)
    windows = lay_windows(request.segments, request.longest, request.overlap)
    samples, tries = request.num_samples, request.candidates
    generator = torch.Generator().manual_seed(request.seed)
    z = request.fact * torch.randn(len(windows), samples, tries, net.sizes.latent_dim, generator=generator)
    in_place = not pose_format.has_translation_row
    shares = request_alpha(pairs, action_names)
    made = []
    for window, latents in zip(windows, z):
        rows = samples * tries
        labels = torch.tensor([pairs[window.segment]]).expand(rows, 2)
        lengths = torch.full((rows,), window.frames)
        alpha = shares[window.segment].expand(rows)
        decoded = decoded_parameters(
            net, latents.flatten(0, 1), lengths, labels[:, 0], labels[:, 1], pose_format, alpha
        )
        poses, trans = (torch.stack(parts).unflatten(0, (samples, tries)) for parts in zip(*decoded))
        made.append((poses, trans))
    named = [(action_names[pair.first], action_names[pair.second]) for pair in pairs]
    frame_actions = tuple(
        name for name, segment in zip(named, request.segments) for _ in range(segment.frames)
    )  # fmt: skip
    title = "-".join(first if first == second else f"{first}+{second}" for first, second in named)
    caption = " - ".join(segment.action for segment in request.segments).replace("_", " ").replace("+", " + ")
    name = file_name(title)[:_LONGEST_NAME].rstrip("_.-+")
    sampled = []
    for sample in range(samples):
        poses, trans, taken = join_windows(
            [poses[sample] for poses, _ in made], [trans[sample] for _, trans in made], request.overlap, body,
            in_place, request.align,
        )  # fmt: skip
        motion = BodyMotion(
            poses, trans, fps, betas, action=title, second_action=title, in_place=in_place,
            frame_actions=frame_actions,
        )  # fmt: skip
        latents = z[torch.arange(len(windows)), sample, torch.tensor(taken)]
        shown = caption if samples == 1 else f"{caption}  ({sample + 1})"
        sampled.append(SampledMotion(f"{name}_{sample}", name, shown, sample, motion, latents))
    return sampled


def lay_windows(segments: Sequence[Segment], longest: int, overlap: int) -> list[Window]:
    """Cut segments into windows.

    A segment of at most `longest` frames is one window, a longer one is cut into equal parts. At each join the windows
    overlap by `overlap` frames, half before and half after it: the label changes in the middle of the blend, and the
    motion is exactly as long as its segments.

    Args:
        segments: the parts, at least one.
        longest: frames of a window without its overlaps.
        overlap: frames in which two windows are blended; 0 cuts hard.

    Raises:
        InputError: a part is too short for its overlaps.
    """
    parts = [
        (index, size)
        for index, segment in enumerate(segments)
        for size in _equal_parts(segment.frames, math.ceil(segment.frames / longest))
    ]
    before, after = overlap - overlap // 2, overlap // 2
    windows, start = [], 0
    for place, (index, size) in enumerate(parts):
        first, last = place == 0, place == len(parts) - 1
        needed = (0 if first else after) + (0 if last else before)
        if size < max(needed, 1):
            segment = segments[index]
            raise InputError(
                f"chain: {segment.action}:{segment.frames} has parts of {size} frames, fewer than its joins take "
                f"({needed}).\nMake it longer, or overlap={overlap} smaller"
            )
        begin, end = start - (0 if first else before), start + size + (0 if last else after)
        windows.append(Window(index, begin, end - begin))
        start += size
    return windows


def _equal_parts(frames: int, count: int) -> list[int]:
    return [frames // count + (place < frames % count) for place in range(count)]


def join_windows(
    poses: Sequence[Tensor], trans: Sequence[Tensor], overlap: int, body: BodyModel, in_place: bool, align: bool = True
) -> tuple[Tensor, Tensor, list[int]]:
    """Choose a candidate of each window and join them.

    Args:
        poses: per window `[K, T_i, 72]` axis-angle of K candidates, y up; the first candidate of the first window is
            taken.
        trans: per window `[K, T_i, 3]` translation, metres, its height relative to anything.
        overlap: frames in which neighbours overlap, at most the length of each.
        body: tells how far below the pelvis the feet are.
        in_place: the motions have no translation; it stays 0.
        align: turn windows about the vertical so that they go on in the direction of the window before.

    Returns:
        Poses `[T, 72]`, translations `[T, 3]`, T = sum of T_i - overlaps, and the candidate taken of each window. With
        translation, the lowest joint of
        each window is at height 0.
    """
    chosen, moved, taken = _matrices(poses[0][0]), trans[0][0], [0]
    if not in_place:
        moved = _on_floor(chosen, moved, body)
    for next_poses, next_trans in zip(poses[1:], trans[1:]):
        candidates = _matrices(next_poses)
        # Without an overlap the first frame follows the last: they are compared as if they were one.
        shared = max(overlap, 1)
        end = chosen[-shared:]
        turns = _turns(end[:, 0], candidates[:, :shared, 0]) if align else torch.eye(3).expand(len(candidates), 3, 3)
        roots = turns[:, None] @ candidates[:, :, 0]
        candidates = torch.cat([roots[:, :, None], candidates[:, :, 1:]], dim=2)
        best = int(_gaps(end, candidates[:, :shared]).argmin())
        taken.append(best)
        rotations, way = candidates[best], next_trans[best]
        if not in_place:
            way = _continued(moved, _on_floor(rotations, way @ turns[best].T, body), shared)
        chosen, moved = _blend(chosen, rotations, moved, way, overlap)
    return matrix_to_axis_angle(chosen).flatten(1), moved, taken


def _matrices(poses: Tensor) -> Tensor:
    return axis_angle_to_matrix(poses.float().unflatten(-1, (24, 3)))


def _turns(end: Tensor, start: Tensor) -> Tensor:
    """Rotations `[K, 3, 3]` about y that bring roots `[K, W, 3, 3]` nearest to `[W, 3, 3]`, in the sum of squares.

    Defined for lying bodies too, where a facing direction on the ground is not.
    """
    relative = (end @ start.transpose(-1, -2)).sum(1)  # K 3 3
    return axis_rotation("Y", torch.atan2(relative[:, 0, 2] - relative[:, 2, 0], relative[:, 0, 0] + relative[:, 2, 2]))


def _gaps(end: Tensor, starts: Tensor) -> Tensor:
    """Sum of squared differences of rotations `[W, 24, 3, 3]` and of each candidate `[K, W, 24, 3, 3]`: `[K]`.

    The speed counts too: a limb on its way up does not go on as one on its way down.
    """
    gap = (starts - end).square().flatten(1).mean(1)
    if len(end) > 1:
        gap = gap + (starts.diff(dim=1) - end.diff(dim=0)).square().flatten(1).mean(1) * len(end)
    return gap


def _on_floor(rotations: Tensor, trans: Tensor, body: BodyModel) -> Tensor:
    """Translations with the lowest joint of the window at height 0: heights of windows are relative to their starts."""
    device = body.v_template.device
    heights = body.joints(rotations.to(device))[..., 1].cpu() + trans[:, 1:2]
    return trans - torch.tensor([0.0, 1.0, 0.0]) * heights.min()


def _continued(before: Tensor, way: Tensor, shared: int) -> Tensor:
    """`way` moved over the ground so that both are, on average over the shared frames, at the same place."""
    offset = (before[-shared:] - way[:shared]).mean(0)
    return way + offset * torch.tensor([1.0, 0.0, 1.0])


def _blend(first: Tensor, second: Tensor, first_way: Tensor, second_way: Tensor, overlap: int) -> tuple[Tensor, Tensor]:
    if overlap == 0:
        return torch.cat([first, second]), torch.cat([first_way, second_way])
    linear = torch.arange(1, overlap + 1, dtype=torch.float32) / (overlap + 1)
    weight = linear * linear * (3 - 2 * linear)  # starts and ends without a jump of the speed
    a, b = matrix_to_quaternion(first[-overlap:]), matrix_to_quaternion(second[:overlap])
    between = quaternion_to_matrix(slerp(a, b, weight[:, None, None]))
    way = torch.lerp(first_way[-overlap:], second_way[:overlap], weight[:, None])
    return (
        torch.cat([first[:-overlap], between, second[overlap:]]),
        torch.cat([first_way[:-overlap], way, second_way[overlap:]]),
    )
