"""What can be said about a trained ACTOR without a recogniser: reconstruction, and how generated motions move.

Plain torch: networks, motions and a body in, numbers by class out.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from components.body.model import BodyModel
from components.body.pose_format import PoseFormat, decode_rotations
from components.body.skeleton import ARM_JOINTS, LEG_JOINTS
from components.errors import InputError
from datamodules.actor.batch import MotionBatch, frame_mask
from lightning_modules.actor.generation import ActionPair, generate, request_alpha, request_generator
from lightning_modules.actor.losses import kl_by_dim
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.rotation2xyz import Rotation2XYZ

# A latent dimension that carries less (nats per clip) says nothing about the motion.
ACTIVE_NATS = 0.01


def mean_pose(motions: Iterable[Tensor]) -> Tensor:
    """Mean of all frames of motions `[J, F, T]`: `[J, F]`.

    Of all constant predictions it has the smallest squared error.

    Raises:
        InputError: there is no motion.
    """
    total, frames = torch.zeros(()), 0
    for motion in motions:
        total = total + motion.sum(-1)
        frames += motion.shape[-1]
    if frames == 0:
        raise InputError("data: the training split has no motion, so there is no mean pose to compare with")
    return total / frames


@dataclass
class Reconstruction:
    """Errors of reconstructing motions from the mean of their latent, by class.

    `sums[name][label]` adds up over the frames `frames[label]`; the KL over the clips `clips[label]`.
    """

    clips: Tensor
    frames: Tensor
    sums: dict[str, Tensor] = field(default_factory=dict)
    kl: Tensor | None = None
    kl_by_dim: Tensor | None = None

    @property
    def terms(self) -> list[str]:
        """Names of the errors."""
        return list(self.sums)

    def by_class(self, term: str) -> Tensor:
        """Mean error of each class `[C]`; NaN for classes without clips."""
        return self.sums[term] / self.frames

    def overall(self, term: str) -> float:
        """Mean error over all frames."""
        return float(self.sums[term].sum() / self.frames.sum())

    def kl_per_dim(self) -> float:
        """Mean KL divergence to the prior of one latent dimension, nats per clip."""
        assert self.kl_by_dim is not None
        return float((self.kl_by_dim / self.clips.sum()).mean())

    def active_dims(self) -> int:
        """How many latent dimensions carry information."""
        assert self.kl_by_dim is not None
        return int((self.kl_by_dim / self.clips.sum() > ACTIVE_NATS).sum())


@torch.no_grad()
def evaluate_reconstruction(
    net: ActorCVAE,
    batches: Iterable[MotionBatch],
    baseline: Tensor,
    pose_format: PoseFormat,
    body: BodyModel,
    positions: Rotation2XYZ | None = None,
) -> Reconstruction:
    """Reconstruct motions and compare with always predicting one pose.

    Args:
        net: in evaluation mode.
        batches: the evaluation split.
        baseline: `[J, F]` pose of the constant prediction, see `mean_pose`.
        pose_format: of the motions.
        body: gives the joints for the error in millimetres.
        positions: the points of the loss rcxyz; None leaves that column out.

    Returns:
        Errors by class: `rc` and `rc_mean_pose` (squared, pose features), `rcxyz` (squared metres), `mpjpe_mm` and
        `mpjpe_mean_pose_mm` (mean distance of the 24 joints, root at the origin), `root_mm` with translation.
    """
    device = next(net.parameters()).device
    classes = net.sizes.num_classes
    result = Reconstruction(torch.zeros(classes), torch.zeros(classes), kl=torch.zeros(classes), kl_by_dim=None)
    for batch in batches:
        motion, mask = batch["motion"].to(device), batch["mask"].to(device)
        labels, second = batch["action"].to(device), batch["second_action"].to(device)
        noise, alpha = motion.new_zeros(len(motion), net.sizes.latent_dim), batch["mix_alpha"].to(device)
        out = net(motion, mask, labels, second, noise, alpha)
        constant = baseline.to(device)[None, :, :, None].expand_as(motion)
        errors = {
            "rc": _squared(out.motion, motion),
            "rc_mean_pose": _squared(constant, motion),
        }
        if positions is not None:
            errors["rcxyz"] = _squared(positions(out.motion, mask), positions(motion, mask))
        real = root_joints(motion, mask, pose_format, body)
        errors["mpjpe_mm"] = 1000 * (root_joints(out.motion, mask, pose_format, body) - real).norm(dim=-1).mean(-1)
        flat = root_joints(constant, mask, pose_format, body)
        errors["mpjpe_mean_pose_mm"] = 1000 * (flat - real).norm(dim=-1).mean(-1)
        if pose_format.has_translation_row:
            errors["root_mm"] = 1000 * (out.motion[:, -1, :3] - motion[:, -1, :3]).norm(dim=1)
        kl = kl_by_dim(out.mu, out.logvar).float()
        _add(result, errors, kl, mask, labels)
    if not result.sums:
        raise InputError(
            "data: the evaluation split has no motion; raise data.val_fraction or choose another data.root"
        )
    return result


def _squared(prediction: Tensor, target: Tensor) -> Tensor:
    """`[B, N, F, T]` to the mean squared error of each frame `[B, T]`."""
    return ((prediction.float() - target.float()) ** 2).mean(dim=(1, 2))


def _add(result: Reconstruction, errors: dict[str, Tensor], kl: Tensor, mask: Tensor, labels: Tensor) -> None:
    labels, kl = labels.cpu(), kl.cpu()
    result.clips.index_add_(0, labels, torch.ones(len(labels)))
    result.frames.index_add_(0, labels, mask.sum(1).float().cpu())
    assert result.kl is not None
    result.kl.index_add_(0, labels, kl.sum(1))
    result.kl_by_dim = kl.sum(0) + (0 if result.kl_by_dim is None else result.kl_by_dim)
    for term, values in errors.items():
        total = result.sums.setdefault(term, torch.zeros(len(result.clips)))
        total.index_add_(0, labels, (values * mask).sum(1).cpu())


def root_joints(
    motion: Tensor, mask: Tensor, pose_format: PoseFormat, body: BodyModel, own_heading: bool = False
) -> Tensor:
    """Positions `[B, T, 24, 3]` of the SMPL joints, metres, pelvis at the origin.

    Args:
        motion: `[B, J, F, T]`.
        mask: bool `[B, T]`.
        pose_format: of the motion.
        body: the body that is posed.
        own_heading: in the frame of the pelvis, so that turning as a whole is no motion of the limbs (not with xyz).
    """
    frames = motion.float().permute(0, 3, 1, 2)
    if pose_format.pose_rep == "xyz":
        return frames - frames[:, :, :1]
    frames, _ = pose_format.split_translation(frames)
    # Padding is no rotation; any real frame stands in for it.
    frames = torch.where(mask[:, :, None, None], frames, frames[:, :1])
    rotations = decode_rotations(frames, pose_format.pose_rep)
    if not pose_format.glob:
        rotations = torch.cat([torch.eye(3, device=motion.device).expand_as(rotations[:, :, :1]), rotations], dim=2)
    if own_heading:
        turned = torch.eye(3, device=motion.device).expand_as(rotations[:, :, :1])
        rotations = torch.cat([turned, rotations[:, :, 1:]], dim=2)
    joints = body.joints(rotations.flatten(0, 1)).unflatten(0, rotations.shape[:2])
    return joints - joints[:, :, :1]


@dataclass(frozen=True)
class MotionStatistics:
    """How motions of one request move; centimetres, and metres per second."""

    clips: int
    legs: float
    """Mean deviation of the leg joints from their mean place in the pelvis' frame."""
    arms: float
    """The same of the arm joints."""
    speed: float
    """Mean speed of all joints in the pelvis' frame; jitter raises it, frozen motions lower it."""
    spread: float
    """Mean distance of two motions, frame by frame; NaN for a single motion."""


