"""Data sets made of motion files: labels, windows, what is left out, and going on after an interruption."""

import json
import os
import pickle
import re

import numpy as np
import pytest
import torch

from components.body import load_body
from components.body.skeleton import forward_kinematics
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from datamodules.actor.humanact12 import open_humanact12
from datamodules.actor.motion_set import MotionSetOptions, make_motion_set
from tests.components.body.bvh_files import smooth_motion, write_smpl_bvh

REST = load_body().rest_joints.double()


def write_bvh(path, seed=0, frames=60, **options):
    rotations, root = smooth_motion(frames, seed)
    return write_smpl_bvh(path, rotations, root, REST, **options)


@pytest.fixture
def source(tmp_path):
    for number, name in enumerate(("walk_01", "walk_02", "sit_1", "sit_2")):
        write_bvh(tmp_path / "in" / f"{name}.bvh", number)
    return tmp_path / "in"


def read(folder):
    return pickle.loads((folder / "humanact12poses.pkl").read_bytes())


def make(source, output, force=False, **options):
    return make_motion_set(source, output, MotionSetOptions(**options), force)


def test_layout_and_convention(source, tmp_path):
    done = make(source, tmp_path / "out")
    assert (done.fresh, done.action_names, done.clips_per_action) == (True, ["sit", "walk"], [2, 2])
    clips = open_humanact12(tmp_path / "out", 2)
    assert clips.action_names == ("sit", "walk")
    assert clips.names == ("sit_1.bvh", "sit_2.bvh", "walk_01.bvh", "walk_02.bvh")
    content = read(tmp_path / "out")
    for poses, joints in zip(content["poses"], content["joints3D"]):
        assert len(poses) == 40  # 59 steps of 1/30 s at 20 fps
        rotations = axis_angle_to_matrix(torch.from_numpy(poses).double().unflatten(1, (24, 3)))
        expected = forward_kinematics(rotations, REST)[0] - REST[0] + torch.from_numpy(joints[:, :1])
        np.testing.assert_allclose(joints, expected.numpy(), atol=1e-5)
        # y points down, z away, and the first frame looks at the camera.
        assert joints[0, 15, 1] < joints[0, 0, 1] < joints[0, 7, 1]
        assert joints[0, 1, 0] > joints[0, 2, 0]
        np.testing.assert_allclose(joints[0, 0, [0, 2]], [0, 10], atol=1e-6)
        forward = rotations[0, 0, :, 2]
        assert abs(float(forward[0])) < 1e-5
        assert forward[2] < 0
        assert joints[-1, 0, 2] < joints[0, 0, 2]


def test_second_call_does_nothing_and_reads_only_what_changed(source, tmp_path, monkeypatch):
    output = tmp_path / "out"
    assert make(source, output).parsed == 4
    again = make(source, output)
    assert (again.fresh, again.parsed, again.action_names) == (False, 0, ["sit", "walk"])
    write_bvh(source / "walk_02.bvh", 9)
    assert make(source, output).parsed == 1
    assert make(source, output, min_frames=10).parsed == 0
    assert make(source, output, force=True).parsed == 4
    # Interrupted while writing: the folder is still ours.
    (output / "motions.json").write_text("{}")
    assert make(source, output).fresh


def test_interrupted_reading_goes_on(source, tmp_path, monkeypatch):
    from datamodules.actor import motion_set

    original, seen = motion_set.read_source, []

    def read_two(path, *args):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(path)
        return original(path, *args)

    monkeypatch.setattr(motion_set, "read_source", read_two)
    with pytest.raises(KeyboardInterrupt):
        make(source, tmp_path / "out")
    monkeypatch.setattr(motion_set, "read_source", original)
    assert make(source, tmp_path / "out").parsed == 2


def test_broken_files_are_named_and_left_out(source, tmp_path):
    path = source / "walk_02.bvh"
    path.write_text(path.read_text()[:-400])
    (source / "sit_2.bvh").write_text("nothing")
    done = make(source, tmp_path / "out")
    assert done.clips_per_action == [1, 1]
    assert any(problem.startswith("walk_02.bvh, line") and "frame" in problem for problem in done.problems)
    assert any(problem.startswith("sit_2.bvh, line 1: found 'nothing'") for problem in done.problems)
    for file in source.iterdir():
        file.write_text("nothing")
    with pytest.raises(InputError, match=r"none of 4 bvh files.*\n.*line 1"):
        make(source, tmp_path / "other")


