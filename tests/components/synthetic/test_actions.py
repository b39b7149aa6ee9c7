"""The synthetic HumanAct12: layout, determinism, plausibility and distinctness of its motions."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from components.body.skeleton import SMPL_PARENTS, forward_kinematics
from components.errors import InputError
from components.files.safe_pickle import load_pickle
from components.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from components.synthetic.actions import ACTIONS, NUM_PERFORMERS, mirror, perform, write_humanact12
from components.synthetic.curves import Draw
from components.synthetic.performers import draw_performers

CLIPS = 8
LEFT_ELBOW, RIGHT_ELBOW, KNEES, ANKLES, TOES, WRISTS, HEAD = 18, 19, (4, 5), (7, 8), (10, 11), (20, 21), 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small set."""
    path = tmp_path_factory.mktemp("synthetic")
    write_humanact12(path, clips_per_action=CLIPS, seed=0)
    return path


@pytest.fixture(scope="module")
def content(folder: Path) -> dict:
    """Its pickle, read the way foreign pickles are read."""
    return load_pickle(folder / "humanact12poses.pkl")


def of_action(content: dict, action: str) -> list[tuple[torch.Tensor, np.ndarray]]:
    """Local rotations `[T, 24, 3, 3]` and joints (y up, floor at 0, pelvis starts over x = z = 0) of each clip."""
    clips = []
    for poses, joints, label in zip(content["poses"], content["joints3D"], content["y"]):
        if label == list(ACTIONS).index(action):
            up = joints.astype(np.float64) * [1, -1, -1] + [0, 1, 10]
            clips.append((axis_angle_to_matrix(torch.from_numpy(poses).double().view(-1, 24, 3)), up))
    return clips


def test_layout(folder: Path, content: dict) -> None:
    assert set(content) == {"poses", "joints3D", "y", "oldposes"}
    assert content["oldposes"] == []
    assert sorted(content["y"]) == sorted(list(range(12)) * CLIPS)
    for poses, joints in zip(content["poses"], content["joints3D"]):
        frames = len(poses)
        assert 60 <= frames <= 120
        assert poses.shape == (frames, 72)
        assert joints.shape == (frames, 24, 3)
        assert poses.dtype == joints.dtype == np.float32
        assert np.isfinite(poses).all()
        assert np.isfinite(joints).all()
    names = json.loads((folder / "actions.json").read_text())
    assert names["4"] == "drink"
    assert names["8"] == "turn_steering_wheel"
    assert list(names.values()) == list(ACTIONS)
    assert len((folder / "clips.csv").read_text().splitlines()) == 1 + 12 * CLIPS


def test_same_seed_same_numbers(folder: Path, tmp_path: Path) -> None:
    write_humanact12(tmp_path / "again", clips_per_action=1, seed=0)
    write_humanact12(tmp_path / "other", clips_per_action=1, seed=1)
    first, again, other = (
        load_pickle(path / "humanact12poses.pkl") for path in (folder, tmp_path / "again", tmp_path / "other")
    )
    for label in range(12):
        np.testing.assert_array_equal(first["poses"][label], again["poses"][label])
    assert not np.array_equal(first["joints3D"][1][0], other["joints3D"][1][0])


def test_camera_convention(content: dict) -> None:
    """People stand upright (y down), face the camera (-z) and start over (0, 1, 10)."""
    for poses, joints in zip(content["poses"], content["joints3D"]):
        np.testing.assert_allclose(joints[0, 0, [0, 2]], [0.0, 10.0], atol=1e-5)
        assert joints[0, HEAD, 1] < joints[0, 0, 1] - 0.3
        assert joints[0, 1, 0] > joints[0, 2, 0], "the left hip is on the camera's right"
        facing = axis_angle_to_matrix(torch.from_numpy(poses[0, :3])).numpy() @ [0, 0, 1]
        assert facing[2] < -0.6


