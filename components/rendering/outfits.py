"""Skin and clothes as vertex colours, for bodies whose faces are divided into named parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.rendering.floor import Color


@dataclass(frozen=True)
class Outfit:
    """Picture values (r, g, b) in [0, 1]."""

    shirt: Color
    trousers: Color
    shoes: Color = (0.28, 0.29, 0.33)
    skin: Color = (0.86, 0.68, 0.57)
    eyes: Color = (0.30, 0.27, 0.26)


OUTFITS: tuple[Outfit, ...] = (
    Outfit(shirt=(0.38, 0.62, 0.84), trousers=(0.33, 0.38, 0.50)),
    Outfit(shirt=(0.84, 0.38, 0.35), trousers=(0.42, 0.42, 0.46), skin=(0.72, 0.52, 0.41)),
    Outfit(shirt=(0.50, 0.73, 0.57), trousers=(0.46, 0.42, 0.38), skin=(0.90, 0.74, 0.64)),
    Outfit(shirt=(0.90, 0.74, 0.42), trousers=(0.30, 0.36, 0.42), skin=(0.56, 0.40, 0.32)),
    Outfit(shirt=(0.70, 0.58, 0.82), trousers=(0.36, 0.36, 0.44), skin=(0.80, 0.61, 0.49)),
    Outfit(shirt=(0.86, 0.86, 0.88), trousers=(0.42, 0.50, 0.62), skin=(0.66, 0.48, 0.38)),
)
# Which piece covers a part, by the end of the part's name; what is not named here is skin.
_PIECES: tuple[tuple[str, str], ...] = (
    ("torso", "shirt"),
    ("upper_arm", "shirt"),
    ("hips", "trousers"),
    ("thigh", "trousers"),
    ("shin", "trousers"),
    ("foot", "shoes"),
    ("eyes", "eyes"),
)


def outfit_colors(
    faces: Tensor, face_parts: Tensor, part_names: Sequence[str], vertex_count: int, outfit: Outfit | int = 0
) -> Tensor:
    """Colour of each vertex: the mean over the pieces of the faces around it.

    Args:
        faces: `[F, 3]`.
        face_parts: `[F]` index into `part_names`.
        part_names: such as torso, left_upper_arm, hips, right_thigh, left_foot, eyes; other parts are skin.
        vertex_count: V.
        outfit: an outfit, or a number that chooses one of `OUTFITS` in turn.

    Returns:
        `[V, 3]` picture values.
    """
    chosen = OUTFITS[outfit % len(OUTFITS)] if isinstance(outfit, int) else outfit
    palette = torch.tensor([getattr(chosen, _piece_of(name)) for name in part_names], device=faces.device)
    of_face = palette.index_select(0, face_parts)
    total, count = palette.new_zeros(vertex_count, 3), palette.new_zeros(vertex_count, 1)
    for corner in range(3):
        total.index_add_(0, faces[:, corner], of_face)
        count.index_add_(0, faces[:, corner], torch.ones_like(of_face[:, :1]))
    return torch.where(count > 0, total / count.clamp(min=1), palette.new_tensor(chosen.skin))


def _piece_of(part: str) -> str:
    return next((piece for ending, piece in _PIECES if part.endswith(ending)), "skin")


def face_pieces(
    part_names: Sequence[str], face_parts: Tensor, number: int = 0
) -> tuple[list[tuple[str, Color]], Tensor]:
    """Pieces of an outfit with their colours, and the piece of each face, `[F]`, as an index into them."""
    chosen = OUTFITS[number % len(OUTFITS)]
    names = ["skin", *dict.fromkeys(piece for _, piece in _PIECES)]
    of_part = torch.tensor([names.index(_piece_of(name)) for name in part_names], device=face_parts.device)
    return [(name, getattr(chosen, name)) for name in names], of_part.index_select(0, face_parts)
