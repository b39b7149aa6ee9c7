"""Motions from labels: latent noise in the published modes, decoding, and SMPL parameters for other tools.

Rows are sample-major: row = sample * actions + action.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from components.body.pose_format import PoseFormat, decode_rotations
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from components.spelling import did_you_mean
from datamodules.actor.batch import frame_mask
from lightning_modules.actor.networks.alpha import share_of_labels
from lightning_modules.actor.networks.cvae import ActorCVAE

SameAction = Literal["random", "interpolate", "same"]
DiffAction = Literal["random", "same"]
World = Literal["y_up", "camera"]

# The data look through a camera with y down and z away; half a turn about x makes y point up.
CAMERA_TO_WORLD = (1.0, -1.0, -1.0)
# Motions decoded at a time on a CPU; a GPU takes 16 times as many.
ROWS_AT_ONCE = 64


class ActionPair(NamedTuple):
    """Labels of one requested motion; a single action is the pair (a, a)."""

    first: int
    second: int


def parse_actions(
    actions: Sequence[str], action_names: Sequence[str], conditioning: Literal["single", "pair"] = "pair"
) -> list[ActionPair]:
    """Labels of requests such as `["walk+drink", "run"]`.

    Args:
        actions: names, or two names joined by `+`.
        action_names: the names of the labels 0, 1, ...
        conditioning: of the model; `single` admits no pairs.

    Raises:
        InputError: an unknown name (with the nearest one), more than two actions at once, a pair for a model of single
            actions, or nothing asked for.
    """
    if not actions:
        raise InputError(f"actions=[] asks for nothing; expected e.g. actions=[{action_names[0]}]")
    return [_parse_action(action, action_names, conditioning) for action in actions]


def _parse_action(action: str, action_names: Sequence[str], conditioning: str) -> ActionPair:
    # Runs of mix=compositional have classes whose names hold a plus; those come first.
    pairs = {_key(name): label for label, name in enumerate(action_names) if "+" in name}
    if _key(str(action)) in pairs:
        label = pairs[_key(str(action))]
        return ActionPair(label, label)
    parts = [part.strip() for part in str(action).split("+")]
    if len(parts) > 2:
        raise InputError(f"actions: '{action}' names {len(parts)} actions at once; at most two can be combined")
    if len(parts) == 2 and conditioning == "single":
        raise InputError(
            f"actions: '{action}' is a pair, and this model was trained on single actions.\n"
            "Use a run of experiment=actor_mix for pairs"
        )
    labels = [_label(part, action_names) for part in parts]
    return ActionPair(labels[0], labels[-1])


def _key(name: str) -> str:
    """What of a name counts: neither case nor the kind of space, nor space around a plus."""
    return "+".join(part.strip().replace(" ", "_").lower() for part in name.split("+"))


def _label(name: str, action_names: Sequence[str]) -> int:
    by_key = {_key(known): label for label, known in enumerate(action_names)}
    key = _key(name)
    if key in by_key:
        return by_key[key]
    raise InputError(
        f"actions: unknown action '{name}'{did_you_mean(key, by_key)}\nKnown actions: {', '.join(action_names)}"
    )


def request_alpha(requests: Sequence[ActionPair], action_names: Sequence[str], alpha: float = 0.5) -> Tensor:
    """Share of the first motion per request, `[A]`: 1 for single actions, `alpha` for pairs and for pair classes.

    Pair classes are those of runs with mix=compositional, `walk+drink`.
    """
    single = [first == second and "+" not in action_names[first] for first, second in requests]
    return torch.where(torch.tensor(single), 1.0, alpha)


def label_alpha(action: Tensor, second_action: Tensor, action_names: Sequence[str]) -> Tensor:
    """As `request_alpha` for labels `[N]`, or for soft labels `[N, C]`: `[N]`."""
    pair_class = torch.tensor([float("+" in name) for name in action_names], device=action.device)
    held = action @ pair_class if action.is_floating_point() else pair_class[action]
    return share_of_labels(action, second_action) * (1 - 0.5 * held)


def request_generator(seed: int, request: ActionPair) -> torch.Generator:
    """A stream of its own for each request: what it gives does not depend on what else is asked for."""
    return torch.Generator().manual_seed(seed * 100003 + request.first * 1009 + request.second)


def noise_rows(num_samples: int, num_actions: int, noise_same_action: SameAction, noise_diff_action: DiffAction) -> int:
    """How many latent vectors a call draws in its noise modes."""
    per_action = num_samples if noise_same_action == "random" else 1
    return per_action * (num_actions if noise_diff_action == "random" else 1)


def arrange_noise(
    noise: Tensor,
    num_samples: int,
    num_actions: int,
    noise_same_action: SameAction = "random",
    noise_diff_action: DiffAction = "random",
    fact: float = 1.0,
) -> Tensor:
    """Spread drawn noise over all rows.

    Args:
        noise: `[noise_rows(...), D]`.
        num_samples, num_actions: S and A.
        noise_same_action: samples of one action are independent (`random`), equal (`same`), or one vector times -1..1
            in equal steps (`interpolate`).
        noise_diff_action: actions have vectors of their own (`random`) or share them (`same`).
        fact: scale of the noise; below 1 motions are more typical, above more varied.

    Returns:
        `[S * A, D]`, sample-major.
    """
    samples = num_samples if noise_same_action == "random" else 1
    columns = num_actions if noise_diff_action == "random" else 1
    grid = noise.view(samples, columns, -1).expand(num_samples, num_actions, -1)
    if noise_same_action == "interpolate":
        grid = grid * torch.linspace(-1.0, 1.0, num_samples, device=noise.device)[:, None, None]
    return fact * grid.reshape(num_samples * num_actions, -1)


def latent_noise(
    num_samples: int,
    num_actions: int,
    latent_dim: int,
    noise_same_action: SameAction = "random",
    noise_diff_action: DiffAction = "random",
    fact: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw latents `[S * A, D]`; see `arrange_noise`.

    Raises:
        InputError: an unknown mode.
    """
    if noise_same_action not in get_args(SameAction):
        raise InputError(f"noise_same_action='{noise_same_action}' is not one of {', '.join(get_args(SameAction))}")
    if noise_diff_action not in get_args(DiffAction):
        raise InputError(f"noise_diff_action='{noise_diff_action}' is not one of {', '.join(get_args(DiffAction))}")
    rows = noise_rows(num_samples, num_actions, noise_same_action, noise_diff_action)
    noise = torch.randn(rows, latent_dim, generator=generator)
    return arrange_noise(noise, num_samples, num_actions, noise_same_action, noise_diff_action, fact)


