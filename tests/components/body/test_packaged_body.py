"""The packaged body: its file, its T-pose, its joints over the shape space, and how its skin behaves when it moves."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from components.body.loader import EXTRA_JOINTS, EXTRA_VERTICES, PACKAGED_BODY, load_body
from components.body.model import BodyModel
from components.body.skeleton import SMPL_JOINTS
from components.files.safe_pickle import load_pickle
from components.geometry.rotations import axis_angle_to_matrix

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(PACKAGED_BODY, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def joint(body: BodyModel, name: str) -> Tensor:
    return body.rest_joints[SMPL_JOINTS.index(name)]


def edges(faces: Tensor) -> tuple[Tensor, Tensor]:
    """Undirected edges and how many faces share each."""
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=1).values
    return torch.unique(pairs, dim=0, return_counts=True)


def mirrored_vertices(body: BodyModel) -> Tensor:
    """Index of the vertex nearest to each vertex's mirror image."""
    flipped = body.v_template * torch.tensor([-1.0, 1.0, 1.0])
    return torch.cat([torch.cdist(part, body.v_template).argmin(1) for part in flipped.split(1000)])


def test_file_keeps_its_promises(body: BodyModel) -> None:
    assert PACKAGED_BODY.stat().st_size <= 4e6
    assert (PACKAGED_BODY.parent / "LICENSE.md").is_file()
    assert 5000 < body.num_vertices <= 7000
    assert body.posedirs is None
    assert len(set(body.shape_names)) == 10
    assert body.extra_vertex_ids is not None
    assert len(body.extra_vertex_ids) == len(EXTRA_VERTICES) == 21
    assert body.J_regressor_extra is not None
    assert body.J_regressor_extra.shape == (len(EXTRA_JOINTS), body.num_vertices)


def test_weights_and_regressors_are_convex(body: BodyModel) -> None:
    assert body.J_regressor_extra is not None
    for rows in (body.lbs_weights, body.J_regressor, body.J_regressor_extra):
        assert rows.min() >= 0
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)), rtol=1e-5, atol=1e-5)
    assert (body.J_regressor > 0).sum(1).max() <= 40  # sparse


