"""Figures of pairs: top-two hits, naming, and whose legs and arms they are."""

import math

import pytest
import torch
from torch import Tensor

from components.body.loader import load_body
from components.body.pose_format import PoseFormat
from lightning_modules.actor.generation import ActionPair
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.recognition import Recognition
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.pair_evaluation import (
    Likeness,
    Observer,
    Seen,
    generated_motions,
    in_top_two,
    merge,
    pair_figures,
    part_statistics,
)


def test_top_two() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0], [0.0, 3.0, 2.0, 1.0], [2.0, 0.0, 1.0, 3.0]])
    assert in_top_two(logits, 0, 1).tolist() == [[True, True], [False, True], [True, False]]
    # The order of the labels does not matter.
    assert in_top_two(logits, 1, 0).tolist() == [[True, True], [True, False], [False, True]]


def test_figures_are_shares_of_motions() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0], [0.0, 1.0, 2.0], [2.0, 3.0, 0.0]])
    pair_logits = torch.eye(4)[[3, 3, 0, 1]]
    parts = {"legs": torch.tensor([[0.0], [0.0], [1.0], [1.0]]), "arms": torch.tensor([[1.0], [1.0], [1.0], [1.0]])}
    seen = Seen(logits, pair_logits, parts)
    likeness = Likeness({0: torch.tensor([0.0]), 1: torch.tensor([1.0])}, torch.tensor([0.1]))
    figures = pair_figures(seen, 0, 1, 3, {"legs": likeness, "arms": likeness})
    assert (figures.motions, figures.both, figures.first, figures.second) == (4, 0.5, 0.75, 0.75)
    assert figures.named == 0.5
    assert figures.likeness == pytest.approx({"legs": 0.5, "arms": 0.0})
    assert math.isnan(pair_figures(seen, 0, 1, None, {}).named)
    both = merge([seen, seen])
    assert len(both.logits) == 8
    assert pair_figures(both, 0, 1, 3, {}).both == figures.both
    assert merge([seen, Seen(logits, None, parts)]).pair_logits is None


def waving(part: list[int], count: int, frames: int = 12, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Joints `[N, T, 24, 3]` that stand still but for a part, and their mask."""
    generator = torch.Generator().manual_seed(seed)
    joints = torch.randn(24, 3, generator=generator).expand(count, frames, -1, -1).clone()
    swing = torch.sin(torch.linspace(0, 6.28, frames))[:, None] * (
        0.5 + 0.1 * torch.rand(count, 1, 1, generator=generator)
    )
    joints[:, :, part, 0] += swing
    return joints, torch.ones(count, frames, dtype=torch.bool)


def test_whose_part_it_is() -> None:
    walk, wave = waving([4, 5], 8), waving([20, 21], 8)
    both = waving([4, 5, 20, 21], 8)
    for part, expected in (("legs", 1.0), ("arms", 0.0)):
        likeness = Likeness.of({0: part_statistics(*walk, part), 1: part_statistics(*wave, part)})
        share = likeness.to_first(part_statistics(*both, part), 0, 1)
        assert (share - expected).abs().max() < 0.2
        swapped = likeness.to_first(part_statistics(*both, part), 1, 0)
        torch.testing.assert_close(swapped, 1 - share)


def test_padding_does_not_count() -> None:
    joints, mask = waving([4], 2, frames=9)
    mask[:, 6:] = False
    padded = joints.clone()
    padded[:, 6:] = 77.0
    for part in ("legs", "arms"):
        torch.testing.assert_close(
            part_statistics(padded, mask, part), part_statistics(joints[:, :6], mask[:, :6], part)
        )


class Counting:
    """Recognises by the mean of the features: enough to see what is handed over."""

    pose_format = PoseFormat("rot6d", translation=False)

    def recognize(self, motion: Tensor, mask: Tensor) -> Recognition:
        assert motion.shape[1:3] == (24, 6)
        value = motion.mean(dim=(1, 2, 3))[:, None]
        return Recognition(value, value * torch.arange(1.0, 6.0))


def test_an_observer_sees_the_same_in_the_same_request() -> None:
    torch.manual_seed(0)
    net = ActorCVAE(
        TransformerEncoder, TransformerDecoder, num_classes=3, translation=True, num_frames=6, latent_dim=8, ff_size=8,
        num_layers=1, num_heads=2, conditioning="pair",
    )  # fmt: skip
    names = ("walk", "drink", "run")
    observer = Observer(Counting(), 3, Counting(), net.pose_format, load_body())

    def seen(request: ActionPair, seed: int = 0) -> Seen:
        return observer.look(*generated_motions(net, request, "+".join(map(str, request)), 6, 4, names, seed))

    one, two, other = seen(ActionPair(0, 1)), seen(ActionPair(0, 1)), seen(ActionPair(0, 1), seed=1)
    assert torch.equal(one.logits, two.logits)
    assert torch.equal(one.parts["arms"], two.parts["arms"])
    assert not torch.equal(one.logits, other.logits)
    # Classes beyond the single actions do not take part in the top two.
    assert one.logits.shape == (4, 3)
    assert one.pair_logits is not None
    assert one.pair_logits.shape == (4, 5)
    assert one.parts["legs"].shape == (4, 3 * 8 * 3)