def interpolate_latents(start: Tensor, end: Tensor, steps: int, mode: Literal["slerp", "linear"] = "slerp") -> Tensor:
    """Latents from start to end, `[D]` each, in equal steps: `[steps, D]`.

    `slerp` turns the direction at even speed and changes the length linearly: draws from a Gaussian in many dimensions
    lie near a sphere, and a straight line between two of them would leave it.
    """
    weight = torch.linspace(0.0, 1.0, steps, device=start.device).unsqueeze(1)
    if mode == "linear":
        return (1 - weight) * start + weight * end
    if mode != "slerp":
        raise InputError(f"interpolation mode '{mode}' is not one of slerp, linear")
    lengths = (1 - weight) * start.norm() + weight * end.norm()
    a, b = start / start.norm().clamp(min=1e-12), end / end.norm().clamp(min=1e-12)
    angle = torch.acos((a * b).sum().clamp(-1.0, 1.0))
    if angle.sin() < 1e-6:
        return (1 - weight) * start + weight * end
    return lengths * (torch.sin((1 - weight) * angle) * a + torch.sin(weight * angle) * b) / torch.sin(angle)


def interpolate_labels(first: int, second: int, steps: int, num_classes: int) -> Tensor:
    """Soft labels `[steps, C]` from one action to another; the networks take them in place of integer labels."""
    weight = torch.linspace(0.0, 1.0, steps)
    labels = torch.zeros(steps, num_classes)
    labels[:, first] += 1 - weight
    labels[:, second] += weight
    return labels


@dataclass(frozen=True)
class GeneratedMotions:
    """Generated motions, N rows."""

    motion: Tensor  # [N, J, F, T] pose features, 0 beyond the length
    lengths: Tensor  # [N] int64
    mask: Tensor  # [N, T] bool
    action: Tensor  # [N] int64, or [N, C] soft labels
    second_action: Tensor  # as action
    z: Tensor  # [N, D]


def lay_out(
    actions: Sequence[ActionPair], durations: Sequence[int] | Tensor, num_samples: int
) -> tuple[Tensor, Tensor, Tensor]:
    """First labels, second labels and lengths of all rows, `[S * A]` int64 each, sample-major.

    Raises:
        InputError: durations that are neither `[A]` nor `[S, A]`, or below 1; no samples.
    """
    frames = torch.as_tensor(durations, dtype=torch.int64)
    count = len(actions)
    if num_samples < 1:
        raise InputError(f"num_samples={num_samples} must be at least 1")
    if tuple(frames.shape) not in ((count,), (num_samples, count)):
        raise InputError(f"durations has shape {list(frames.shape)}; expected one per action, [{count}]")
    if int(frames.min()) < 1:
        raise InputError(f"durations holds {int(frames.min())}; every motion needs at least one frame")
    labels = torch.tensor(actions, dtype=torch.int64).repeat(num_samples, 1)
    return labels[:, 0], labels[:, 1], frames.expand(num_samples, count).reshape(-1)