def test_labels_of_parts(source, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("file,action,start,end\nwalk_01,Slow Walk,0,1\nwalk_01.bvh,turn,1,\nsit_1,sit,,\n")
    done = make(source, tmp_path / "out", labels=str(table), min_frames=15)
    assert dict(zip(done.action_names, done.clips_per_action)) == {"sit": 1, "slow_walk": 1, "turn": 1}
    content = read(tmp_path / "out")
    assert [len(poses) for poses in content["poses"]] == [40, 20, 20]
    assert "walk_02.bvh: no label, left out" in done.problems
    rows = (tmp_path / "out" / "clips.csv").read_text().splitlines()
    assert rows[3] == "2,2,turn,walk_01.bvh,20,20"


def test_labels_from_folders_and_chosen_actions(tmp_path):
    for number, name in enumerate(("Walk Fast/a", "Walk Fast/b", "sit/c", "lie/d")):
        write_bvh(tmp_path / "in" / f"{name}.bvh", number)
    done = make(tmp_path / "in", tmp_path / "out", actions=["sit", "Walk Fast"])
    assert (done.action_names, done.clips_per_action) == (["sit", "walk_fast"], [1, 2])
    assert done.problems == []
    with pytest.raises(InputError, match="no file is labelled swim; there are lie, sit, walk_fast"):
        make(tmp_path / "in", tmp_path / "out", actions=["swim"])


def test_windows(source, tmp_path):
    done = make(source, tmp_path / "out", max_frames=15, min_frames=10)
    assert done.clips_per_action == [6, 6]
    content = read(tmp_path / "out")
    assert [len(poses) for poses in content["poses"]][:3] == [15, 15, 10]
    clips = open_humanact12(tmp_path / "out", 2)
    assert clips.groups[:4] == ("sit_1.bvh",) * 3 + ("sit_2.bvh",)
    short = make(source, tmp_path / "out", min_frames=40)
    assert short.problems == []
    with pytest.raises(InputError, match=r"has 40 frames at 20 fps, dataset\.min_frames=41"):
        make(source, tmp_path / "out", min_frames=41)


def smpl_arrays(seed=0, frames=60):
    rotations, root = smooth_motion(frames, seed)
    return matrix_to_axis_angle(rotations).flatten(1).numpy(), root.numpy()


Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def z_up(poses, root):
    """The same motion in the axes of AMASS."""
    turned = poses.copy()
    turned[:, :3] = matrix_to_axis_angle(torch.from_numpy(Z_UP) @ axis_angle_to_matrix(torch.from_numpy(poses[:, :3])))
    return turned, root @ Z_UP.T


@pytest.mark.parametrize("width", [72, 156, 165])
def test_amass_agrees_with_bvh(tmp_path, width):
    """The same motion as BVH and as npz with z up gives the same clip."""
    write_bvh(tmp_path / "bvh" / "walk_1.bvh")
    poses, root = z_up(*smpl_arrays())
    if width > 72:
        poses = np.concatenate([poses[:, :66], np.full((len(poses), width - 66), 0.3)], axis=1)
    (tmp_path / "npz").mkdir()
    key = "mocap_frame_rate" if width == 165 else "mocap_framerate"
    np.savez(tmp_path / "npz" / "walk_1_poses.npz", poses=poses, trans=root, betas=np.zeros(16), **{key: 30.0})
    np.savez(tmp_path / "npz" / "shape.npz", betas=np.zeros(16))
    make(tmp_path / "bvh", tmp_path / "one")
    done = make(tmp_path / "npz", tmp_path / "two")
    assert done.action_names == ["walk"]
    first, second = read(tmp_path / "one"), read(tmp_path / "two")
    np.testing.assert_allclose(second["joints3D"][0], first["joints3D"][0], atol=1e-3)


def test_smpl_pickles_in_several_forms(tmp_path):
    poses, root = smpl_arrays()
    matrices = axis_angle_to_matrix(torch.from_numpy(poses).unflatten(1, (24, 3))).numpy()
    forms = {
        "walk_1": {"poses": poses, "trans": root, "fps": 30},
        "walk_2": {"pose": poses.reshape(-1, 24, 3), "transl": root, "fps": np.float64(30)},
        "walk_3": {"body_pose": poses[:, 3:], "global_orient": poses[:, :3], "transl": root, "fps": 30},
        "walk_4": {"body_pose": matrices[:, 1:], "global_orient": matrices[:, :1], "transl": root, "fps": 30},
        "walk_5": {"smpl_poses": poses, "smpl_trans": root * 90, "smpl_scaling": np.array([90.0]), "fps": 30},
    }
    (tmp_path / "in").mkdir()
    for name, content in forms.items():
        (tmp_path / "in" / f"{name}.pkl").write_bytes(pickle.dumps(content))
    done = make(tmp_path / "in", tmp_path / "out")
    assert done.problems == []
    joints = read(tmp_path / "out")["joints3D"]
    for other in joints[1:]:
        np.testing.assert_allclose(other, joints[0], atol=1e-5)


class Hostile:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"poses": np.zeros((5, 72)), "x": Hostile()}, "is refused"), ([1], "holds a list"),
        ({"poses": np.zeros((30, 70)), "fps": 30}, r"shape \[30, 70\]"), ({"trans": np.zeros((3, 3))}, "has no poses"),
        ({"poses": np.full((30, 72), np.nan), "fps": 30}, r"NaN or infinity in 30 frame"),
        ({"poses": np.zeros((30, 72)), "trans": np.zeros((29, 3)), "fps": 30}, r"'trans' has shape \[29, 3\]"),
        ({"poses": np.zeros((30, 72))}, r"does not say its frame rate.*dataset\.fps"),
        ({"poses": np.zeros((30, 72)), "fps": 0}, "no frame rate between"),
        ({"poses": np.zeros((30, 24, 3, 3)), "fps": 30}, "no rotation matrices"), ({"poses": "x"}, "'poses' is str"),
        ({"poses": np.tile([np.pi / 4, 0, 0] + [0.0] * 69, (30, 1)), "fps": 30}, r"dataset\.up=y"),
    ],
)  # fmt: skip
def test_faulty_pickles(tmp_path, content, message):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "walk_1.pkl").write_bytes(pickle.dumps(content))
    poses, root = smpl_arrays()
    (tmp_path / "in" / "walk_2.pkl").write_bytes(pickle.dumps({"poses": poses, "trans": root, "fps": 30}))
    (problem,) = make(tmp_path / "in", tmp_path / "out").problems
    assert problem.startswith("walk_1.pkl")
    assert re.search(message, problem)


