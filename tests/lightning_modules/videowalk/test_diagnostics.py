import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.videowalk.diagnostics import (
    argmax_flow,
    feature_colours,
    first_cycle,
    grid_shape,
    mutual_matches,
    nearest_nodes,
    node_places,
)
from lightning_modules.videowalk.walk import affinity, palindromes, transitions, walk_scores


def shifted(rows: int = 3, columns: int = 4) -> Tensor:
    """Distinct nodes `[D, 2, N]` whose content moves one column to the right, round the edge."""
    first = torch.eye(rows * columns)
    second = first.view(-1, rows, columns).roll(1, 2).flatten(1)
    return torch.stack([first, second], 1)


def test_flow_and_matches_find_the_shift() -> None:
    flow = argmax_flow(shifted(), (3, 4), 0.05)
    moved = flow.end - flow.start
    assert torch.equal(moved[:, 0], torch.zeros(12))
    assert torch.equal(moved[:, 1], torch.tensor([1.0, 1, 1, -3]).repeat(3))
    assert (flow.probability > 0.99).all()
    start, end = mutual_matches(shifted(), (3, 4))
    assert torch.equal(start, node_places(3, 4))
    assert torch.equal(end - start, moved)


def test_one_sided_matches_are_left_out() -> None:
    q = shifted()
    q[:, 1, 2] = q[:, 1, 1]  # two nodes of frame 1 look alike: one of them has no partner
    start, _ = mutual_matches(q, (3, 4))
    assert len(start) == 11


def test_the_first_cycle_is_there_and_back() -> None:
    q = F.normalize(torch.randn(5, 3, 9, generator=torch.Generator().manual_seed(0)), dim=0)
    cycle = first_cycle(q, 0.1)
    steps = transitions(affinity(q[None]), 0.1)
    expected = steps.forward[0, 0] @ steps.backward[0, 0]
    torch.testing.assert_close(cycle.rows, expected)
    loss, hits = walk_scores(expected[None])
    assert cycle.loss.mean().item() == pytest.approx(loss.item())
    assert cycle.hits == pytest.approx(hits.item())
    # Frames that stay the same make the longer cycle of the loss agree in its shape.
    assert palindromes(steps)[0].shape[1:] == cycle.rows.shape
    assert first_cycle(shifted(), 0.01).hits == 1


def test_colours_follow_the_largest_variances() -> None:
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(20, 30, 6, generator=generator) * torch.tensor([9.0, 0.1, 5.0, 0.1, 3.0, 0.1])
    colours = feature_colours(maps)
    assert colours.shape == (20, 30, 3)
    assert 0 <= colours.min() < colours.max() <= 1
    for channel, feature in enumerate((0, 2, 4)):
        both = torch.stack([colours[..., channel].flatten(), maps[..., feature].flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.95
    assert torch.equal(feature_colours(torch.ones(4, 4, 2)), torch.full((4, 4, 3), 0.5))


def test_neighbours_are_of_other_frames_and_best_first() -> None:
    q = F.normalize(torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    near = nearest_nodes(q, 4, 6, torch.Generator().manual_seed(0))
    every = q.permute(0, 2, 3, 1).reshape(-1, 8)
    assert near.found.shape == (4, 6)
    for query, found, similar in zip(near.queries, near.found, near.similarity, strict=True):
        products = every @ every[query]
        products[torch.arange(30) // 5 == query // 5] = -2
        expected, order = products.sort(descending=True)
        torch.testing.assert_close(similar, expected[:6])
        assert torch.equal(found, order[:6])
    again = nearest_nodes(q, 4, 6, torch.Generator().manual_seed(0))
    assert torch.equal(near.queries, again.queries)


@pytest.mark.parametrize(("nodes", "shape"), [(49, (7, 7)), (12, (3, 4)), (1, (1, 1)), (7, (1, 7))])
def test_grids_are_as_square_as_they_can_be(nodes: int, shape: tuple[int, int]) -> None:
    assert grid_shape(nodes) == shape
