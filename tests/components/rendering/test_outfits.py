import torch

from components.rendering.outfits import OUTFITS, Outfit, face_pieces, outfit_colors

FACES = torch.tensor([[0, 1, 2], [2, 3, 4], [4, 5, 6]])
PARTS = ("torso", "left_foot", "head")


def test_parts_get_their_piece_and_borders_blend() -> None:
    outfit = Outfit(shirt=(1.0, 0.0, 0.0), trousers=(0.0, 1.0, 0.0), shoes=(0.0, 0.0, 1.0), skin=(0.5, 0.5, 0.5))
    colors = outfit_colors(FACES, torch.tensor([0, 1, 2]), PARTS, 8, outfit)
    expected = [[1, 0, 0], [1, 0, 0], [0.5, 0, 0.5], [0, 0, 1], [0.25, 0.25, 0.75], [0.5] * 3, [0.5] * 3, [0.5] * 3]
    torch.testing.assert_close(colors, torch.tensor(expected))


def test_numbers_choose_outfits_in_turn() -> None:
    parts = torch.tensor([0, 1, 2])
    first = outfit_colors(FACES, parts, PARTS, 7, 0)
    assert torch.equal(first, outfit_colors(FACES, parts, PARTS, 7, len(OUTFITS)))
    assert not torch.equal(first, outfit_colors(FACES, parts, PARTS, 7, 1))


def test_pieces_of_faces_have_the_colours_of_the_outfit() -> None:
    pieces, of_face = face_pieces(("torso", "head", "left_foot"), torch.tensor([0, 0, 1, 2]), 1)
    assert [pieces[piece][0] for piece in of_face.tolist()] == ["shirt", "shirt", "skin", "shoes"]
    assert pieces[of_face[0]][1] == OUTFITS[1].shirt
