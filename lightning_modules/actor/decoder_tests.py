"""What a decoder has learned, asked for in tables: change one of latent, label and length, keep the others.

A table says which latents, labels and lengths belong into its cells; nothing here draws.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.errors import InputError
from lightning_modules.actor.generation import (
    ROWS_AT_ONCE,
    ActionPair,
    decode,
    interpolate_labels,
    interpolate_latents,
)
from lightning_modules.actor.networks.cvae import ActorCVAE


@dataclass(frozen=True)
class DecoderTest:
    """A table of R x C motions to decode; cells row by row."""

    name: str
    """Fit for a file name."""
    question: str
    """What the table shows, one line."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    z: Tensor
    """`[R * C, D]`."""
    action: Tensor
    """`[R * C]` int64, or soft labels `[R * C, K]`."""
    second_action: Tensor
    """As `action`."""
    lengths: Tensor
    """`[R * C]` int64, frames."""


def different_actions(
    actions: Sequence[ActionPair], names: Sequence[str], latent_dim: int, frames: int, latents: int = 2, seed: int = 0
) -> DecoderTest:
    """Each row one latent, each column an action: what is left of a latent when the label changes."""
    z = _draw(latents, latent_dim, seed)
    count = len(actions)
    first, second = _labels(list(actions) * latents)
    return DecoderTest(
        "diffaction",
        "one latent per row, decoded with every label",
        tuple(f"latent {number + 1}" for number in range(latents)),
        tuple(pair_title(pair, names) for pair in actions),
        z.repeat_interleave(count, dim=0),
        first,
        second,
        torch.full((latents * count,), frames),
    )


def different_durations(
    actions: Sequence[ActionPair], names: Sequence[str], latent_dim: int, durations: Sequence[int], seed: int = 0
) -> DecoderTest:
    """Each row an action, each column a length, one latent for all.

    Raises:
        InputError: a length below 1.
    """
    if not durations or min(durations) < 1:
        raise InputError(f"durations={list(durations)}: expected lengths of at least 1 frame")
    first, second = _labels([pair for pair in actions for _ in durations])
    return DecoderTest(
        "diffduration",
        "one latent, decoded in several lengths",
        tuple(pair_title(pair, names) for pair in actions),
        tuple(f"{frames} frames" for frames in durations),
        _draw(1, latent_dim, seed).expand(len(first), -1),
        first,
        second,
        torch.tensor(list(durations)).repeat(len(actions)),
    )


def between_latents(
    actions: Sequence[ActionPair], names: Sequence[str], latent_dim: int, frames: int, steps: int = 6, seed: int = 0
) -> DecoderTest:
    """Each row an action, the columns lead from one latent to another (both shared by all rows)."""
    start, end = _draw(2, latent_dim, seed)
    first, second = _labels([pair for pair in actions for _ in range(steps)])
    return DecoderTest(
        "interpolate_latent",
        "from one random latent to another, the label stays",
        tuple(pair_title(pair, names) for pair in actions),
        _shares(steps),
        interpolate_latents(start, end, steps).repeat(len(actions), 1),
        first,
        second,
        torch.full((len(first),), frames),
    )


def between_actions(
    actions: Sequence[ActionPair],
    names: Sequence[str],
    latent_dim: int,
    frames: int,
    steps: int = 6,
    seed: int = 0,
) -> DecoderTest:
    """Each row leads from an action to the next one by soft labels, with one latent for all.

    Raises:
        InputError: fewer than two actions.
    """
    if len(actions) < 2:
        raise InputError("interpolate_action goes from one action to the next; name at least two")
    ways = list(itertools.pairwise(actions))
    first, second = (
        torch.cat([interpolate_labels(start[side], end[side], steps, len(names)) for start, end in ways])
        for side in (0, 1)
    )
    return DecoderTest(
        "interpolate_action",
        "from one label to another by mixing them, the latent stays",
        tuple(f"{pair_title(start, names)} to {pair_title(end, names)}" for start, end in ways),
        _shares(steps),
        _draw(1, latent_dim, seed).expand(len(first), -1),
        first,
        second,
        torch.full((len(first),), frames),
    )


def pair_table(
    firsts: Sequence[int], seconds: Sequence[int], names: Sequence[str], latent_dim: int, frames: int, seed: int = 0
) -> DecoderTest:
    """First actions (rows) done at once with second actions (columns), one latent; column 0 is the first action alone.

    For networks with pair conditioning.
    """
    pairs = [ActionPair(first, second) for first in firsts for second in (first, *seconds)]
    action, second_action = _labels(pairs)
    return DecoderTest(
        "pairs",
        "two actions at once: the row's with the column's, one latent",
        tuple(pair_title(ActionPair(label, label), names) for label in firsts),
        ("alone", *(f"+ {pair_title(ActionPair(label, label), names)}" for label in seconds)),
        _draw(1, latent_dim, seed).expand(len(pairs), -1),
        action,
        second_action,
        torch.full((len(pairs),), frames),
    )


def decode_rows(
    net: ActorCVAE, z: Tensor, lengths: Tensor, action: Tensor, second_action: Tensor, alpha: Tensor | None = None
) -> Iterator[Tensor]:
    """Motions `[J, F, T_i]` one after the other, on the CPU; arguments as of `generation.decode`."""
    for rows in torch.arange(len(z)).split(ROWS_AT_ONCE):
        shares = None if alpha is None else alpha[rows]
        made = decode(net, z[rows], lengths[rows], action[rows], second_action[rows], shares)
        for motion, length in zip(made.motion.cpu(), lengths[rows].tolist()):
            yield motion[..., :length]


def pair_title(pair: ActionPair, names: Sequence[str]) -> str:
    """`walk`, or `walk + drink`; underscores become spaces."""
    parts = [names[label].replace("_", " ") for label in dict.fromkeys(pair)]
    return " + ".join(parts)


def _draw(count: int, width: int, seed: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def _labels(pairs: Sequence[ActionPair]) -> tuple[Tensor, Tensor]:
    labels = torch.tensor(pairs, dtype=torch.int64).view(-1, 2)
    return labels[:, 0], labels[:, 1]


def _shares(steps: int) -> tuple[str, ...]:
    return tuple(f"{100 * step / max(1, steps - 1):.0f} %" for step in range(steps))
