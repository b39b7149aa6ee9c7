import math

import pytest
import torch

from components.body.loader import load_body
from components.body.model import BodyModel
from components.body.pose_format import encode_rotations
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix
from lightning_modules.actor.losses import masked_mse, velocity_mse
from lightning_modules.actor.rotation2xyz import JOINT_ROWS, ROOT_ROW, Rotation2XYZ, farthest_points


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


def motion_of(
    axis_angle: torch.Tensor, pose_rep: str = "rot6d", translation: torch.Tensor | None = None
) -> torch.Tensor:
    """Axis-angle `[B, T, J, 3]` (and translation `[B, T, 3]`) as `[B, J, F, T]`."""
    features = encode_rotations(axis_angle, pose_rep)
    if translation is not None:
        row = features.new_zeros(*features.shape[:2], 1, features.shape[-1])
        row[..., 0, :3] = translation
        features = torch.cat([features, row], dim=2)
    return features.permute(0, 2, 3, 1)


@pytest.mark.parametrize("jointstype", ["a2m", "a2mpl", "vibe"])
def test_joint_sets_equal_the_rows_of_the_full_list(body: BodyModel, jointstype: str) -> None:
    if body.J_regressor_extra is None:
        pytest.skip("the packaged body has no J_regressor_extra")
    torch.manual_seed(0)
    poses = 0.5 * torch.randn(1, 3, 24, 3)
    layer = Rotation2XYZ(translation=False, jointstype=jointstype, body=body)  # type: ignore[arg-type]
    points = layer(motion_of(poses), torch.ones(1, 3, dtype=torch.bool))
    every = body.extra_joints(body(axis_angle_to_matrix(poses[0])))[:, list(JOINT_ROWS[jointstype])]
    expected = every - every[:, ROOT_ROW[jointstype], None]
    torch.testing.assert_close(points[0].permute(2, 0, 1), expected, rtol=1e-4, atol=1e-5)
    assert not points[0, ROOT_ROW[jointstype]].any()


@pytest.mark.parametrize("pose_rep", ["rotvec", "rotmat", "rotquat", "rot6d"])
def test_representations_agree_and_padding_has_finite_gradients(body: BodyModel, pose_rep: str) -> None:
    torch.manual_seed(1)
    poses = 0.5 * torch.randn(2, 4, 24, 3)
    mask = torch.arange(4) < torch.tensor([[4], [2]])
    motion = (motion_of(poses, pose_rep) * mask[:, None, None]).requires_grad_()
    points = Rotation2XYZ(pose_rep, translation=False, jointstype="smpl", body=body)(motion, mask)
    expected = Rotation2XYZ("rotvec", translation=False, jointstype="smpl", body=body)(motion_of(poses, "rotvec"), mask)
    torch.testing.assert_close(points, expected, rtol=1e-4, atol=1e-5)
    assert not points[1, :, :, 2:].any()
    points.square().sum().backward()
    assert motion.grad is not None
    assert motion.grad.isfinite().all()
    assert not motion.grad[1, :, :, 2:].any()


def test_vertstrans_moves_everything_by_the_way_since_the_first_frame(body: BodyModel) -> None:
    poses, translation = torch.zeros(1, 3, 24, 3), torch.tensor([[[1.0, 0, 0], [2.0, 0, 0], [4.0, 1, 0]]])
    motion, mask = motion_of(poses, translation=translation), torch.ones(1, 3, dtype=torch.bool)
    still = Rotation2XYZ(jointstype="smpl", body=body)(motion, mask)
    moved = Rotation2XYZ(jointstype="smpl", vertstrans=True, body=body)(motion, mask)
    torch.testing.assert_close(moved - still, torch.tensor([[0.0, 1, 3], [0, 0, 1], [0, 0, 0]]).expand(1, 24, 3, 3))


def test_vertex_subset_is_a_part_of_the_mesh_and_covers_it(body: BodyModel) -> None:
    torch.manual_seed(2)
    motion, mask = motion_of(0.5 * torch.randn(1, 2, 24, 3)), torch.ones(1, 2, dtype=torch.bool)
    whole = Rotation2XYZ(translation=False, body=body)(motion, mask)
    layer = Rotation2XYZ(translation=False, vertex_count=300, body=body)
    assert layer.vertex_ids is not None
    torch.testing.assert_close(layer(motion, mask), whole[:, layer.vertex_ids])
    taken = body.v_template[layer.vertex_ids]
    assert torch.cdist(body.v_template, taken).min(dim=1).values.max() < 0.1  # metres
    assert whole.shape == (1, body.num_vertices, 3, 2)


@pytest.mark.parametrize(("vertstrans", "vertex_count"), [(False, None), (True, None), (True, 200)])
def test_compact_vertices_give_the_same_losses_and_gradients(
    body: BodyModel, vertstrans: bool, vertex_count: int | None
) -> None:
    torch.manual_seed(4)
    mask = torch.arange(4) < torch.tensor([[4], [3]])
    poses, ways = 0.5 * torch.randn(2, 2, 4, 24, 3), torch.randn(2, 2, 4, 3)
    prediction, target = (motion_of(pose, translation=way) * mask[:, None, None] for pose, way in zip(poses, ways))
    results = []
    for compact in (False, True):
        layer = Rotation2XYZ(vertstrans=vertstrans, vertex_count=vertex_count, compact=compact, body=body)
        assert layer(target, mask).shape[1] <= 96 or not compact
        motion = prediction.detach().clone().requires_grad_()
        losses = [term(layer(motion, mask), layer(target, mask), mask) for term in (masked_mse, velocity_mse)]
        results.append((*losses, *torch.autograd.grad(losses[0] + losses[1], motion)))
    for plain, combined in zip(*results):
        torch.testing.assert_close(combined, plain, rtol=1e-3, atol=1e-6)


