"""UESTC from files in the published layout: views, subjects, frames, translations."""

import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from components.errors import InputError
from components.geometry import rotations
from datamodules.actor import ActorDataModule
from datamodules.actor.uestc import camera_translation, open_uestc, parse_name, turn_to_front
from datamodules.actor.vibe import A2M_JOINTS
from tests.datamodules.actor.vibe_files import UESTC_NAMES, motion, write_uestc

JOINTS = list(A2M_JOINTS)


@pytest.fixture
def folder(tmp_path):
    return write_uestc(tmp_path / "d")


def joints_of(clips, clip):
    return clips.joints[clips.starts[clip] : clips.starts[clip] + clips.lengths[clip]]


def test_views_and_frames(folder):
    clips = open_uestc(folder, 2)
    # The moving camera of the other side is left out, that of the front stays.
    assert clips.sources.tolist() == [0, 1, 3, 4, 5]
    assert clips.labels.tolist() == [0, 1, 1, 0, 0]
    assert clips.lengths.tolist() == [40, 44, 50, 44, 30]
    assert clips.action_names == ("punching and kicking", "jumping jack")
    front = open_uestc(folder, 2, view="frontview")
    assert front.sources.tolist() == [0, 3, 5]
    np.testing.assert_array_equal(joints_of(front, 1), joints_of(clips, 2))


def test_front_videos_get_their_translation(folder):
    source = motion(0, 40)
    translation = camera_translation(source["joints3d"], source["orig_cam"])
    expected = (source["joints3d"] + translation[:, None])[:, JOINTS]
    np.testing.assert_allclose(joints_of(open_uestc(folder, 2), 0), expected, rtol=1e-5, atol=1e-6)


def test_other_views_are_turned(folder):
    """View 2 is seen from 90 degrees: what was along x is along z afterwards."""
    source, clips = motion(1, 50), open_uestc(folder, 2)
    translation = camera_translation(source["joints3d"], source["orig_cam"])
    plain = (source["joints3d"] + translation[:, None])[:44, JOINTS]
    turned = np.stack([-plain[..., 2], plain[..., 1], plain[..., 0]], axis=-1)
    np.testing.assert_allclose(joints_of(clips, 1), turned, rtol=1e-4, atol=1e-5)
    before = rotations.axis_angle_to_matrix(torch.from_numpy(source["pose"][:44, :3]))
    after = rotations.axis_angle_to_matrix(torch.tensor(clips.poses[40:84, :3]))
    expected = torch.stack([-before[:, 2], before[:, 1], before[:, 0]], dim=1)
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(clips.poses[40:84, 3:], source["pose"][:44, 3:])


def test_translation_puts_the_body_where_the_camera_sees_it():
    """A body that the camera sees half as large is twice as far away."""
    joints = np.repeat(np.random.default_rng(0).normal(size=(1, 49, 3)), 2, axis=0)
    camera = np.array([[1.0, 1.0, 0.1, 0.2], [0.5, 0.5, 0.3, 0.2]])
    first, second = camera_translation(joints, camera)
    assert first.tolist() == [0, 0, 0]
    depth = 500 / (0.5 * 540)
    np.testing.assert_allclose(second, [0.2, 0.0, depth / 0.5 - depth])


def test_turning_keeps_distances():
    source = motion(3, 5)
    poses, joints, translation = turn_to_front(source["pose"], source["joints3d"], source["pose"][:, :3], 3)
    np.testing.assert_allclose(np.linalg.norm(joints, axis=-1), np.linalg.norm(source["joints3d"], axis=-1), rtol=1e-5)
    np.testing.assert_allclose(translation[:, 1], source["pose"][:, 1])
    assert poses.shape == (5, 72)


def test_subjects_split(folder):
    clips = open_uestc(folder, 2)
    assert clips.groups == ("p001", "p002", "p003", "p118", "p004")
    assert clips.published_split.train.tolist() == [0, 1]
    assert clips.published_split.test.tolist() == [2, 3, 4]
    data = ActorDataModule(str(folder), num_classes=2, num_frames=56, min_share=0.75,
                           dataset=partial(open_uestc, view="all"))  # fmt: skip
    data.setup()
    # 40 frames are fewer than 0.75 * 56; test clips stay whatever they have.
    assert data.split[0].tolist() == [1]
    assert len(data.val_set) == len(data.test_set) == 3
    assert data.facts()["splits"]["held_out"]
    assert data.facts()["splits"]["kind"] == "published: 51 subjects train, 67 test"
    (batch,) = data.test_dataloader()
    assert batch["motion"].shape == (3, 25, 6, 56)


