"""The walk: cycles, edge dropout, portions, precision, targets."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from components.errors import InputError
from lightning_modules.videowalk.walk import (
    EdgeDraws,
    Transitions,
    Walk,
    affinity,
    dropped_edges,
    palindromes,
    sinkhorn_targets,
    transition,
    transitions,
    walk_scores,
)


def nodes(batch: int = 2, frames: int = 5, count: int = 6, seed: int = 0) -> Tensor:
    drawn = torch.randn(batch, 8, frames, count, generator=torch.Generator().manual_seed(seed))
    return F.normalize(drawn, dim=1)


def chained(steps: Transitions, i: int, flip: bool) -> Tensor:
    factors = [steps.forward[:, j] for j in range(i + 1)] + [steps.backward[:, j] for j in reversed(range(i + 1))]
    product = torch.eye(steps.forward.shape[-1])
    for factor in reversed(factors) if flip else factors:
        product = product @ factor
    return product


@pytest.mark.parametrize("flip", [False, True])
def test_cycles_are_the_chained_products(flip: bool) -> None:
    steps = transitions(affinity(nodes()), 0.1)
    cycles = palindromes(steps, flip)
    assert len(cycles) == 3
    for i, cycle in enumerate(cycles, start=1):
        torch.testing.assert_close(cycle, chained(steps, i, flip), rtol=1e-5, atol=1e-6)


def test_score_is_the_cross_entropy_of_logarithms() -> None:
    walk = transition(affinity(nodes())[:, 0], 0.05).requires_grad_()
    xent, acc = walk_scores(walk)
    target = torch.arange(6).repeat(2)
    plain = F.cross_entropy((walk + 1e-20).log().flatten(0, 1), target)
    torch.testing.assert_close(xent.mean(), plain)
    ours = torch.autograd.grad(xent.mean(), walk)[0]
    torch.testing.assert_close(ours, torch.autograd.grad(plain, walk)[0], rtol=1e-4, atol=1e-6)
    assert acc.mean() == (walk.argmax(-1).flatten() == target).float().mean()


def test_published_drops_are_missing_on_the_way_back_too() -> None:
    draws = EdgeDraws(*torch.rand(2, 4, 3, 50, 50, generator=torch.Generator().manual_seed(1)))
    forward, backward = dropped_edges(draws, 0.1, "upstream_union")
    assert (backward | ~forward.transpose(-1, -2)).all()
    assert backward.float().mean() == pytest.approx(0.19, abs=0.01)
    alone = dropped_edges(draws, 0.1, "independent")[1]
    assert alone.float().mean() == pytest.approx(0.1, abs=0.01)


def test_row_without_edges_is_uniform() -> None:
    dropped = torch.zeros(1, 4, 4, dtype=torch.bool)
    dropped[0, 2] = True
    rows = transition(torch.randn(1, 4, 4), 0.05, dropped)
    torch.testing.assert_close(rows[0, 2], torch.full((4,), 0.25))


def test_edges_are_dropped_in_training_alone_unless_asked() -> None:
    q = nodes()
    plain = Walk(0.1)(q).loss
    walk = Walk(0.1, edge_dropout=0.5)
    torch.manual_seed(0)
    assert walk.train()(q).loss != plain
    assert walk.eval()(q).loss == plain
    assert Walk(0.1, edge_dropout=0.5, dropout_in_eval=True).eval()(q).loss != plain
    first, second = (walk.train()(q, generator=torch.Generator().manual_seed(5)).loss for _ in range(2))
    assert first == second


@pytest.mark.parametrize("targets", ["identity", "sinkhorn"])
def test_portions_change_neither_loss_nor_gradient(targets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    q = nodes(batch=5, frames=4).requires_grad_()
    draws = EdgeDraws(*torch.rand(2, 5, 3, 6, 6))
    walk = Walk(0.1, 0.2, targets=targets)
    whole = walk(q, draws)
    expected = torch.autograd.grad(whole.loss, q)[0]
    monkeypatch.setattr(walk, "_parts", lambda _: [slice(0, 2), slice(2, 4), slice(4, 6)])
    parts = walk(q, draws)
    torch.testing.assert_close(parts.loss, whole.loss)
    torch.testing.assert_close(parts.acc["r2"], whole.acc["r2"])
    torch.testing.assert_close(torch.autograd.grad(parts.loss, q)[0], expected)


def test_memory_limit_sets_the_portions() -> None:
    q = torch.empty(20, 128, 4, 1024, device="meta")
    parts = Walk(memory_limit=512)._parts(q)
    assert [each.stop - each.start for each in parts] == [5] * 4
    assert len(Walk(memory_limit=1)._parts(q)) == 20
    assert len(Walk()._parts(torch.empty(20, 128, 4, 49, device="meta"))) == 1


def test_float32_under_autocast() -> None:
    q = nodes()
    with torch.autocast("cpu", torch.bfloat16):
        result = Walk(0.05)(q)
    assert result.loss.dtype == torch.float32
    assert result.loss == Walk(0.05)(q).loss


def test_two_frames_are_refused() -> None:
    with pytest.raises(InputError, match=r"data.clip_len=2.*at least 3"):
        Walk()(nodes(frames=2))


def test_targets_find_a_known_permutation() -> None:
    frames = [torch.eye(8)[:, :6]]
    orders = [torch.randperm(6, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    for order in orders:
        frames.append(frames[-1][:, order])
    q = torch.stack(frames, dim=1)[None]
    targets = sinkhorn_targets(affinity(q), 0.05)
    for i, found in enumerate(targets, start=1):
        arrived = torch.arange(6)
        for order in orders[: i + 1]:
            arrived = order.argsort()[arrived]
        assert torch.equal(found[0], arrived)
    result = Walk(0.05, targets="sinkhorn")(q)
    assert result.acc["r2"] == 1
    assert not targets[0].requires_grad


def test_targets_see_no_dropped_edges() -> None:
    q = nodes(frames=3)
    all_but_none = EdgeDraws(torch.zeros(2, 2, 6, 6), torch.zeros(2, 2, 6, 6))
    result = Walk(0.05, 0.5, targets="sinkhorn").train()(q, all_but_none)
    assert result.xent["r1"] == pytest.approx(torch.tensor(6.0).log().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "model.walk.temperature=0.0"),
        ({"edge_dropout": 1.0}, "model.walk.edge_dropout=1.0"),
        ({"edge_dropout_mode": "union"}, "model.walk.edge_dropout_mode=union"),
        ({"targets": "self"}, "model.walk.targets=self"),
        ({"targets": "sinkhorn", "flip": True}, "model.walk.flip=true"),
        ({"memory_limit": 0}, "model.walk.memory_limit=0"),
    ],
)
def test_wrong_values_are_named(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Walk(**values)