def test_regressor_gives_the_rig_joints_for_any_shape(body: BodyModel, arrays: dict[str, np.ndarray]) -> None:
    betas = torch.randn(200, 10, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    rig = torch.from_numpy(arrays["rig_joints"])
    rig = rig + torch.einsum("nk,jck->njc", betas, torch.from_numpy(arrays["rig_joint_shapedirs"]))
    error = (body.rest(betas).joints - rig).norm(dim=-1)
    assert error.max() < 0.005


def test_skin_is_closed_and_faces_outwards(body: BodyModel) -> None:
    _, counts = edges(body.faces)
    assert (counts == 2).all()  # a closed manifold: skin and two eyeballs
    assert len(torch.unique(body.faces)) == body.num_vertices
    a, b, c = body.v_template[body.faces].unbind(1)
    volume = (a * torch.linalg.cross(b, c)).sum() / 6
    assert 0.04 < volume < 0.09  # cubic metres
    area = torch.linalg.cross(b - a, c - a).norm(dim=1) / 2
    assert area.min() > 1e-9


def test_left_and_right_agree(body: BodyModel) -> None:
    mirror = mirrored_vertices(body)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    assert torch.equal(mirror[mirror], torch.arange(body.num_vertices))
    torch.testing.assert_close(body.v_template[mirror] * flip, body.v_template, rtol=0, atol=1e-6)
    torch.testing.assert_close(body.shapedirs[mirror] * flip[:, None], body.shapedirs, rtol=0, atol=1e-4)
    swap = [
        SMPL_JOINTS.index(name.replace("left_", "x_").replace("right_", "left_").replace("x_", "right_"))
        for name in SMPL_JOINTS
    ]
    torch.testing.assert_close(body.lbs_weights[mirror][:, swap], body.lbs_weights, rtol=0, atol=1e-5)
    torch.testing.assert_close(body.rest_joints[swap] * flip, body.rest_joints, rtol=0, atol=1e-4)


def test_t_pose(body: BodyModel) -> None:
    low, high = body.v_template.min(0).values, body.v_template.max(0).values
    assert 1.5 < high[1] - low[1] < 1.9  # height, y up
    assert 1.4 < high[0] - low[0] < 1.9  # arms out along x
    shoulder, elbow, wrist, hand = (joint(body, f"left_{n}") for n in ("shoulder", "elbow", "wrist", "hand"))
    assert 0 < shoulder[0] < elbow[0] < wrist[0] < hand[0]
    for point in (elbow, wrist, hand):
        assert (point - shoulder)[1:].abs().max() < 0.01
    hip, knee, ankle, foot = (joint(body, f"left_{n}") for n in ("hip", "knee", "ankle", "foot"))
    assert (knee - hip)[[0, 2]].abs().max() < 0.01
    assert (ankle - hip)[[0, 2]].abs().max() < 0.01
    assert hip[1] > knee[1] > ankle[1] > foot[1]
    assert foot[2] - ankle[2] > 0.08  # toes point to +z
    assert joint(body, "pelvis").norm() < 0.01
    assert joint(body, "pelvis")[1] < joint(body, "spine3")[1] < joint(body, "neck")[1] < joint(body, "head")[1]


def test_picked_vertices_lie_where_they_should(body: BodyModel) -> None:
    assert body.extra_vertex_ids is not None
    points = dict(zip(EXTRA_VERTICES, body.v_template[body.extra_vertex_ids]))
    assert points["nose"][2] > joint(body, "head")[2] + 0.05
    assert points["lear"][0] > 0.05 > -0.05 > points["rear"][0]
    assert points["leye"][0] > 0 > points["reye"][0]
    for side, sign in (("l", 1.0), ("r", -1.0)):
        for finger in ("thumb", "index", "middle", "ring", "pinky"):
            assert (
                sign * points[side + finger][0] > sign * joint(body, "left_wrist" if side == "l" else "right_wrist")[0]
            )
        # Palms down: the thumb is in front, the little finger behind.
        assert points[f"{side}thumb"][2] > points[f"{side}index"][2] > points[f"{side}pinky"][2]
        foot = side.upper()
        assert points[f"{foot}Heel"][2] < 0 < points[f"{foot}BigToe"][2]
        assert abs(points[f"{foot}SmallToe"][0]) > abs(points[f"{foot}BigToe"][0])


def test_extra_joints_lie_where_they_should(body: BodyModel) -> None:
    output = body(torch.eye(3).expand(1, 24, 3, 3))
    points = dict(zip(EXTRA_JOINTS, body.extra_joints(output)[0, 45:]))
    assert points["right_hip_lsp"][0] < 0 < points["left_hip_lsp"][0]
    top = body.v_template[:, 1].max()
    order = ["pelvis_mpii", "spine_h36m", "thorax_mpii", "neck_lsp", "jaw_h36m", "head_h36m", "head_top_lsp"]
    heights = [float(points[name][1]) for name in order]
    assert heights == sorted(heights)
    assert top - heights[-1] < 0.02
    for name in order:
        assert abs(points[name][0]) < 0.005


def test_texture_coordinates(body: BodyModel) -> None:
    assert body.uv_coords is not None
    assert body.uv_faces is not None
    assert body.uv_coords.min() >= 0
    assert body.uv_coords.max() <= 1
    a, b, c = body.uv_coords[body.uv_faces].unbind(1)
    signed = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert (signed > 0).float().mean() > 0.99  # nearly no triangle is flipped
    assert 0.3 < signed.abs().sum() < 1.0  # the charts fill the square and do not lie on each other
    # One texture corner belongs to one vertex only.
    owner = torch.full((len(body.uv_coords),), -1)
    owner[body.uv_faces.flatten()] = body.faces.flatten()
    assert torch.equal(owner[body.uv_faces], body.faces)


def test_parts_cover_the_body(body: BodyModel) -> None:
    assert body.face_parts is not None
    counts = torch.bincount(body.face_parts, minlength=len(body.part_names))
    assert len(body.part_names) >= 10
    assert counts.min() > 50
    centres = body.v_template[body.faces].mean(1)
    mean = {name: centres[body.face_parts == part].mean(0) for part, name in enumerate(body.part_names)}
    assert mean["head"][1] > mean["neck"][1] > mean["torso"][1] > mean["hips"][1] > mean["left_thigh"][1]
    for limb in ("upper_arm", "lower_arm", "hand", "thigh", "shin", "foot"):
        assert mean[f"left_{limb}"][0] > 0 > mean[f"right_{limb}"][0]
        torch.testing.assert_close(mean[f"left_{limb}"][1:], mean[f"right_{limb}"][1:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("beta", [-2.0, 2.0])
def test_shapes_are_people(body: BodyModel, beta: float) -> None:
    output = body.rest(beta * torch.eye(10))
    heights = output.vertices[..., 1].amax(1) - output.vertices[..., 1].amin(1)
    assert heights.min() > 1.3
    assert heights.max() < 2.1
    change = (output.vertices - body.v_template).norm(dim=-1).amax(1)
    assert change.min() > 0.02  # every component is visible
    named = dict(zip(body.shape_names, heights - heights.mean()))
    assert (named["height"] > 0) == (beta > 0)
    # The arms stay out along x in every shape.
    arm = output.joints[:, SMPL_JOINTS.index("left_wrist")] - output.joints[:, SMPL_JOINTS.index("left_shoulder")]
    assert (arm[:, 1:].abs().amax(1) < 0.02).all()


def stretch(body: BodyModel, rotations: Tensor) -> Tensor:
    """Length of each edge over its rest length, `[N, E]`; edges under 5 mm count as 5 mm long."""
    pairs, _ = edges(body.faces)
    posed = body(rotations).vertices[:, pairs]
    rest = (body.v_template[pairs[:, 0]] - body.v_template[pairs[:, 1]]).norm(dim=-1).clamp(min=0.005)
    return (posed[:, :, 0] - posed[:, :, 1]).norm(dim=-1) / rest


def test_skin_does_not_tear_in_strong_poses(body: BodyModel) -> None:
    degrees = {
        "arms down": {"left_shoulder": (0, 0, -75), "right_shoulder": (0, 0, 75)},
        "arms up": {"left_shoulder": (0, 0, 80), "right_shoulder": (0, 0, -80)},
        "sitting": {"left_hip": (-90, 0, 10), "right_hip": (-90, 0, -10), "left_knee": (90, 0, 0)},
        "split": {"left_hip": (-70, 0, 0), "right_hip": (40, 0, 0), "left_elbow": (0, -120, 0)},
    }  # fmt: skip
    axis_angle = torch.zeros(len(degrees), 24, 3)
    for row, pose in zip(axis_angle, degrees.values()):
        for name, angles in pose.items():
            row[SMPL_JOINTS.index(name)] = torch.tensor(angles) * torch.pi / 180
    ratios = stretch(body, axis_angle_to_matrix(axis_angle))
    assert ratios.max() < 2.0
    assert (ratios > 1.6).float().mean() < 0.001
    # A tube that collapses loses its volume; linear blending costs a sitting body some.
    a, b, c = body(axis_angle_to_matrix(axis_angle)).vertices[:, body.faces].unbind(2)
    volumes = (a * torch.linalg.cross(b, c)).sum((1, 2)) / 6
    a, b, c = body.v_template[body.faces].unbind(1)
    assert (volumes / ((a * torch.linalg.cross(b, c)).sum() / 6) - 1).abs().max() < 0.1


def test_skin_does_not_tear_in_motion_capture(body: BodyModel) -> None:
    path = DATA / "humanact12_format" / "humanact12poses.pkl"
    if not path.is_file():
        pytest.skip(f"no motion capture at {path}: set TROUPE_DATA to the folder that holds it")
    content = load_pickle(path)
    first_of = {int(label): index for index, label in reversed(list(enumerate(content["y"])))}
    poses = np.stack([content["poses"][index][len(content["poses"][index]) // 2] for index in first_of.values()])
    rotations = axis_angle_to_matrix(torch.from_numpy(poses).float().reshape(-1, 24, 3))
    rotations[:, 0] = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ rotations[:, 0]
    assert stretch(body, rotations).max() < 2.0
    # Upright once the camera's y is turned up.
    joints = body.joints(rotations)
    assert (joints[:, SMPL_JOINTS.index("head"), 1] > joints[:, SMPL_JOINTS.index("left_knee"), 1]).all()
