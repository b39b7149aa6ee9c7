"""Weight smoothing and the T-pose on small made-up bodies."""

import numpy as np

from components.body.builder.rig import smooth_weights
from components.body.builder.t_pose import t_pose
from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS


def test_smoothing_spreads_by_the_radius() -> None:
    count, step = 201, 0.01
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1)
    position = step * (np.arange(count) - count // 2)
    sharp = np.stack([position < 0, position >= 0], axis=1).astype(float)
    lengths = np.full(count - 1, step)
    widths = []
    for radius in (0.03, 0.06):
        smooth = smooth_weights(sharp, edges, lengths, np.full(count, radius))
        np.testing.assert_allclose(smooth.sum(1), 1.0)
        assert (np.diff(smooth[:, 1]) >= -1e-12).all()
        widths.append(((smooth[:, 1] > 0.1) & (smooth[:, 1] < 0.9)).sum())
    assert widths[1] > 1.6 * widths[0] > 0
    np.testing.assert_allclose(
        smooth_weights(sharp, edges, lengths, np.where(position < 1, 0.03, 0.0))[[0, -1]], sharp[[0, -1]], atol=1e-6
    )


def a_pose() -> np.ndarray:
    """Joints of a person with hanging arms, bent elbows and spread legs."""
    place = {
        "pelvis": (0, 0, 0), "spine1": (0, 0.1, 0), "spine2": (0, 0.2, 0), "spine3": (0, 0.3, 0), "neck": (0, 0.5, 0),
        "head": (0, 0.6, 0), "hip": (0.1, -0.05, 0), "knee": (0.14, -0.45, 0.03), "ankle": (0.18, -0.85, 0),
        "foot": (0.2, -0.9, 0.12), "collar": (0.06, 0.43, 0), "shoulder": (0.17, 0.4, 0), "elbow": (0.33, 0.2, 0),
        "wrist": (0.45, 0.08, 0.16), "hand": (0.5, 0.03, 0.22),
    }  # fmt: skip
    joints = []
    for name in SMPL_JOINTS:
        side, _, kind = name.rpartition("_")
        joints.append(np.array(place[kind], dtype=float) * (-1 if side == "right" else 1, 1, 1))
    return np.stack(joints)


def test_t_pose_straightens_limbs_and_keeps_lengths() -> None:
    joints = a_pose()
    left_knuckles = joints[SMPL_JOINTS.index("left_hand")] + np.array([[0.0, 0.01, 0.03], [0.0, -0.02, -0.03]])
    knuckles = np.stack([left_knuckles, left_knuckles * (-1, 1, 1)])
    toes = joints[[SMPL_JOINTS.index("left_foot"), SMPL_JOINTS.index("right_foot")]] + (0, 0, 0.05)
    # Bones are the joints themselves; vertices are the joints and the knuckles, the latter carried by the hands.
    vertices = np.concatenate([joints, *knuckles])
    carriers = [max(parent, 0) for parent in SMPL_PARENTS] + [
        SMPL_JOINTS.index(f"{s}_hand") for s in ("left",) * 2 + ("right",) * 2
    ]
    posed, places = t_pose(vertices, joints, knuckles, toes, np.eye(24)[carriers], np.arange(24), np.zeros(24))
    np.testing.assert_allclose(posed[:24], places, atol=1e-12)
    bones = [(child, parent) for child, parent in enumerate(SMPL_PARENTS) if parent >= 0]
    for child, parent in bones:
        assert np.isclose(
            np.linalg.norm(places[child] - places[parent]), np.linalg.norm(joints[child] - joints[parent])
        )
    at = {name: places[index] for index, name in enumerate(SMPL_JOINTS)}
    for side, sign in (("left", 1), ("right", -1)):
        for first, second in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand")):
            bone = at[f"{side}_{second}"] - at[f"{side}_{first}"]
            np.testing.assert_allclose(bone / np.linalg.norm(bone), (sign, 0, 0), atol=1e-12)
        thigh, shin = at[f"{side}_knee"] - at[f"{side}_hip"], at[f"{side}_ankle"] - at[f"{side}_knee"]
        np.testing.assert_allclose(thigh[[0, 2]], 0, atol=1e-12)
        np.testing.assert_allclose(shin[[0, 2]], 0, atol=1e-12)
    # Palms down: index before little finger, both at one height.
    across = posed[24] - posed[25]
    assert across[2] > 0.05
    assert abs(across[1]) < 1e-12
    np.testing.assert_allclose(posed[26:28], posed[24:26] * (-1, 1, 1), atol=1e-12)
