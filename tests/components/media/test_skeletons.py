import itertools

import numpy as np
import pytest
import torch

from components.body.skeleton import SMPL_CHAINS, SMPL_PARENTS
from components.media.skeletons import CHAIN_COLORS, chains_of, draw_motion


def near_color(film: torch.Tensor, color: tuple[int, int, int]) -> torch.Tensor:
    return (film.int() - torch.tensor(color)).abs().amax(-1) < 12


@pytest.fixture
def standing() -> torch.Tensor:
    """Four frames of 24 SMPL-like joints: limbs spread out, the figure moving to its left."""
    joints = torch.zeros(24, 3)
    ends = {11: (-0.2, 0.0), 10: (0.2, 0.0), 15: (0.0, 1.7), 22: (0.8, 1.4), 23: (-0.8, 1.4)}
    starts = {11: (0.0, 0.9), 10: (0.0, 0.9), 15: (0.0, 0.9), 22: (0.0, 1.3), 23: (0.0, 1.3)}
    for chain in SMPL_CHAINS:
        start, end = torch.tensor(starts[chain[-1]]), torch.tensor(ends[chain[-1]])
        for index, joint in enumerate(chain):
            joints[joint, :2] = start.lerp(end, index / (len(chain) - 1))
    return joints + torch.arange(4)[:, None, None] * torch.tensor([0.3, 0.0, 0.0])


def test_every_limb_has_its_colour_and_its_place(standing: torch.Tensor) -> None:
    film = draw_motion(standing, (120, 160), view="front", floor=False)
    assert film.shape == (4, 120, 160, 3)
    assert film.dtype == torch.uint8
    right_arm, left_arm = near_color(film[0], CHAIN_COLORS[4]).nonzero(), near_color(film[0], CHAIN_COLORS[3]).nonzero()
    legs = near_color(film[0], CHAIN_COLORS[1]).nonzero()
    assert min(len(right_arm), len(left_arm), len(legs)) > 10
    assert right_arm[:, 1].float().mean() < left_arm[:, 1].float().mean() - 10
    assert legs[:, 0].float().mean() > left_arm[:, 0].float().mean() + 10
    moved = near_color(film[3], CHAIN_COLORS[3]).nonzero()[:, 1].float().mean()
    assert moved > left_arm[:, 1].float().mean() + 8


def test_floor_follow_and_numpy_input(standing: torch.Tensor) -> None:
    still = draw_motion(standing.numpy(), (64, 64), view="side")
    plain = draw_motion(standing, (64, 64), view="side", floor=False)
    assert (still[0, -8:].int() - plain[0, -8:].int()).abs().max() > 10
    far = standing[:1] + torch.linspace(0, 9, 40)[:, None, None] * torch.tensor([1.0, 0.0, 0.0])

    def ink(follow: bool) -> int:
        film = draw_motion(far, (64, 64), view="front", floor=False, follow=follow)
        return int(near_color(film[20], CHAIN_COLORS[1]).sum())

    assert ink(True) > 2 * ink(False)


def test_chains_of_the_smpl_tree() -> None:
    chains = chains_of(SMPL_PARENTS)
    bones = {(a, b) for chain in chains for a, b in itertools.pairwise(chain)}
    assert bones == {(parent, joint) for joint, parent in enumerate(SMPL_PARENTS) if parent >= 0}
    assert [0, 1, 4, 7, 10] in chains
    assert len(chains) == 6


def test_other_skeletons_by_parents_or_chains() -> None:
    joints = torch.rand(2, 5, 3, generator=torch.Generator().manual_seed(0))
    assert draw_motion(joints, (32, 32), parents=[-1, 0, 1, 0, 3]).shape == (2, 32, 32, 3)
    assert draw_motion(joints, (32, 32), chains=[[0, 1, 2]], colors=[(255, 0, 0)]).shape == (2, 32, 32, 3)
    many = torch.rand(1, 30, 3, generator=torch.Generator().manual_seed(0))
    assert draw_motion(many, (32, 32), chains=[[i, i + 1] for i in range(29)]).shape == (1, 32, 32, 3)


def test_bad_joints_are_refused() -> None:
    with pytest.raises(ValueError, match="chains or parents"):
        draw_motion(torch.rand(2, 5, 3))
    with pytest.raises(ValueError, match="beyond"):
        draw_motion(torch.rand(2, 5, 3), chains=[[0, 5]])
    with pytest.raises(ValueError, match=r"\[T, J, 3\]"):
        draw_motion(torch.rand(5, 3))
    with pytest.raises(ValueError, match="NaN"):
        draw_motion(np.full((1, 24, 3), np.nan))
