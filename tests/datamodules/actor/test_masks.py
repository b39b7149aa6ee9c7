"""Masks of actions, from the table and from the data, and the weights that follow."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from components.errors import InputError
from datamodules.actor.humanact12 import HUMANACT12_ACTIONS, open_humanact12
from datamodules.actor.masks import (
    ARM_MASK,
    LEG_MASK,
    blend_weights,
    class_masks,
    leg_action,
    leg_motion,
    load_mask_table,
)
from tests.datamodules.actor.humanact12_folder import samples, write_folder


def test_shipped_table_covers_humanact12():
    table = load_mask_table()
    assert tuple(table) == HUMANACT12_ACTIONS
    masks = class_masks(HUMANACT12_ACTIONS, None, "table")
    assert masks.shape == (12, 24)
    assert masks.min() > 0
    assert masks.max() == 1


def test_classes_outside_the_table_follow_their_legs():
    masks = class_masks(["walk", "hop", "wave", "clap"], torch.tensor([0.1, 0.2, 0.01, 0.02]))
    torch.testing.assert_close(masks[0], torch.tensor(load_mask_table()["walk"]))
    torch.testing.assert_close(masks[1], torch.tensor(LEG_MASK))
    torch.testing.assert_close(masks[2:], torch.tensor([ARM_MASK, ARM_MASK]))
    from_data = class_masks(["walk", "hop", "wave", "clap"], torch.tensor([0.1, 0.2, 0.01, 0.02]), "data")
    torch.testing.assert_close(from_data[0], torch.tensor(LEG_MASK))


def test_number_of_leg_actions_can_be_given():
    motion = torch.tensor([5.0, 4.0, 3.0, 0.1])
    assert leg_action(motion).tolist() == [True, True, True, False]
    assert leg_action(motion, 1).tolist() == [True, False, False, False]
    assert leg_action(torch.tensor([1.0])).tolist() == [False]


def test_leg_motion_sees_legs_alone(tmp_path):
    content = samples((2, 2, 1))
    for clip, label in enumerate(content["y"]):
        poses = np.zeros_like(content["poses"][clip]).reshape(-1, 24, 3)
        joint = {0: 4, 1: 18, 2: 0}[label]  # left knee, left elbow, pelvis
        poses[:, joint, 0] = np.linspace(0, 1, len(poses))
        content["poses"][clip] = poses.reshape(-1, 72)
    clips = open_humanact12(write_folder(tmp_path / "d", content), 3)
    motion = leg_motion(clips, np.arange(5), 4)
    assert motion[0] > 0.01
    assert motion[1:].tolist() == [0, 0, 0]


def test_missing_row():
    with pytest.raises(InputError, match="no row for hop"):
        class_masks(["walk", "hop"], torch.ones(2), "table")


@pytest.mark.parametrize("text", ["- 1", "walk: [1, 2]", "walk: 3", f"walk: {[2.0] * 24}", "walk: ["])
def test_malformed_table(tmp_path, text):
    path = tmp_path / "table.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"data\.mix\.mask_table"):
        load_mask_table(path)
    with pytest.raises(InputError, match="cannot read"):
        load_mask_table(tmp_path / "absent.yaml")


sixteenths = st.integers(0, 16).map(lambda n: n / 16)
masks = hnp.arrays(np.float32, (2, 24), elements=sixteenths)


@settings(max_examples=50, deadline=None)
@given(masks, masks, hnp.arrays(np.float32, 2, elements=sixteenths))
def test_weights_sum_to_one(first, second, alpha):
    first, second, alpha = torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(alpha)
    weight = blend_weights(first, second, alpha)
    assert weight.isfinite().all()
    assert weight.min() >= 0
    assert weight.max() <= 1
    torch.testing.assert_close(weight + blend_weights(second, first, 1 - alpha), torch.ones(2, 24))


def test_unclaimed_joint_takes_alpha():
    weight = blend_weights(torch.zeros(1, 2), torch.tensor([[0.0, 1.0]]), torch.tensor([0.3]))
    torch.testing.assert_close(weight, torch.tensor([[0.3, 0.0]]))