@torch.no_grad()
def decode(
    net: ActorCVAE, z: Tensor, lengths: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
) -> GeneratedMotions:
    """Decode latents `[N, D]` with labels `[N]` (or soft labels `[N, C]`) to motions of the given lengths `[N]`.

    Evaluation mode while it runs; the network's own mode comes back. So many rows are decoded at a time that the hidden
    states stay small; on CPUs that is faster than all rows at once, too. `alpha` `[N]` is the share of the first
    motion, for networks with `alpha_embedding`; None: 1 for one action, 0.5 for a pair.
    """
    frames = net.fixed_frames
    if frames is not None and (lengths != frames).any():
        raise InputError(
            f"a motion of {int(lengths[lengths != frames][0])} frames is asked for; this fully connected model knows "
            f"one length.\nExpected duration={frames}, or a run of another architecture (e.g. model=actor_gru)"
        )
    device = next(net.parameters()).device
    longest = int(lengths.max())
    z, lengths, action, second_action = (value.to(device) for value in (z, lengths, action, second_action))
    mask = frame_mask(lengths, longest)
    training = net.training
    net.eval()
    rows = ROWS_AT_ONCE if device.type == "cpu" else 16 * ROWS_AT_ONCE
    conditions = [z, mask, action, second_action]
    if alpha is not None:
        conditions.append(alpha.to(z))
    parts = zip(*(value.split(rows) for value in conditions), strict=True)
    motion = torch.cat([net.decode(*part) for part in parts])
    net.train(training)
    return GeneratedMotions(motion, lengths, mask, action, second_action, z)


def generate(
    net: ActorCVAE,
    actions: Sequence[ActionPair],
    durations: Sequence[int] | Tensor,
    num_samples: int = 1,
    noise_same_action: SameAction = "random",
    noise_diff_action: DiffAction = "random",
    fact: float = 1.0,
    generator: torch.Generator | None = None,
    alpha: Sequence[float] | Tensor | None = None,
) -> GeneratedMotions:
    """Sample motions of actions or pairs of actions.

    Args:
        net: a trained network.
        actions: A requests, see `parse_actions`.
        durations: frames per action, `[A]`, or `[S, A]`.
        num_samples: S motions of each action.
        noise_same_action, noise_diff_action, fact: see `arrange_noise`.
        generator: makes the draw repeatable; on the CPU.
        alpha: share of the first motion per request `[A]`, see `request_alpha`; None: 1 for one action, 0.5 for a pair.

    Raises:
        InputError: durations that do not fit, or an unknown mode.
    """
    action, second_action, lengths = lay_out(actions, durations, num_samples)
    width = net.sizes.latent_dim
    z = latent_noise(num_samples, len(actions), width, noise_same_action, noise_diff_action, fact, generator)
    shares = None if alpha is None else torch.as_tensor(alpha, dtype=torch.float32).repeat(num_samples)
    return decode(net, z, lengths, action, second_action, shares)


def smpl_parameters(
    motion: Tensor, mask: Tensor, pose_format: PoseFormat, world: World = "y_up"
) -> tuple[Tensor, Tensor]:
    """SMPL poses and translations of pose features.

    Args:
        motion: `[N, J, F, T]`, in the data's camera convention (y down, z away).
        mask: bool `[N, T]`; padded frames come out as the rest pose at the origin.
        pose_format: the format of the motion; not `xyz`.
        world: `y_up` turns everything by half a turn about x, `camera` leaves it.

    Returns:
        Axis-angle poses `[N, T, 72]` and translations `[N, T, 3]` (metres; 0 without a translation row).

    Raises:
        InputError: the format holds no rotations, or an unknown world.
    """
    if world not in get_args(World):
        raise InputError(f"world='{world}' is not one of {', '.join(get_args(World))}")
    frames = motion.float().permute(0, 3, 1, 2)
    frames, translation = pose_format.split_translation(frames)
    if translation is None:
        translation = frames.new_zeros(*frames.shape[:2], 3)
    rotations = decode_rotations(frames, pose_format.pose_rep)
    if not pose_format.glob:
        fixed = axis_angle_to_matrix(torch.tensor(list(pose_format.glob_rot), device=motion.device))
        rotations = torch.cat([fixed.expand(*rotations.shape[:2], 1, 3, 3), rotations], dim=2)
    if world == "y_up":
        flip = rotations.new_tensor(CAMERA_TO_WORLD)
        rotations = torch.cat([flip[:, None] * rotations[:, :, :1], rotations[:, :, 1:]], dim=2)
        translation = translation * flip
    identity = torch.eye(3, device=motion.device)
    rotations = torch.where(mask[:, :, None, None, None], rotations, identity)
    return matrix_to_axis_angle(rotations).flatten(2), translation * mask.unsqueeze(-1)
