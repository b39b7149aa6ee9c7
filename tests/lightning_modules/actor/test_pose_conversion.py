import math

import pytest
import torch
from torch import Tensor

from components.body.pose_format import PoseFormat, motion_features
from components.errors import InputError
from lightning_modules.actor.pose_conversion import convert_motion

POSES = 0.4 * torch.randn(2, 8, 72, generator=torch.Generator().manual_seed(0))
ROOT = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(1)).cumsum(dim=1)
LENGTHS = torch.tensor([8, 5])
MASK = torch.arange(8) < LENGTHS[:, None]


def motion(pose_format: PoseFormat) -> Tensor:
    """Two motions, one of them padded, as the data give them."""
    rows = [motion_features(poses, root, None, pose_format) for poses, root in zip(POSES, ROOT)]
    return torch.stack(rows) * MASK[:, None, None]


@pytest.mark.parametrize("target", ["rot6d", "rotmat", "rotquat", "rotvec"])
@pytest.mark.parametrize("source", ["rot6d", "rotmat", "rotquat", "rotvec"])
def test_what_the_data_give_in_the_target_format(source: str, target: str) -> None:
    given, wanted = PoseFormat(source), PoseFormat(target)
    converted = convert_motion(motion(given), MASK, given, wanted)
    expected = motion(wanted)
    if target == "rotquat":  # q and -q are one rotation; the translation row is none
        sign = torch.where((converted * expected).sum(dim=2, keepdim=True) < 0, -1.0, 1.0)
        sign[:, -1] = 1.0
        converted = sign * converted
    torch.testing.assert_close(converted, expected, rtol=0, atol=2e-5)


def test_rows_are_dropped_without_touching_the_others() -> None:
    given = PoseFormat("rot6d", translation=True)
    broken = motion(given) + 0.1 * MASK[:, None, None]  # no rotations any more, like what a network gives
    result = convert_motion(broken, MASK, given, PoseFormat("rot6d", translation=False))
    assert torch.equal(result, broken[:, :-1])
    result = convert_motion(broken, MASK, given, PoseFormat("rot6d", translation=False, glob=False))
    assert torch.equal(result, broken[:, 1:-1])
    assert convert_motion(broken, MASK, given, PoseFormat("rot6d", glob_rot=(0.0, 0.0, 0.0))) is broken


def test_a_missing_orientation_is_the_constant_one() -> None:
    given, wanted = PoseFormat("rotvec", True, False, (math.pi, 0.0, 0.0)), PoseFormat("rotvec")
    result = convert_motion(motion(given), MASK, given, wanted)
    assert torch.equal(result[0, 0], torch.tensor([math.pi, 0.0, 0.0])[:, None].expand(3, 8))
    assert torch.equal(result[:, 1:], motion(wanted)[:, 1:])
    assert (result[1, ..., 5:] == 0).all()


def test_what_is_not_known_is_not_invented() -> None:
    still = PoseFormat("rot6d", translation=False)
    with pytest.raises(InputError, match=r"Train the recogniser with data\.translation=false"):
        convert_motion(motion(still), MASK, still, PoseFormat("rot6d"))
    with pytest.raises(InputError, match=r"data\.pose_rep=rot6d"):
        convert_motion(motion(still), MASK, still, PoseFormat("xyz"))
    points = torch.randn(2, 24, 3, 8)
    assert convert_motion(points, MASK, PoseFormat("xyz"), PoseFormat("xyz", translation=False)) is points
