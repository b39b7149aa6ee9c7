import itertools
import math

import pytest
import torch
from torch import Tensor

from components.body.loader import load_body
from components.body.model import BodyModel
from components.body.pose_format import PoseFormat
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix, axis_rotation, matrix_to_axis_angle
from entrypoints.runs import build_module
from lightning_modules.actor.chaining import ChainRequest, Segment, join_windows, lay_windows, sample_chain
from tests.entrypoints.actor_run import NAMES, actor_config


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


def swing(frames: int, phase: float, size: float = 0.5) -> Tensor:
    """Smooth poses `[T, 72]`: every joint swings about an axis of its own."""
    axes = torch.randn(24, 3, generator=torch.Generator().manual_seed(3))
    axes = axes / axes.norm(dim=1, keepdim=True)
    angle = size * torch.sin(0.15 * torch.arange(frames)[:, None] + phase + torch.arange(24))
    poses = angle[..., None] * axes
    poses[:, 0] = 0
    return poses.flatten(1)


def turned(poses: Tensor, degrees: float) -> Tensor:
    turn = axis_rotation("Y", torch.tensor(math.radians(degrees)))
    roots = matrix_to_axis_angle(turn @ axis_angle_to_matrix(poses[:, :3]))
    return torch.cat([roots, poses[:, 3:]], dim=1)


def speeds(poses: Tensor) -> Tensor:
    """Angle between neighbouring frames of each joint, radians `[T - 1, 24]`."""
    rotations = axis_angle_to_matrix(poses.unflatten(-1, (24, 3)).double())
    return matrix_to_axis_angle(rotations[1:] @ rotations[:-1].transpose(-1, -2)).norm(dim=-1)


def heading(poses: Tensor) -> Tensor:
    forward = axis_angle_to_matrix(poses[:, :3])[:, :, 2]
    return torch.atan2(forward[:, 0], forward[:, 2])


@pytest.mark.parametrize("overlap", [0, 1, 7, 8])
def test_windows_cover_the_segments_exactly(overlap: int) -> None:
    segments = [Segment("walk", 130), Segment("sit", 40), Segment("drink", 60)]
    windows = lay_windows(segments, 60, overlap)
    assert [window.segment for window in windows] == [0, 0, 0, 1, 2]
    assert sum(window.frames for window in windows) - overlap * (len(windows) - 1) == 230
    assert windows[0].start == 0
    for before, after in itertools.pairwise(windows):
        assert before.start + before.frames - after.start == overlap
    # The label changes in the middle of the blend.
    assert windows[3].start == 130 - (overlap - overlap // 2)
    assert max(window.frames for window in windows) <= 60 + overlap


def test_too_short_a_segment() -> None:
    with pytest.raises(InputError, match=r"sit:4 has parts of 4 frames.*\n.*overlap=8"):
        lay_windows([Segment("walk", 60), Segment("sit", 4), Segment("walk", 60)], 60, 8)
    assert lay_windows([Segment("sit", 1)], 60, 8)[0].frames == 1


def test_joins_do_not_jump(body: BodyModel) -> None:
    first, second, overlap = swing(40, 0.0), swing(40, 1.3), 10
    inside = torch.maximum(speeds(first).amax(0), speeds(second).amax(0))

    def chain(overlap: int) -> Tensor:
        poses, _, _ = join_windows([first[None], second[None]], [torch.zeros(1, 40, 3)] * 2, overlap, body, True)
        assert len(poses) == 80 - overlap
        return poses

    smooth = chain(overlap)
    gap = speeds(torch.stack([first[-overlap:], second[:overlap]], 1).flatten(0, 1))[::2].amax(0)
    # Between two moving poses: the faster of the two, and the gap times the steepest step of the weight.
    assert (speeds(smooth).amax(0) <= 1.02 * inside + gap * 1.5 / (overlap + 1) + 1e-4).all()
    assert speeds(smooth).max() < 2 * inside.max()
    torch.testing.assert_close(smooth[:30], first[:30], atol=1e-5, rtol=0)
    torch.testing.assert_close(smooth[40:], second[10:], atol=1e-5, rtol=0)
    assert speeds(chain(0)).max() > 3 * speeds(smooth).max()  # a hard cut jumps


def test_the_person_goes_on_where_it_was_and_looks_the_same_way(body: BodyModel) -> None:
    """One walk, cut into two windows, the second one turned and put elsewhere: the walk comes back."""
    poses = turned(swing(70, 0.0, size=0.2), 25.0)
    way = torch.stack([0.01 * torch.arange(70), 0.02 * torch.sin(0.3 * torch.arange(70)), 0.03 * torch.arange(70)], 1)
    turn = axis_rotation("Y", torch.tensor(math.radians(140.0)))
    other_poses = turned(poses[32:], 140.0)
    other_way = way[32:] @ turn.T + torch.tensor([3.0, 0.4, -2.0])
    joined, moved, _ = join_windows(
        [poses[None, :40], other_poses[None]], [way[None, :40], other_way[None]], 8, body, False
    )
    assert len(joined) == 70
    torch.testing.assert_close(heading(joined), heading(poses), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[:, [0, 2]], way[:, [0, 2]], atol=1e-4, rtol=0)
    # Heights are relative in each window: the lowest joint of both stands on the ground.
    heights = body.joints(axis_angle_to_matrix(joined.unflatten(-1, (24, 3))))[..., 1] + moved[:, 1:2]
    assert abs(float(heights[:32].min())) < 0.02
    assert abs(float(heights[40:].min())) < 0.02
    free, _, _ = join_windows(
        [poses[None, :40], other_poses[None]], [way[None, :40], other_way[None]], 8, body, False, align=False
    )
    assert abs(math.degrees(float(heading(free)[-1] - heading(poses)[-1]))) > 90


def test_the_candidate_that_fits_best_is_taken(body: BodyModel) -> None:
    whole = swing(60, 0.0)
    candidates = torch.stack([swing(32, 2.0), turned(whole[28:], 90.0), swing(32, 4.0)])
    joined, _, taken = join_windows(
        [whole[None, :36], candidates], [torch.zeros(1, 36, 3), torch.zeros(3, 32, 3)], 8, body, True
    )
    assert taken == [0, 1]
    torch.testing.assert_close(joined, whole, atol=1e-3, rtol=0)


@pytest.mark.parametrize("translation", [True, False])
def test_long_motions_of_a_network(body: BodyModel, translation: bool) -> None:
    torch.manual_seed(0)
    net = build_module(actor_config(translation=translation)).net
    pose_format = PoseFormat(translation=translation)
    request = ChainRequest(
        [Segment("walk", 50), Segment("walk+drink", 15), Segment("sit", 11)], 20, 6, candidates=3, num_samples=2
    )
    motions = sample_chain(net, request, NAMES, pose_format, 20.0, body)
    assert [each.name for each in motions] == ["walk-walk+drink-sit_0", "walk-walk+drink-sit_1"]
    for each in motions:
        assert each.motion.poses.shape == (76, 72)
        assert each.motion.trans.shape == (76, 3)
        assert (
            each.motion.frame_actions == (("walk", "walk"),) * 50 + (("walk", "drink"),) * 15 + (("sit", "sit"),) * 11
        )
        assert each.motion.in_place == (not translation)
        assert each.z.shape == (5, net.sizes.latent_dim)
        assert bool(each.motion.trans.any()) == translation
    again = sample_chain(net, request, NAMES, pose_format, 20.0, body)
    assert torch.equal(motions[1].motion.poses, again[1].motion.poses)
    assert not torch.equal(motions[0].motion.poses, motions[1].motion.poses)
