"""What a walk sees in a clip, as small tensors that can be drawn: colours of features, flow, cycles, neighbours."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from lightning_modules.videowalk.walk import affinity, transitions, walk_scores


class Flow(NamedTuple):
    """Where each node of a frame goes in the next one.

    Args:
        start: (row, column) of each node in the grid, `[N, 2]`.
        end: of the node that it most likely goes to.
        probability: of that node, `[N]`.
    """

    start: Tensor
    end: Tensor
    probability: Tensor


class Cycle(NamedTuple):
    """The cycle from a frame to the next one and back.

    Args:
        rows: `[N, N]`, row n says where walkers from node n end.
        loss: cross entropy of each row, `[N]`.
        hits: share of nodes whose likeliest end is their start.
    """

    rows: Tensor
    loss: Tensor
    hits: float


class Neighbours(NamedTuple):
    """Nodes that look most like some queries.

    Args:
        queries: index of each query among all nodes of all frames, `[Q]`.
        found: indices of its neighbours, best first, `[Q, K]`.
        similarity: dot products, `[Q, K]`.
    """

    queries: Tensor
    found: Tensor
    similarity: Tensor


def grid_shape(nodes: int) -> tuple[int, int]:
    """Rows and columns of a grid of `nodes`, as square as their number allows; rows are the fewer."""
    rows = next(each for each in range(math.isqrt(nodes), 0, -1) if nodes % each == 0)
    return rows, nodes // rows


def node_places(rows: int, columns: int) -> Tensor:
    """(row, column) of each node in row order, float `[rows * columns, 2]`."""
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).view(-1, 2).float()


def feature_colours(maps: Tensor) -> Tensor:
    """Three principal components of feature vectors as colours.

    Args:
        maps: `[..., C]`; all vectors share their components.

    Returns:
        `[..., 3]` in 0..1; directions without variance are grey. Signs are fixed, so that the same features get the
        same colours.
    """
    vectors = maps.flatten(0, -2).double()
    vectors = vectors - vectors.mean(0)
    _, directions = torch.linalg.eigh(vectors.T @ vectors)
    chosen = directions[:, -3:].flip(1)
    largest = chosen.gather(0, chosen.abs().argmax(0, keepdim=True))
    chosen = chosen * torch.where(largest < 0, -1.0, 1.0)
    values = vectors @ chosen
    low, high = values.quantile(0.01, 0), values.quantile(0.99, 0)
    spread = high - low
    scaled = torch.where(spread > 1e-9, (values - low) / spread.clamp_min(1e-9), 0.5).clamp(0, 1)
    if scaled.shape[1] < 3:
        scaled = torch.nn.functional.pad(scaled, (0, 3 - scaled.shape[1]), value=0.5)
    return scaled.view(*maps.shape[:-1], 3).float()


def argmax_flow(q: Tensor, shape: tuple[int, int], temperature: float) -> Flow:
    """Flow from the first frame to the second.

    Args:
        q: nodes of a clip, `[D, T, N]` of length 1.
        shape: rows and columns of the grid of nodes.
        temperature: of the walk.
    """
    steps = transitions(affinity(q[None]), temperature)
    probability, target = steps.forward[0, 0].max(-1)
    places = node_places(*shape).to(q.device)
    return Flow(places, places[target], probability)


def first_cycle(q: Tensor, temperature: float) -> Cycle:
    """The walk from frame 0 to frame 1 and back, without dropped edges; `q` as in `argmax_flow`."""
    steps = transitions(affinity(q[None]), temperature)
    rows = steps.forward[0, 0] @ steps.backward[0, 0]
    losses, hits = walk_scores(rows[:, None], torch.arange(len(rows), device=q.device)[:, None])
    return Cycle(rows, losses, float(hits.mean()))


def mutual_matches(q: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Places `[M, 2]` in frame 0 and frame 1 of nodes that are each other's nearest neighbour; `q` as above."""
    similar = affinity(q[None])[0, 0]
    there, back = similar.argmax(1), similar.argmax(0)
    own = torch.arange(len(similar), device=q.device)
    mutual = own[back[there] == own]
    places = node_places(*shape).to(q.device)
    return places[mutual], places[there[mutual]]


def nearest_nodes(q: Tensor, queries: int, neighbours: int, generator: Generator) -> Neighbours:
    """Neighbours of random nodes among those of all other frames.

    Args:
        q: nodes of a batch of clips, `[B, D, T, N]` of length 1; node indices run over (clip, frame, node).
        queries: number of random nodes.
        neighbours: of each.
        generator: on the CPU.
    """
    _, width, _, nodes = q.shape
    every = q.permute(0, 2, 3, 1).reshape(-1, width)
    chosen = torch.randperm(len(every), generator=generator)[:queries].to(q.device)
    similar = every[chosen] @ every.T
    frame_of = torch.arange(len(every), device=q.device) // nodes
    similar = similar.masked_fill(frame_of[chosen][:, None] == frame_of, -torch.inf)
    best, found = similar.topk(min(neighbours, len(every) - nodes), dim=1)
    return Neighbours(chosen, found, best)