def test_folders(source, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        make(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"holds no \.bvh, \.npz or \.pkl files"):
        make(tmp_path / "empty", tmp_path / "out")
    np.savez(source / "x.npz", poses=np.zeros((3, 72)))
    with pytest.raises(InputError, match=r"4 bvh, 1 amass files; choose with dataset\.kind=bvh"):
        make(source, tmp_path / "out")
    assert make(source, tmp_path / "out", kind="bvh").fresh
    other = tmp_path / "other"
    other.mkdir()
    (other / "humanact12poses.pkl").write_text("theirs")
    with pytest.raises(InputError, match="left alone"):
        make(source, other, kind="bvh")
    assert (other / "humanact12poses.pkl").read_text() == "theirs"


@pytest.mark.parametrize("options", [{"kind": "fbx"}, {"up": "x"}, {"min_frames": 0}, {"max_frames": 3}, {"fps": 0.1},
                                     {"label_from": "x"}, {"reference": "last"}])  # fmt: skip
def test_options(options):
    with pytest.raises(InputError, match=r"dataset\."):
        MotionSetOptions(**options)


def test_card_is_plain(source, tmp_path):
    make(source, tmp_path / "out")
    card = json.loads((tmp_path / "out" / "motions.json").read_text())
    assert card["kind"] == "bvh"
    assert len(card["state"]["files"]) == 4
