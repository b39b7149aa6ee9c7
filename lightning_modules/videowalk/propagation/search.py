"""The k most similar source cells of every target cell, exact, without the full affinity matrix.

A tile of target cells is multiplied with the source cells near it, one matrix product per source row, cut to the part
of the disc that falls into this row. The k best are found in two steps: the greatest affinity of every group of sources
first; the k best cells lie in the k groups with the greatest ones, and only these are sorted.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

# Rows and columns of target cells in a tile. Narrow ones waste little beyond the disc; all cells of a tile share a
# product, whose speed falls below about 32 of them. Chosen by `benchmarks/propagation.py`; an accelerator wants few
# large products.
_CPU_TILE = (16, 8)
_ACCELERATOR_TILE = (32, 32)
# Target cells per product and source cells per group of an unrestricted search.
_BLOCK = 256
_GROUP = 16
# Sources of an unrestricted search that are held against one block at a time.
_CHUNK = 1 << 15


class Matches(NamedTuple):
    """Best sources, best first."""

    values: Tensor  # k cells: affinity, -inf where there are fewer than k sources
    sources: Tensor  # k cells: number of the source


class _Span(NamedTuple):
    """Source cells of one row that some target rows of the tile need."""

    row: int  # relative to the first row of the tile
    start: int  # columns, relative to its first column
    stop: int
    first: int  # target rows
    last: int
    offset: int  # of the span among the source cells of the tile


class _Plan(NamedTuple):
    """What is multiplied for a tile; the same for all tiles that lie equally to the border."""

    spans: list[_Span]
    cells: Tensor  # [S] number of each source cell, relative to the first target cell
    outside: Tensor  # [S, M] not within the radius
    wide: int  # columns of the tile


class WindowSearch:
    """Searches within a radius of each target cell.

    Args:
        grid: (height, width) of the feature map.
        radius: euclidean distance in cells that a source must stay below, > 0.
        topk: k.
        device: of the features.
        tile: rows and columns of target cells at a time; None = what suits the device.
    """

    def __init__(
        self,
        grid: tuple[int, int],
        radius: float,
        topk: int,
        device: torch.device | str = "cpu",
        tile: tuple[int, int] | None = None,
    ) -> None:
        self.grid, self.radius, self.topk = grid, radius, topk
        self.device = torch.device(device)
        self.tile = tile or (_CPU_TILE if self.device.type == "cpu" else _ACCELERATOR_TILE)
        # Columns left and right of a source cell by its distance in rows, as long as there are any.
        self.reach: list[int] = []
        while len(self.reach) < max(grid) and len(self.reach) < radius:
            self.reach.append(self._columns(len(self.reach)))
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._buffer = torch.empty(0, device=self.device)

    def _columns(self, dy: int) -> int:
        """The largest dx with dy^2 + dx^2 < radius^2."""
        dx = min(math.isqrt(max(0, math.ceil(self.radius**2 - dy**2))), max(self.grid))
        while dx * dx + dy * dy >= self.radius**2:
            dx -= 1
        return dx

    def __call__(self, queries: Tensor, source_row: Callable[[int], Tensor], slots: int) -> Matches:
        """Search.

        Args:
            queries: features of the target cells, float32 `[h * w, C]`.
            source_row: gives row y of all source frames, float32 `[w, slots, C]`; asked once per row.
            slots: number of source frames.

        Returns:
            Values and sources `[k, h * w]`; a source is slot * h * w + cell.
        """
        height, width = self.grid
        far = len(self.reach) - 1
        queries = queries.view(height, width, -1)
        values = queries.new_full((self.topk, height, width), -math.inf)
        index = torch.zeros(self.topk, height, width, dtype=torch.long, device=queries.device)
        rows: dict[int, Tensor] = {}
        for y in range(0, height, self.tile[0]):
            tall = min(self.tile[0], height - y)
            above, below = min(far, y), min(far, height - y - tall)
            rows = {row: rows[row] if row in rows else source_row(row) for row in range(y - above, y + tall + below)}
            for x in range(0, width, self.tile[1]):
                wide = min(self.tile[1], width - x)
                plan = self._plan(tall, wide, above, below, min(far, x), min(far, width - x - wide))
                targets = queries[y : y + tall, x : x + wide].reshape(tall * wide, -1).t()
                best, group, member = self._best(plan, targets, rows, slots, y, x)
                found = len(best)
                values[:found, y : y + tall, x : x + wide] = best.view(found, tall, wide)
                source = member * (height * width) + (plan.cells[group] + (y * width + x))
                index[:found, y : y + tall, x : x + wide] = source.view(found, tall, wide)
        return Matches(values.flatten(1), index.flatten(1))

    def _best(
        self, plan: _Plan, targets: Tensor, rows: dict[int, Tensor], slots: int, y: int, x: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Affinity, source cell of the plan and slot of the best sources of a tile, each `[<= k, M]`."""
        count, size = len(plan.cells), targets.shape[1]
        if self._buffer.numel() < count * slots * size:
            self._buffer = targets.new_empty(count * slots * size)
        scores = self._buffer[: count * slots * size].view(count * slots, size)
        for row, start, stop, first, last, offset in plan.spans:
            sources = rows[y + row][x + start : x + stop].flatten(0, 1)
            part = scores[offset * slots : (offset + stop - start) * slots, first * plan.wide : last * plan.wide]
            torch.mm(sources, targets[:, first * plan.wide : last * plan.wide], out=part)
        groups = scores.view(count, slots, size)
        # What no product wrote lies outside of the radius, so this also clears it.
        peaks = groups.amax(1).masked_fill_(plan.outside, -math.inf)
        return _best_of_groups(groups, peaks, self.topk)

    def _plan(self, tall: int, wide: int, above: int, below: int, left: int, right: int) -> _Plan:
        key = (tall, wide, above, below, left, right)
        if key not in self._plans:
            self._plans[key] = self._make_plan(*key)
        return self._plans[key]

    def _make_plan(self, tall: int, wide: int, above: int, below: int, left: int, right: int) -> _Plan:
        far = len(self.reach) - 1
        spans: list[_Span] = []
        ys: list[int] = []
        xs: list[int] = []
        offset = 0
        for row in range(-above, tall + below):
            first, last = max(0, row - far), min(tall, row + far + 1)
            nearest = max(0, -row, row - tall + 1)
            start, stop = -min(left, self.reach[nearest]), wide + min(right, self.reach[nearest])
            spans.append(_Span(row, start, stop, first, last, offset))
            offset += stop - start
            ys += [row] * (stop - start)
            xs += range(start, stop)
        device = self.device
        y, x = torch.tensor(ys, device=device), torch.tensor(xs, device=device)
        cell = torch.arange(tall * wide, device=device)
        distance = (y[:, None] - cell // wide) ** 2 + (x[:, None] - cell % wide) ** 2
        return _Plan(spans, y * self.grid[1] + x, distance >= self.radius**2, wide)


def full_search(
    queries: Tensor, sources: Iterator[Tensor], topk: int, block: int = _BLOCK, group: int = _GROUP
) -> Matches:
    """Search everywhere.

    Args:
        queries: features of the target cells, float32 `[Q, C]`.
        sources: pieces of the sources, float32 `[N_i, C]` each.
        topk: k.
        block: target cells per product.
        group: sources per group.

    Returns:
        Values and sources `[k, Q]`; these are counted through all pieces.
    """
    best = Matches(
        queries.new_full((topk, len(queries)), -math.inf),
        torch.zeros(topk, len(queries), dtype=torch.long, device=queries.device),
    )
    first = 0
    for piece in sources:
        for part in piece.split(_CHUNK):
            best = merge(best, _search_piece(queries, part, first, topk, block, group))
            first += len(part)
    return best


def merge(*matches: Matches) -> Matches:
    """The k best of several searches with the same k."""
    if len(matches) == 1:
        return matches[0]
    values, order = torch.cat([each.values for each in matches]).topk(len(matches[0].values), dim=0)
    return Matches(values, torch.cat([each.sources for each in matches]).gather(0, order))


def _search_piece(queries: Tensor, sources: Tensor, first: int, topk: int, block: int, group: int) -> Matches:
    count = -(-len(sources) // group) * group
    values = queries.new_full((topk, len(queries)), -math.inf)
    index = torch.zeros(topk, len(queries), dtype=torch.long, device=queries.device)
    scores = queries.new_full((count * min(block, len(queries)),), -math.inf)
    for start in range(0, len(queries), block):
        targets = queries[start : start + block].t()
        size = targets.shape[1]
        table = scores[: count * size].view(count, size)
        torch.mm(sources, targets, out=table[: len(sources)])
        table[len(sources) :] = -math.inf
        groups = table.view(-1, group, size)
        best, chosen, member = _best_of_groups(groups, groups.amax(1), topk)
        values[: len(best), start : start + size] = best
        # Filling up the last group has no source, and -inf for an affinity.
        index[: len(best), start : start + size] = (chosen * group + member).clamp(max=len(sources) - 1) + first
    return Matches(values, index)


def _best_of_groups(groups: Tensor, peaks: Tensor, topk: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values, group and member of the best of `[G, n, M]`, each `[<= k, M]`.

    `peaks` `[G, M]` is the greatest value of each group, or -inf for groups that do not count.
    """
    members = groups.shape[1]
    top, chosen = peaks.topk(min(topk, len(peaks)), dim=0)
    candidates = groups.gather(0, chosen[:, None].expand(-1, members, -1))
    candidates = candidates.masked_fill_(top.isneginf()[:, None], -math.inf).flatten(0, 1)
    best, order = candidates.topk(min(topk, len(candidates)), dim=0)
    return best, chosen.gather(0, order // members), order % members
