"""The contrastive random walk: transitions between the nodes of neighbouring frames, cycles, loss (section 3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from components.errors import InputError
from lightning_modules.videowalk.sinkhorn import sinkhorn

# Added to a probability before its logarithm, as published.
LOG_EPSILON = 1e-20
# Affinity of a dropped edge, as published; a row without any edge becomes uniform.
DROPPED = -1e20
# Matrices that stay alive for the backward pass per pair of frames: what the bound on memory counts.
_MATRICES_PER_PAIR = 8


class EdgeDraws(NamedTuple):
    """Uniform draws in 0..1; an edge is dropped where its draw lies below the rate.

    Args:
        forward: `[B, T-1, N, N]`, rows are nodes of frame t.
        backward: `[B, T-1, N, N]`, rows are nodes of frame t+1.
    """

    forward: Tensor
    backward: Tensor


class Transitions(NamedTuple):
    """Row-stochastic matrices between neighbouring frames.

    Args:
        forward: `[B, T-1, N, N]` from frame t (rows) to t+1.
        backward: `[B, T-1, N, N]` from frame t+1 (rows) to t.
    """

    forward: Tensor
    backward: Tensor


@dataclass(frozen=True)
class WalkResult:
    """What a batch of walks yields.

    Args:
        loss: scalar, mean of the cycles' cross entropies.
        xent: cross entropy of each cycle by name: `r1` turns back at frame 2, and so on.
        acc: share of nodes that each cycle brings back (with targets=sinkhorn: to their target), same names.
    """

    loss: Tensor
    xent: dict[str, Tensor]
    acc: dict[str, Tensor]


def affinity(q: Tensor) -> Tensor:
    """Dot products `[B, T-1, N, N]` (rows: frame t, columns: frame t+1) of nodes `[B, D, T, N]`."""
    nodes = q.permute(0, 2, 3, 1)
    return nodes[:, :-1] @ nodes[:, 1:].transpose(-1, -2)


def transition(affinities: Tensor, temperature: float, dropped: Tensor | None = None) -> Tensor:
    """Row-stochastic matrices of affinities `[..., N, N]`, without the edges where `dropped` (bool, same shape)."""
    if dropped is not None:
        affinities = affinities.masked_fill(dropped, DROPPED)
    return (affinities / temperature).softmax(-1)


def dropped_edges(
    draws: EdgeDraws, rate: float, mode: Literal["independent", "upstream_union"]
) -> tuple[Tensor, Tensor]:
    """Which edges are missing forward and backward, bool of the draws' shapes.

    Args:
        draws: uniform draws.
        rate: share of edges to drop.
        mode: independent: each direction has draws of its own. upstream_union: the published code writes the forward
            drops into the matrix that the backward one is made of, so an edge is missing backward if it was dropped
            forward or backward, at rate 1 - (1 - rate)^2.
    """
    forward, backward = draws.forward < rate, draws.backward < rate
    if mode == "upstream_union":
        backward = backward | forward.transpose(-1, -2)
    return forward, backward


def transitions(affinities: Tensor, temperature: float, dropped: tuple[Tensor, Tensor] | None = None) -> Transitions:
    """Both directions from affinities `[B, T-1, N, N]`; `dropped` as `dropped_edges` returns it."""
    forward, backward = (None, None) if dropped is None else dropped
    return Transitions(
        transition(affinities, temperature, forward),
        transition(affinities.transpose(-1, -2), temperature, backward),
    )


def palindromes(steps: Transitions, flip: bool = False) -> list[Tensor]:
    """Cycles `[B, N, N]` from frame 0 to frame i+1 and back for i = 1 .. T-2, rows are start nodes.

    With P forward and R backward, cycle i is `P_0 ... P_i R_i ... R_0`. The product out and the product back are kept,
    so that the next cycle costs one multiplication for each of them and one for itself.

    Args:
        steps: transition matrices.
        flip: the same factors in reverse order, `R_0 ... R_i P_i ... P_0`; an error of the published code that its
            author names as one.
    """
    out, back = steps if not flip else (steps.backward, steps.forward)
    out_steps, back_steps = out.unbind(1), back.unbind(1)
    away, home = out_steps[0], back_steps[0]
    cycles = []
    for i in range(1, len(out_steps)):
        away, home = away @ out_steps[i], back_steps[i] @ home
        cycles.append(away @ home)
    return cycles


def sinkhorn_targets(affinities: Tensor, temperature: float) -> list[Tensor]:
    """Target nodes `[B, N]` in frame i+1 of each node of frame 0, i = 1 .. T-2, without gradient.

    Each pair's affinities become a doubly stochastic matrix S; the target is the largest entry per row of the
    doubly stochastic version of `S_0 S_1 ... S_i`. (The published code multiplies in the opposite order and never ran.)

    Args:
        affinities: `[B, T-1, N, N]`, no edge dropped.
        temperature: of the kernel.
    """
    with torch.no_grad():
        matrices, _ = sinkhorn(affinities / temperature, tolerance=0.01, max_iterations=100)
        product = matrices[:, 0]
        targets = []
        for i in range(1, matrices.shape[1]):
            product = product @ matrices[:, i]
            balanced, _ = sinkhorn((product + LOG_EPSILON).log(), tolerance=0.001, max_iterations=10)
            targets.append(balanced.argmax(-1))
    return targets


class Walk(nn.Module):
    """Loss of walks over a clip: the walker has to come back to where it started.

    Has no parameters. Computes in float32 (float64 stays) under any autocast.

    Args:
        temperature: of the transitions' softmax.
        edge_dropout: share of the edges that are left out.
        edge_dropout_mode: see `dropped_edges`.
        dropout_in_eval: leave out edges in evaluation too, as the published code does.
        flip: see `palindromes`.
        targets: identity: back to the start. sinkhorn: forward only, to the target of `sinkhorn_targets`.
        memory_limit: MiB that the matrices of a batch may take. Beyond it clips are walked over in portions whose
            matrices the backward pass computes again. Matters for single pictures with a thousand cells.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self,
        temperature: float = 0.07,
        edge_dropout: float = 0.0,
        edge_dropout_mode: Literal["independent", "upstream_union"] = "independent",
        dropout_in_eval: bool = False,
        flip: bool = False,
        targets: Literal["identity", "sinkhorn"] = "identity",
        memory_limit: int = 512,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise InputError(f"model.walk.temperature={temperature}: expected above 0")
        if not 0 <= edge_dropout < 1:
            raise InputError(f"model.walk.edge_dropout={edge_dropout}: expected a share in [0, 1)")
        if edge_dropout_mode not in ("independent", "upstream_union"):
            raise InputError(
                f"model.walk.edge_dropout_mode={edge_dropout_mode}: expected independent or upstream_union"
            )
        if targets not in ("identity", "sinkhorn"):
            raise InputError(f"model.walk.targets={targets}: expected identity or sinkhorn")
        if flip and targets == "sinkhorn":
            raise InputError("model.walk.flip=true has no meaning with model.walk.targets=sinkhorn: nothing walks back")
        if memory_limit < 1:
            raise InputError(f"model.walk.memory_limit={memory_limit}: expected at least 1 (MiB)")
        self.temperature = temperature
        self.edge_dropout = edge_dropout
        self.edge_dropout_mode: Literal["independent", "upstream_union"] = edge_dropout_mode
        self.dropout_in_eval = dropout_in_eval
        self.flip = flip
        self.targets = targets
        self.memory_limit = memory_limit

    def forward(
        self, q: Tensor, draws: EdgeDraws | None = None, generator: torch.Generator | None = None
    ) -> WalkResult:
        """Walk over nodes `[B, D, T, N]` of length 1.

        Args:
            q: the nodes.
            draws: take the place of random numbers in edge dropout.
            generator: of these numbers; None = torch's of the device.

        Raises:
            InputError: clips of fewer than 3 frames, which have no cycle to learn from.
        """
        if q.shape[2] < 3:
            raise InputError(
                f"data.clip_len={q.shape[2]}: a walk needs at least 3 frames (the cycle over 2 neighbouring frames is "
                "not used, so there would be no loss)"
            )
        with torch.autocast(q.device.type, enabled=False):
            nodes = q if q.dtype == torch.float64 else q.float()
            parts = self._parts(nodes)
            portions = []
            for part in parts:
                drawn = None if draws is None else EdgeDraws(draws.forward[part], draws.backward[part])
                inputs = (nodes[part], *self._dropped(nodes[part], drawn, generator))
                portions.append(
                    self._cycles(*inputs)
                    if len(parts) == 1 or not torch.is_grad_enabled()
                    # Nothing random inside: the dropped edges are inputs.
                    else checkpoint(self._cycles, *inputs, use_reentrant=False, preserve_rng_state=False)
                )
            xent, acc = (torch.cat(each, 1).mean(1) for each in zip(*portions, strict=True))
        names = [f"r{i + 1}" for i in range(len(xent))]
        return WalkResult(
            xent.mean(),
            dict(zip(names, xent.unbind(), strict=True)),
            dict(zip(names, acc.unbind(), strict=True)),
        )

    def _parts(self, q: Tensor) -> list[slice]:
        batch, _, frames, nodes = q.shape
        per_clip = _MATRICES_PER_PAIR * (frames - 1) * nodes**2 * q.element_size()
        count = max(1, math.floor(self.memory_limit * 2**20 / per_clip))
        return [slice(start, start + count) for start in range(0, batch, count)]

    def _dropped(
        self, q: Tensor, draws: EdgeDraws | None, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor] | tuple[None, None]:
        if not self.edge_dropout or not (self.training or self.dropout_in_eval):
            return None, None
        shape = (q.shape[0], q.shape[2] - 1, q.shape[3], q.shape[3])
        if draws is None:
            made = [torch.rand(shape, device=q.device, generator=generator) for _ in range(2)]
            draws = EdgeDraws(*made)
        return dropped_edges(draws, self.edge_dropout, self.edge_dropout_mode)

    def _cycles(self, q: Tensor, forward: Tensor | None, backward: Tensor | None) -> tuple[Tensor, Tensor]:
        """Cross entropy and share of hits, both `[cycles, B]`."""
        affinities = affinity(q)
        dropped = None if forward is None or backward is None else (forward, backward)
        if self.targets == "sinkhorn":
            steps = transition(affinities, self.temperature, forward).unbind(1)
            product, walks = steps[0], []
            for step in steps[1:]:
                product = product @ step
                walks.append(product)
            targets: Sequence[Tensor | None] = sinkhorn_targets(affinities.detach(), self.temperature)
        else:
            walks = palindromes(transitions(affinities, self.temperature, dropped), self.flip)
            targets = [None] * len(walks)
        scores = [walk_scores(walk, target) for walk, target in zip(walks, targets, strict=True)]
        return torch.stack([xent for xent, _ in scores]), torch.stack([acc for _, acc in scores])


def walk_scores(walk: Tensor, target: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cross entropy and accuracy `[B]` of walks `[B, N, N]` against targets `[B, N]`; None = each row's own index.

    The cross entropy of logits `log(walk + eps)`: rows may sum to a little more or less than 1.
    """
    if target is None:
        target = torch.arange(walk.shape[-1], device=walk.device).expand(walk.shape[:-1])
    reached = walk.gather(-1, target[..., None]).squeeze(-1)
    # The logarithm of a row's sum in place of a log-softmax over logarithms: the same value, and no matrix to store.
    total = (walk + LOG_EPSILON).sum(-1)
    xent = (total.log() - (reached + LOG_EPSILON).log()).mean(-1)
    acc = (walk.detach().argmax(-1) == target).to(walk.dtype).mean(-1)
    return xent, acc