def test_a_body_with_pose_blend_shapes_is_skinned_in_full(body: BodyModel) -> None:
    torch.manual_seed(5)
    arrays = (body.v_template, body.shapedirs, body.J_regressor, body.lbs_weights, body.faces)
    shaped = BodyModel(*arrays, posedirs=1e-3 * torch.randn(body.num_vertices, 3, 207))
    motion, mask = motion_of(torch.randn(1, 2, 24, 3)), torch.ones(1, 2, dtype=torch.bool)
    layer = Rotation2XYZ(translation=False, compact=True, body=shaped)
    assert torch.equal(layer(motion, mask), Rotation2XYZ(translation=False, body=shaped)(motion, mask))
    layer = Rotation2XYZ(translation=False, compact=True, body=body)
    assert layer(motion, mask, betas=torch.zeros(10)).shape[1] == body.num_vertices


@pytest.mark.parametrize("jointstype", ["vertices", "smpl"])
def test_recomputed_points_have_the_same_values_and_gradients(body: BodyModel, jointstype: str) -> None:
    torch.manual_seed(6)
    arrays = (body.v_template, body.shapedirs, body.J_regressor, body.lbs_weights, body.faces)
    shaped = BodyModel(*arrays, posedirs=1e-3 * torch.randn(body.num_vertices, 3, 207))
    mask = torch.arange(4) < torch.tensor([[4], [3]])
    motion = motion_of(0.5 * torch.randn(2, 4, 24, 3), translation=torch.randn(2, 4, 3)).requires_grad_()
    for betas in (None, torch.randn(10), torch.randn(8, 10)):
        results = []
        for settings in ({}, {"checkpoint": True, "chunk_frames": 3}):
            layer = Rotation2XYZ(vertstrans=True, jointstype=jointstype, body=shaped, **settings)  # type: ignore[arg-type]
            points = layer(motion, mask, betas)
            results.append((points, *torch.autograd.grad(points.square().mean(), motion)))
        for plain, again in zip(*results):
            torch.testing.assert_close(again, plain, rtol=1e-5, atol=1e-5)


def test_checkpointing_keeps_less_for_the_backward_pass(body: BodyModel) -> None:
    torch.manual_seed(7)
    arrays = (body.v_template, body.shapedirs, body.J_regressor, body.lbs_weights, body.faces)
    shaped = BodyModel(*arrays, posedirs=1e-3 * torch.randn(body.num_vertices, 3, 207))
    motion, mask = motion_of(torch.randn(1, 4, 24, 3)).requires_grad_(), torch.ones(1, 4, dtype=torch.bool)

    def kept_bytes(layer: Rotation2XYZ) -> int:
        sizes: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            layer(motion, mask)
        return sum(sizes.values())

    plain = kept_bytes(Rotation2XYZ(translation=False, body=shaped))
    recomputed = kept_bytes(Rotation2XYZ(translation=False, checkpoint=True, chunk_frames=2, body=shaped))
    assert recomputed < plain / 5


def test_farthest_points_are_spread_and_unique() -> None:
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    taken = farthest_points(points, 20)
    assert len(taken.unique()) == 20
    assert taken.tolist() == sorted(taken.tolist())
    nearest = torch.cdist(points[taken], points[taken]) + torch.eye(20)
    random = points[torch.randperm(200, generator=torch.Generator().manual_seed(1))[:20]]
    assert nearest.min() > 2 * (torch.cdist(random, random) + torch.eye(20)).min()


def test_without_global_rotation_the_fixed_one_stands_for_it(body: BodyModel) -> None:
    poses = torch.zeros(1, 1, 23, 3)
    layer = Rotation2XYZ(translation=False, glob=False, glob_rot=(math.pi, 0, 0), jointstype="smpl", body=body)
    points = layer(motion_of(poses), torch.ones(1, 1, dtype=torch.bool))[0, :, :, 0]
    rest = body.rest_joints - body.rest_joints[0]
    torch.testing.assert_close(points, rest * torch.tensor([1.0, -1.0, -1.0]), rtol=1e-4, atol=1e-5)


def test_float32_under_autocast(body: BodyModel) -> None:
    torch.manual_seed(3)
    motion, mask = motion_of(0.5 * torch.randn(1, 2, 24, 3)), torch.ones(1, 2, dtype=torch.bool)
    layer = Rotation2XYZ(translation=False, vertex_count=50, body=body)
    expected = layer(motion, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(layer(motion, mask), expected)


def test_bad_settings_are_named(body: BodyModel) -> None:
    with pytest.raises(InputError, match="jointstype"):
        Rotation2XYZ(jointstype="coco", body=body)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="chunk_frames"):
        Rotation2XYZ(chunk_frames=0, body=body)
    with pytest.raises(InputError, match="vertex_count"):
        Rotation2XYZ(vertex_count=10**6, body=body)
    bare = BodyModel(body.v_template, body.shapedirs, body.J_regressor, body.lbs_weights, body.faces)
    with pytest.raises(InputError, match="J_regressor_extra"):
        Rotation2XYZ(jointstype="vibe", body=bare)
