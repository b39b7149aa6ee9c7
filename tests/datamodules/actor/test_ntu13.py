"""NTU13 from files in the published layout."""

import os

import numpy as np
import pytest

from components.errors import InputError
from datamodules.actor import ActorDataModule
from datamodules.actor.ntu13 import NTU13_ACTIONS, open_ntu13
from datamodules.actor.vibe import A2M_JOINTS
from tests.datamodules.actor.vibe_files import motion, write_ntu13

FILES = {
    "motions/S001C001P001R001A006.pkl": {1: motion(0, 20)},
    "motions/S001C001P002R001A102.pkl": {1: motion(1, 30, np.float64), 7: motion(2, 12)},
    "motions/S001C001P002R002A080.pkl": [None, motion(3, 25)],
}
UNTRACKED = {"motions/S001C001P003R001A006.pkl": {2: motion(4, 20)}}


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3)])
def test_clips_hold_the_files(tmp_path, compress):
    clips = open_ntu13(write_ntu13(tmp_path / "d", FILES, compress))
    assert clips.labels.tolist() == [0, 12, 8]
    assert [clips.action_names[label] for label in clips.labels] == ["pickup", "side_kick", "squat_down"]
    assert clips.fps == 30
    for clip, (start, length) in enumerate(zip(clips.starts, clips.lengths)):
        source = list(FILES.values())[clip][1]
        np.testing.assert_array_equal(clips.poses[start : start + length], source["pose"].astype(np.float32))
        joints = clips.joints[start : start + length]
        np.testing.assert_array_equal(joints[:, 0], source["joints3d"][:, 8].astype(np.float32))
        np.testing.assert_array_equal(joints, source["joints3d"][:, list(A2M_JOINTS)].astype(np.float32))
    assert clips.groups == ("P001", "P002", "P002")
    assert clips.group_kind == "person"


def test_files_without_a_person_are_left_out_and_reported(tmp_path):
    clips = open_ntu13(write_ntu13(tmp_path / "d", FILES | UNTRACKED))
    assert len(clips) == 3
    (skipped,) = clips.skipped
    assert skipped["sample"] == 3
    assert "P003R001A006.pkl: no person 1" in skipped["reason"]


class Hostile:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({1: motion(4, 20) | {"extra": Hostile()}}, "is refused: it names '.*system'"),
        ({1: motion(4, 20) | {"pose": np.zeros((20, 66))}}, r"pose has shape \[20, 66\], expected \[frames, 72\]"),
        ({1: motion(4, 20) | {"joints3d": np.zeros((20, 24, 3))}}, r"joints3d has shape \[20, 24, 3\]"),
        ({1: motion(4, 20) | {"joints3d": np.zeros((19, 49, 3))}}, "20 frames, joints3d 19"),
    ],
)
def test_broken_files_are_named_or_skipped(tmp_path, content, message):
    entry = "S001C001P003R001A007.pkl"
    folder = write_ntu13(tmp_path / "d", FILES | {entry: content})
    with pytest.raises(InputError, match=rf"(?s){entry}.*{message}.*on_error=skip"):
        open_ntu13(folder)
    assert len(open_ntu13(folder, on_error="skip")) == 3


def test_missing_and_truncated_files(tmp_path):
    folder = write_ntu13(tmp_path / "d", FILES)
    last = folder / list(FILES)[2]
    last.write_bytes(last.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"A080\.pkl is truncated"):
        open_ntu13(folder)
    last.unlink()
    with pytest.raises(InputError, match=r"A080\.pkl does not exist"):
        open_ntu13(folder)
    with pytest.raises(InputError, match=r"data\.root: cannot read .*ntu_vibe_list\.txt"):
        open_ntu13(tmp_path)
    with pytest.raises(InputError, match="13 actions"):
        open_ntu13(folder, 12)


def test_unknown_action(tmp_path):
    folder = write_ntu13(tmp_path / "d", FILES | {"S001C001P001R001A005.pkl": {1: motion(0, 20)}})
    with pytest.raises(InputError, match="no action of NTU13"):
        open_ntu13(folder)


def test_module(tmp_path):
    folder = write_ntu13(tmp_path / "d", FILES)
    data = ActorDataModule(str(folder), num_classes=13, num_frames=15, dataset=open_ntu13)
    data.setup()
    (batch,) = data.val_dataloader()
    assert batch["motion"].shape == (3, 25, 6, 15)
    assert data.facts()["fps"] == 30
    assert data.action_names == tuple(NTU13_ACTIONS.values())
    assert not data.facts()["splits"]["held_out"]
    with pytest.raises(InputError, match=r"data\.pose_rep=xyz needs the 24 SMPL joints"):
        ActorDataModule(str(folder), "xyz", num_classes=13, dataset=open_ntu13).setup()