def test_joints_are_forward_kinematics_of_the_performer(folder: Path, content: dict) -> None:
    rows = [line.split(",") for line in (folder / "clips.csv").read_text().splitlines()[1:]]
    cast = draw_performers(NUM_PERFORMERS, 0)
    for index in range(0, len(rows), 7):
        joints = torch.from_numpy(content["joints3D"][index]).double()
        rotations = axis_angle_to_matrix(torch.from_numpy(content["poses"][index]).double().view(-1, 24, 3))
        rest = cast[int(rows[index][3])].rest_joints
        expected = forward_kinematics(rotations, rest, SMPL_PARENTS)[0] + joints[:, :1]
        torch.testing.assert_close(joints, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("action", ACTIONS)
def test_joints_move_smoothly_and_bend_the_right_way(content: dict, action: str) -> None:
    for rotations, joints in of_action(content, action):
        step = matrix_to_axis_angle(rotations[:-1].transpose(-1, -2) @ rotations[1:]).norm(dim=-1)
        assert step[:, 1:].max() < 0.9, "radians per frame"
        bends = matrix_to_axis_angle(rotations)
        for knee in KNEES:
            assert bends[:, knee, 0].min() > 0.0
            assert bends[:, knee, 0].max() < 2.45
            assert bends[:, knee, 1:].abs().max() < 1e-5
        # The elbow's share of the forearm's twist is about x; without it the elbow bends about y alone.
        for elbow, sign in ((LEFT_ELBOW, -1), (RIGHT_ELBOW, 1)):
            turned = rotations[:, elbow] @ torch.tensor([-sign, 0.0, 0.0], dtype=torch.float64)
            bend = torch.atan2(turned[:, 2], -sign * turned[:, 0])
            assert bend.min() > -1e-6
            assert bend.max() < 2.75
            assert turned[:, 1].abs().max() < 1e-5
        assert joints[:, TOES, 1].min() > 0.005, "toes sink into the floor"
        assert joints[:, TOES, 1].min(axis=1).max() < (0.6 if action in ("jump", "run") else 0.08), "feet in the air"


@pytest.mark.parametrize("action", [name for name in ACTIONS if name not in ("walk", "run", "jump", "throw")])
def test_planted_feet_stay(content: dict, action: str) -> None:
    for _, joints in of_action(content, action):
        moved = joints[:, TOES] - joints[:1, TOES]
        assert np.abs(moved).max() < 0.02


@pytest.mark.parametrize(("action", "limit"), [("walk", 0.02), ("run", 0.03)])
def test_feet_do_not_slide_while_they_bear_weight(content: dict, action: str, limit: float) -> None:
    for _, joints in of_action(content, action):
        toes = joints[:, TOES]
        low = toes[..., 1] < 0.035
        moved = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1)[low[1:] & low[:-1]]
        assert len(moved) > 10
        assert np.percentile(moved, 90) < limit


def test_actions_do_what_their_names_say(content: dict) -> None:
    for _, joints in of_action(content, "walk"):
        assert 2.0 < joints[-1, 0, 2] - joints[0, 0, 2] < 6.0
        assert joints[:, TOES, 1].min(axis=1).max() < 0.06, "no flight"
    for _, joints in of_action(content, "run"):
        assert joints[-1, 0, 2] - joints[0, 0, 2] > 5.0
        assert joints[:, TOES, 1].min(axis=1).max() > 0.05, "flight"
    for _, joints in of_action(content, "jump"):
        assert joints[:, TOES, 1].min(axis=1).max() > 0.15
    for _, joints in of_action(content, "sit"):
        assert joints[-1, 0, 1] < 0.66 * joints[0, 0, 1]
    for action, times in (("drink", 1), ("eat", 2)):
        for _, joints in of_action(content, action):
            distance = np.linalg.norm(joints[:, WRISTS] - joints[:, HEAD, None], axis=-1).min(axis=1)
            near = distance < 0.5 * (distance.min() + distance.max())
            assert distance.min() < 0.30
            assert np.sum(np.diff(near.astype(int)) == 1) >= times
    for _, joints in of_action(content, "phone"):
        distance = np.linalg.norm(joints[30:, WRISTS] - joints[30:, HEAD, None], axis=-1).min(axis=1)
        assert distance.max() < 0.25


def test_legs_swing_in_turn_when_walking(content: dict) -> None:
    for _, joints in of_action(content, "walk"):
        heading = joints[-1, 0] - joints[0, 0]
        heading /= np.linalg.norm(heading)
        ahead = (joints - joints[:, :1]) @ heading
        legs = ahead[:, ANKLES[0]] - ahead[:, ANKLES[1]]
        arms = ahead[:, WRISTS[0]] - ahead[:, WRISTS[1]]
        assert np.corrcoef(legs, arms)[0, 1] < -0.6, "arms swing against the legs"


def test_classes_are_distinct(content: dict) -> None:
    """Nearest neighbour on root-relative joints, 40 resampled frames, against the clips of the other performers."""
    labels = np.array(content["y"])
    features = np.stack(
        [
            (joints - joints[:, :1])[np.linspace(0, len(joints) - 1, 40).round().astype(int)].ravel()
            for joints in content["joints3D"]
        ]
    )
    # Clip n of label l is performed by (n + l) % 12: the same clip number never brings one person twice to a label.
    half = np.arange(len(labels)) // 12 < CLIPS // 2
    distance = ((features[~half][:, None] - features[half][None]) ** 2).sum(-1)
    predicted = labels[half][distance.argmin(axis=1)]
    assert (predicted == labels[~half]).mean() >= 0.97


def test_mirror_is_its_own_inverse_and_commutes_with_kinematics() -> None:
    person = draw_performers(1, 3)[0]
    clip = perform("throw", person, Draw(5), frames=20)
    rotations = axis_angle_to_matrix(torch.from_numpy(clip.poses).double().view(-1, 24, 3))
    positions, _ = forward_kinematics(rotations, person.rest_joints)
    turned, mirrored = mirror(rotations, positions)
    torch.testing.assert_close(forward_kinematics(turned, person.rest_joints)[0], mirrored)
    torch.testing.assert_close(mirror(turned, mirrored)[0], rotations)


def test_bad_input() -> None:
    with pytest.raises(InputError, match="clips_per_action=0"):
        write_humanact12("unused", clips_per_action=0)
    with pytest.raises(InputError, match="'wlak' is not one of warm_up, walk"):
        perform("wlak", draw_performers(1, 0)[0], Draw(0))


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_humanact12(tmp_path / "file" / "inside", clips_per_action=1)
