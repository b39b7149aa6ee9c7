"""Do motions of two actions at once show both? Nobody publishes a measure; these are ours.

A recogniser of single actions should put both labels on top; a recogniser that knows pairs as classes should name the
pair; and legs and arms should each move as one of the two actions does alone. Plain torch: motions in, shares out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from components.body.model import BodyModel
from components.body.pose_format import PoseFormat
from components.body.skeleton import ARM_JOINTS, LEG_JOINTS
from lightning_modules.actor.evaluation import root_joints
from lightning_modules.actor.generation import ActionPair, generate, request_alpha
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.protocol import Recognizer, recognize_motions, stream_seed

PARTS: dict[str, tuple[int, ...]] = {"legs": LEG_JOINTS, "arms": ARM_JOINTS}


@dataclass(frozen=True)
class Seen:
    """What is known about motions of one request, N of them; on the CPU."""

    logits: Tensor  # [N, C] single actions
    pair_logits: Tensor | None  # [N, C + pairs]
    parts: dict[str, Tensor]  # by part, [N, F]: how its joints are held and move


@dataclass(frozen=True)
class PairFigures:
    """Shares over the motions of a pair; NaN where something was not measured."""

    motions: int
    both: float
    """Both labels are the two highest."""
    first: float
    """The first label is among the two highest."""
    second: float
    named: float
    """The recogniser of pairs names this very pair."""
    likeness: dict[str, float] = field(default_factory=dict)
    """By part, 0..1: 1 moves as the first action alone, 0 as the second, 0.5 as near to either."""


@dataclass(frozen=True)
class Observer:
    """Looks at motions: with recognisers, and at their joints.

    Args:
        recognizer: of single actions, in evaluation mode; of its classes the first `num_single` count.
        num_single: C, number of single actions.
        pair_recognizer: one that knows pairs as classes, or None.
        pose_format: of the motions.
        body: gives the joints; on the device of the motions.
    """

    recognizer: Recognizer
    num_single: int
    pair_recognizer: Recognizer | None
    pose_format: PoseFormat
    body: BodyModel

    @torch.no_grad()
    def look(self, motion: Tensor, mask: Tensor) -> Seen:
        """Motions `[N, J, F, T]` with their mask `[N, T]`."""
        logits = recognize_motions(self.recognizer, motion, mask, self.pose_format).logits[:, : self.num_single]
        pair_logits = None
        if self.pair_recognizer is not None:
            pair_logits = recognize_motions(self.pair_recognizer, motion, mask, self.pose_format).logits
        joints = root_joints(motion, mask, self.pose_format, self.body, own_heading=True)
        return Seen(logits, pair_logits, {part: part_statistics(joints, mask, part).cpu() for part in PARTS})


def generated_motions(
    net: ActorCVAE, request: ActionPair, name: str, frames: int, samples: int, action_names: Sequence[str], seed: int
) -> tuple[Tensor, Tensor]:
    """Generated motions `[N, J, F, T]` of a request and their mask; a function of request and seed alone.

    Args:
        net: a trained network.
        request: labels for the network.
        name: of the request; its latents are drawn from a stream of that name.
        frames, samples: length and number N.
        action_names: names of the network's labels.
        seed: of the evaluation.
    """
    chance = torch.Generator().manual_seed(stream_seed(seed, "pairs", name))
    alpha = request_alpha([request], action_names)
    made = generate(net, [request], [frames], samples, generator=chance, alpha=alpha)
    return made.motion, made.mask


def part_statistics(joints: Tensor, mask: Tensor, part: str) -> Tensor:
    """How the joints of a part are held and move: mean, deviation and speed per coordinate, `[N, F]`, metres.

    Args:
        joints: `[N, T, 24, 3]` in the frame of the pelvis, see `root_joints`.
        mask: bool `[N, T]`.
        part: a key of `PARTS`.
    """
    own = joints[:, :, list(PARTS[part])].flatten(2)
    weight = mask.unsqueeze(-1).to(own.dtype)
    frames = weight.sum(1).clamp(min=1)
    mean = (own * weight).sum(1) / frames
    deviation = (((own - mean.unsqueeze(1)) ** 2 * weight).sum(1) / frames).sqrt()
    steps = weight[:, 1:]
    speed = (own.diff(dim=1).abs() * steps).sum(1) / steps.sum(1).clamp(min=1)
    return torch.cat([mean, deviation, speed], dim=1)


@dataclass(frozen=True)
class Likeness:
    """Which of two actions a part moves as, by what real single actions look like."""

    centres: Mapping[int, Tensor]  # by label, [F]
    scale: Tensor  # [F] deviation within a class

    @classmethod
    def of(cls, statistics: Mapping[int, Tensor]) -> "Likeness":
        """From statistics `[N, F]` of real motions by label."""
        centres = {label: rows.mean(0) for label, rows in statistics.items()}
        within = torch.cat([rows - centres[label] for label, rows in statistics.items()])
        # Coordinates that never change within a class would count without limit.
        floor = 0.1 * torch.cat(list(statistics.values())).std(0, correction=0).clamp(min=1e-4)
        return cls(centres, torch.maximum(within.square().mean(0).sqrt(), floor))

    def to_first(self, statistics: Tensor, first: int, second: int) -> Tensor:
        """Motions `[N, F]` to 0..1 `[N]`: the distance to the second action's centre as a share of both distances."""
        to_first, to_second = (
            ((statistics - self.centres[label]) / self.scale).norm(dim=1) for label in (first, second)
        )
        return to_second / (to_first + to_second).clamp(min=1e-9)


def in_top_two(logits: Tensor, first: int, second: int) -> Tensor:
    """Whether each of two labels is among the two highest of `[N, C]`: bool `[N, 2]`."""
    top = logits.topk(2, dim=1).indices
    return torch.stack([(top == label).any(dim=1) for label in (first, second)], dim=1)


def pair_figures(
    seen: Seen, first: int, second: int, pair_label: int | None, likeness: Mapping[str, Likeness]
) -> PairFigures:
    """The figures of motions as a pair.

    Args:
        seen: the motions.
        first, second: labels of the single actions.
        pair_label: class of the pair for the recogniser of pairs; None where it knows none.
        likeness: by part.
    """
    hits = in_top_two(seen.logits, first, second)
    named = torch.tensor(torch.nan)
    if seen.pair_logits is not None and pair_label is not None:
        named = (seen.pair_logits.argmax(dim=1) == pair_label).double().mean()
    known = {
        part: float(each.to_first(seen.parts[part], first, second).mean())
        for part, each in likeness.items()
        if first in each.centres and second in each.centres
    }
    shares = hits.double().mean(0)
    return PairFigures(
        len(hits), float(hits.all(dim=1).double().mean()), float(shares[0]), float(shares[1]), float(named), known
    )


def merge(seen: Sequence[Seen]) -> Seen:
    """Motions of several requests as one."""
    pair_logits = [each.pair_logits for each in seen if each.pair_logits is not None]
    return Seen(
        torch.cat([each.logits for each in seen]),
        torch.cat(pair_logits) if len(pair_logits) == len(seen) else None,
        {part: torch.cat([each.parts[part] for each in seen]) for part in PARTS},
    )