def motion_statistics(joints: Tensor, mask: Tensor, fps: float) -> MotionStatistics:
    """Statistics of motions of one request.

    Args:
        joints: `[N, T, 24, 3]` in the frame of the pelvis, see `root_joints`.
        mask: bool `[N, T]`.
        fps: frames per second.
    """
    weight = mask[:, :, None].float()
    frames = weight.sum(1).clamp(min=1)
    centre = (joints * weight[..., None]).sum(1) / frames[..., None]
    deviation = (((joints - centre[:, None]).norm(dim=-1) ** 2 * weight).sum(1) / frames).sqrt()  # clips joints
    both = weight[:, 1:]
    speed = (joints.diff(dim=1).norm(dim=-1) * both).sum() / (both.sum() * joints.shape[2]).clamp(min=1) * fps
    return MotionStatistics(
        len(joints),
        100 * float(deviation[:, list(LEG_JOINTS)].mean()),
        100 * float(deviation[:, list(ARM_JOINTS)].mean()),
        float(speed),
        100 * _spread(joints, mask),
    )


def _spread(joints: Tensor, mask: Tensor) -> float:
    distances = []
    for a, b in itertools.combinations(range(len(joints)), 2):
        both = mask[a] & mask[b]
        distances.append((joints[a] - joints[b]).norm(dim=-1).mean(-1)[both].mean())
    return float(torch.stack(distances).mean()) if distances else math.nan


