"""Items of the dataset."""

import numpy as np
import pytest
import torch

from components.body.pose_format import PoseFormat, motion_features
from datamodules.actor.datasets import MotionDataset
from datamodules.actor.frames import FrameSampling
from datamodules.actor.humanact12 import open_humanact12
from datamodules.samplers import Draw
from tests.datamodules.actor.humanact12_folder import samples, write_folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return open_humanact12(write_folder(tmp_path_factory.mktemp("d"), samples()), 3)


@pytest.mark.parametrize("pose_rep", ["xyz", "rotvec", "rotmat", "rotquat", "rot6d"])
@pytest.mark.parametrize("translation", [True, False])
@pytest.mark.parametrize("glob", [True, False])
def test_items_equal_the_features_of_the_pickle(clips, pose_rep, translation, glob):
    pose_format = PoseFormat(pose_rep, translation, glob)
    dataset = MotionDataset(clips, np.array([4, 6]), pose_format, FrameSampling(-1))
    item = dataset[1]
    content = samples()
    poses, joints = torch.from_numpy(content["poses"][6]), torch.from_numpy(content["joints3D"][6])
    torch.testing.assert_close(item["motion"], motion_features(poses, joints[:, 0], joints, pose_format))
    assert item["motion"].shape[:2] == (pose_format.num_joints, pose_format.num_feats)
    assert item["motion"].dtype == torch.float32
    assert item["action"] == content["y"][6]
    assert dataset.labels.tolist() == [1, 2]


def test_seed_decides_the_frames(clips):
    dataset = MotionDataset(clips, np.arange(8), PoseFormat(), FrameSampling(5))
    same = [dataset[Draw(0, 7)]["motion"] for _ in range(2)]
    torch.testing.assert_close(same[0], same[1], rtol=0, atol=0)
    assert any(not torch.equal(dataset[Draw(0, seed)]["motion"], same[0]) for seed in range(8))
    centred = MotionDataset(clips, np.arange(8), PoseFormat(), FrameSampling(5), centred=True)
    assert torch.equal(centred[Draw(0, 1)]["motion"], centred[Draw(0, 2)]["motion"])


def test_translation_starts_at_zero(clips):
    item = MotionDataset(clips, np.arange(8), PoseFormat(), FrameSampling(5))[Draw(3, 2)]
    assert item["motion"][-1, :, 0].abs().max() == 0
    assert item["motion"][-1, 3:].abs().max() == 0