def test_translations_are_kept_beside_the_data(folder, monkeypatch):
    clips = open_uestc(folder, 2)
    assert len(list((folder / ".troupe_cache").glob("*/translation.npy"))) == 1
    monkeypatch.setattr("datamodules.actor.uestc.atomic_path", lambda _: pytest.fail("computed again"))
    front = open_uestc(folder, 2, view="frontview")
    np.testing.assert_array_equal(joints_of(front, 0), joints_of(clips, 0))


def test_read_only_data(tmp_path):
    folder = write_uestc(tmp_path / "d")
    folder.chmod(0o555)
    try:
        clips = open_uestc(folder, 2, cache_dir=str(tmp_path / "cache"))
    finally:
        folder.chmod(0o755)
    assert clips.folder.parent == tmp_path / "cache"
    assert len(list((tmp_path / "cache").glob("*/translation.npy"))) == 1


def test_published_translations_are_taken(folder):
    own = [np.full((count, 3), 0.5) for count in (40, 50, 45, 60, 44, 30)]
    (folder / "globtrans_usez.pkl").write_bytes(pickle.dumps(own))
    expected = (motion(0, 40)["joints3d"] + 0.5)[:, JOINTS]
    np.testing.assert_allclose(joints_of(open_uestc(folder, 2), 0), expected, atol=1e-6)


def test_translations_of_other_data(folder):
    (folder / "globtrans_usez.pkl").write_bytes(pickle.dumps([np.zeros((3, 3))]))
    with pytest.raises(InputError, match=r"globtrans_usez\.pkl does not fit"):
        open_uestc(folder, 2)


class Hostile:
    def __reduce__(self):
        return os.system, ("exit 3",)


def change(folder, **entries):
    path = folder / "vibe_cache_refined.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | entries))


def test_hostile_and_malformed_caches(folder):
    change(folder, betas=[Hostile()])
    with pytest.raises(InputError, match="system"):
        open_uestc(folder, 2)
    change(folder, betas=[], pose=[np.zeros((3, 72))])
    with pytest.raises(InputError, match=r"lists of \[1, 6\] videos"):
        open_uestc(folder, 2)
    (folder / "vibe_cache_refined.pkl").write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match="expected a dict with the lists"):
        open_uestc(folder, 2)
    (folder / "vibe_cache_refined.pkl").unlink()
    with pytest.raises(InputError, match=r"has no 'vibe_cache_refined\.pkl'"):
        open_uestc(folder, 2)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pose", np.zeros((50, 66)), r"a1_d2_p002_c2_color\.avi: pose has shape \[50, 66\]"),
        ("joints3d", np.zeros((49, 49, 3)), "pose has 50 frames, joints3d 49"),
        ("orig_cam", np.zeros((50, 3)), r"orig_cam is no array \[50, 4\]"),
        ("joints3d", np.zeros((50, 49, 3)), "no finite translation"),
    ],
)
def test_broken_videos_are_named_or_skipped(folder, key, value, message):
    lists = pickle.loads((folder / "vibe_cache_refined.pkl").read_bytes())[key]
    lists[1] = value
    change(folder, **{key: lists})
    with pytest.raises(InputError, match=message):
        open_uestc(folder, 2)
    assert open_uestc(folder, 2, on_error="skip").sources.tolist() == [0, 3, 4, 5]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("num_frames_min.txt", "1\n2\n", "has 2 lines"), ("num_frames_min.txt", "x\n", "one whole number"),
        ("action_classes.txt", "a\n", r"data\.num_classes=1"),
        ("names.txt", "\n".join(["bad", *UESTC_NAMES[1:]]), "name is not like"),
        ("names.txt", "\n".join(["a7_d0_p001_c1_color.avi", *UESTC_NAMES[1:]]), r"action 7 lies outside 0\.\.1"),
        ("names.txt", "\n".join(["a0_d0_p119_c1_color.avi", *UESTC_NAMES[1:]]), r"subject 119 lies outside"),
    ],
)  # fmt: skip
def test_malformed_info(folder, file, text, message):
    (folder / "info" / file).write_text(text)
    with pytest.raises(InputError, match=message):
        open_uestc(folder, 2)
    (folder / "info" / file).unlink()
    with pytest.raises(InputError, match=rf"cannot read .*{file}"):
        open_uestc(folder, 2)


def test_names():
    assert parse_name("a12_d3_p045_c2_color.avi") == (12, 3, 45, 2)
    assert parse_name("a12_d3_p045_c2_depth.avi") is None
    with pytest.raises(InputError, match="frontview"):
        open_uestc("nowhere", view="side")