@torch.no_grad()
def generated_statistics(
    net: ActorCVAE,
    requests: Sequence[ActionPair],
    frames: int,
    samples: int,
    pose_format: PoseFormat,
    body: BodyModel,
    fps: float,
    seed: int = 0,
    action_names: Sequence[str] | None = None,
) -> list[MotionStatistics]:
    """Statistics of generated motions, one entry per request; names tell pairs that are classes of their own."""
    result = []
    for request in requests:
        alpha = None if action_names is None else request_alpha([request], action_names)
        made = generate(net, [request], [frames], samples, generator=request_generator(seed, request), alpha=alpha)
        joints = root_joints(made.motion, made.mask, pose_format, body, own_heading=True)
        result.append(motion_statistics(joints, made.mask, fps))
    return result


@torch.no_grad()
def real_statistics(
    motions: Iterable[tuple[Tensor, int]],
    num_classes: int,
    samples: int,
    pose_format: PoseFormat,
    body: BodyModel,
    fps: float,
) -> list[MotionStatistics | None]:
    """Statistics of the first `samples` real motions `[J, F, T]` of each class; None for classes without any."""
    members: list[list[Tensor]] = [[] for _ in range(num_classes)]
    device = body.v_template.device
    for motion, label in motions:
        if len(members[label]) < samples:
            members[label].append(motion)
        if all(len(own) == samples for own in members):
            break
    return [_statistics_of(own, pose_format, body, fps, device) if own else None for own in members]


def _statistics_of(
    motions: list[Tensor], pose_format: PoseFormat, body: BodyModel, fps: float, device: torch.device
) -> MotionStatistics:
    lengths = torch.tensor([motion.shape[-1] for motion in motions])
    mask = frame_mask(lengths, int(lengths.max())).to(device)
    padded = torch.stack([F.pad(motion, (0, mask.shape[1] - motion.shape[-1])) for motion in motions])
    joints = root_joints(padded.to(device), mask, pose_format, body, own_heading=True)
    return motion_statistics(joints, mask, fps)


def telling_pairs(real: Sequence[MotionStatistics | None], count: int = 2) -> list[ActionPair]:
    """Pairs whose effect is easy to see: the classes that move the legs most with those that move the arms alone."""
    known = [(label, own) for label, own in enumerate(real) if own is not None]
    by_legs = sorted(known, key=lambda item: -item[1].legs)
    legs = by_legs[:count]
    calm = by_legs[len(by_legs) // 2 :]  # legs at rest
    arms = sorted(calm, key=lambda item: -item[1].arms)[:count]
    return [ActionPair(leg[0], arm[0]) for leg in legs for arm in arms if leg[0] != arm[0]]
