"""From a user's request (actions, durations, samples, noise, interpolation) to named motions of a body."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from components.body.motion_files import BodyMotion
from components.body.pose_format import PoseFormat
from components.errors import InputError
from lightning_modules.actor.generation import (
    ROWS_AT_ONCE,
    ActionPair,
    DiffAction,
    SameAction,
    decode,
    interpolate_labels,
    interpolate_latents,
    latent_noise,
    lay_out,
    parse_actions,
    request_alpha,
    smpl_parameters,
)
from lightning_modules.actor.networks.cvae import ActorCVAE

# Frames; the table of positions in time ends a little later.
LONGEST = 2000


@dataclass(frozen=True)
class MotionRequest:
    """What to generate.

    Args:
        actions: names, or two names joined by `+`.
        durations: frames; each action comes in each of them.
        num_samples: motions of each action and duration; with `interpolate` the steps of the way.
        noise_same_action, noise_diff_action, fact: see `arrange_noise`.
        interpolate: `latents` goes from one random latent to another, `actions` from each action to the next one with
            one latent; None samples.
        seed: of the latents.
        alpha: share of the first action in pairs, for networks with `alpha_embedding`; None = half.
    """

    actions: Sequence[str]
    durations: Sequence[int] = (60,)
    num_samples: int = 1
    noise_same_action: SameAction = "random"
    noise_diff_action: DiffAction = "random"
    fact: float = 1.0
    interpolate: Literal["latents", "actions"] | None = None
    seed: int = 0
    alpha: float | None = None


@dataclass(frozen=True)
class SampledMotion:
    """One generated motion with what it was made of."""

    name: str
    """Unique, fit for a file name: `walk+drink_0`."""
    group: str
    """Shared by the samples of one request: `walk+drink`."""
    caption: str
    sample: int
    motion: BodyMotion
    z: Tensor
    """`[D]`; `[W, D]` of a chain of W windows."""


@dataclass(frozen=True)
class _Column:
    """The motions of one action (or way between two) and one duration."""

    group: str
    caption: str
    first: str
    second: str
    frames: int


def sample_motions(
    net: ActorCVAE,
    request: MotionRequest,
    action_names: Sequence[str],
    pose_format: PoseFormat,
    fps: float,
    betas: Tensor | None = None,
) -> list[SampledMotion]:
    """Generate what a request asks for, column by column (all samples of an action follow each other).

    Args:
        net: a trained network.
        request: what to generate.
        action_names: names of the labels 0, 1, ...
        pose_format: of the training data.
        fps: frames per second of the training data.
        betas: `[10]` shape of the body, None = mean shape.

    Raises:
        InputError: unknown or too many actions, a pair for a model of single actions, durations or modes out of range,
            a share for a model that was not told of any in training.
    """
    refuse_positions(pose_format)
    if request.alpha is not None and not net.sizes.alpha_embedding:
        raise InputError(
            f"alpha={request.alpha}: this run was not told the shares of its mixtures.\n"
            "Train one with model.net.alpha_embedding=true and data.mix.alpha=uniform"
        )
    pairs = parse_actions(request.actions, action_names, net.sizes.conditioning)
    if request.interpolate != "actions":
        pairs = list(dict.fromkeys(pairs))
    columns, first, second, lengths, shares = _rows(pairs, request, action_names)
    z = _latents(request, len(columns), net.sizes.latent_dim)
    # Rows are sample-major; the reader wants an action's samples next to each other.
    order = torch.arange(len(z)).view(request.num_samples, len(columns)).T.reshape(-1)
    rows = (z[order], lengths[order], first[order], second[order])
    motions = decoded_parameters(net, *rows, pose_format, shares[order])
    sampled = []
    for row, (poses, trans) in enumerate(motions):
        column, sample = columns[row // request.num_samples], row % request.num_samples
        motion = BodyMotion(
            poses, trans, fps, betas, action=column.first, second_action=column.second,
            in_place=not pose_format.has_translation_row,
        )  # fmt: skip
        caption = column.caption if request.num_samples == 1 else f"{column.caption}  ({sample + 1})"
        sampled.append(
            SampledMotion(f"{column.group}_{sample}", column.group, caption, sample, motion, z[order[row]].cpu())
        )
    return sampled


def refuse_positions(pose_format: PoseFormat) -> None:
    """Raise where the motions hold no rotations.

    Raises:
        InputError: the format is `xyz`.
    """
    if pose_format.pose_rep == "xyz":
        raise InputError(
            "this run's motions are joint positions (data.pose_rep=xyz), which move no body.\n"
            "Generate with a run of data.pose_rep=rot6d"
        )


def _rows(
    pairs: Sequence[ActionPair], request: MotionRequest, action_names: Sequence[str]
) -> tuple[list[_Column], Tensor, Tensor, Tensor, Tensor]:
    """Columns, and labels (soft with `interpolate=actions`), lengths and shares of all rows, sample-major."""
    for frames in request.durations:
        if not 1 <= frames <= LONGEST:
            raise InputError(f"duration={frames}: expected 1 to {LONGEST} frames")
    several = len(request.durations) > 1
    columns, ways = [], []
    for start, end in _ways(pairs, request.interpolate == "actions"):
        for frames in request.durations:
            title = _title(start, action_names)
            if start != end:
                title = f"{title} to {_title(end, action_names)}"
            caption = title.replace("_", " ").replace("+", " + ")
            columns.append(
                _Column(
                    file_name(title) + (f"_{frames}f" if several else ""),
                    f"{caption}, {frames} frames" if several else caption,
                    action_names[start.first],
                    action_names[start.second if start == end else end.first],
                    frames,
                )
            )
            ways.append((start, end))
    durations = [column.frames for column in columns]
    first, second, lengths = lay_out([start for start, _ in ways], durations, request.num_samples)
    if request.interpolate == "actions":
        steps = (request.num_samples, len(action_names))
        first, second = (
            torch.stack([interpolate_labels(start[side], end[side], *steps) for start, end in ways], dim=1).flatten(
                0, 1
            )
            for side in (0, 1)
        )
    alpha = 0.5 if request.alpha is None else request.alpha
    here, there = (request_alpha([way[side] for way in ways], action_names, alpha) for side in (0, 1))
    weight = torch.linspace(0.0, 1.0, request.num_samples).unsqueeze(1)  # other ways end where they start
    return columns, first, second, lengths, torch.lerp(here, there, weight).flatten()


def _ways(pairs: Sequence[ActionPair], between: bool) -> Iterator[tuple[ActionPair, ActionPair]]:
    if not between:
        yield from ((pair, pair) for pair in pairs)
    elif len(pairs) < 2:
        raise InputError("interpolate=actions goes from one action to the next: name at least two, actions=[walk,run]")
    else:
        yield from itertools.pairwise(pairs)


def _latents(request: MotionRequest, columns: int, width: int) -> Tensor:
    """`[S * columns, D]`, sample-major."""
    generator = torch.Generator().manual_seed(request.seed)
    samples, same, fact = request.num_samples, request.noise_same_action, request.fact
    if request.interpolate is None:
        return latent_noise(samples, columns, width, same, request.noise_diff_action, fact, generator)
    if request.interpolate == "actions":  # the latent stays, the labels change
        return latent_noise(samples, columns, width, "same", request.noise_diff_action, fact, generator)
    ends = latent_noise(2, columns, width, "random", request.noise_diff_action, fact, generator).view(2, columns, -1)
    ways = [interpolate_latents(ends[0, column], ends[1, column], samples) for column in range(columns)]
    return torch.stack(ways, dim=1).flatten(0, 1)


def decoded_parameters(
    net: ActorCVAE,
    z: Tensor,
    lengths: Tensor,
    first: Tensor,
    second: Tensor,
    pose_format: PoseFormat,
    alpha: Tensor | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Poses `[T, 72]` (axis-angle, y up) and translations `[T, 3]` of each row, on the CPU, some rows at a time."""
    for rows in torch.arange(len(z)).split(ROWS_AT_ONCE):
        made = decode(net, z[rows], lengths[rows], first[rows], second[rows], None if alpha is None else alpha[rows])
        poses, trans = smpl_parameters(made.motion, made.mask, pose_format)
        for row, length in enumerate(lengths[rows].tolist()):
            yield poses[row, :length].cpu(), trans[row, :length].cpu()


def _title(pair: ActionPair, action_names: Sequence[str]) -> str:
    first, second = (action_names[label] for label in pair)
    return first if first == second else f"{first}+{second}"


def file_name(title: str) -> str:
    """A title as part of a file name: letters, digits, `+`, `-`, `.` and `_`."""
    return re.sub(r"[^\w+.-]+", "_", title).strip("_.") or "motion"
