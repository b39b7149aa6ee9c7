import pytest
import torch

from components.errors import InputError
from components.media.joint_maps import MISSING, joint_coordinates, joint_label_map


def test_a_joint_is_found_where_it_was_drawn() -> None:
    points = torch.tensor([[4.5, 10.5, 1.5], [3.5, 6.5, 9.5]])
    maps = joint_label_map(points, (12, 16))
    assert maps.shape == (4, 12, 16)
    # Peak: window start int(x - 1.5), two cells on.
    assert maps[1, 4, 5] == maps[2, 7, 11] == maps[3, 10, 2] == 1
    assert joint_coordinates(maps).sub(points).abs().max() < 1
    assert maps[0, 0, 0] == 1
    assert maps[0, 4, 5] == 0


def test_windows_are_cut_at_the_border_and_left_out_beyond_it() -> None:
    far = float("nan")
    maps = joint_label_map(torch.tensor([[0.3, -50.0, 1e30, far], [0.3, 2.0, 2.0, 2.0]]), (4, 4))
    assert maps[1, 1, 1] == 1
    assert maps[1].count_nonzero() == 4
    assert maps[2:].count_nonzero() == 0
    assert (joint_coordinates(maps)[:, 1:] == MISSING).all()


def test_without_sigma_one_cell_is_marked() -> None:
    maps = joint_label_map(torch.tensor([[2.9], [0.1]]), (4, 4), sigma=0)
    assert maps[1].nonzero().tolist() == [[0, 2]]
    assert joint_coordinates(maps, top=1).tolist() == [[2.0], [0.0]]


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match=r"\[2, joints\]"):
        joint_label_map(torch.zeros(15, 2), (4, 4))
    with pytest.raises(InputError, match="sigma=-1"):
        joint_label_map(torch.zeros(2, 15), (4, 4), sigma=-1)
