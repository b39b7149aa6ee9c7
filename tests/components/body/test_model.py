"""Posing equals smplx; the fast paths equal the slow one."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import smplx
import torch
from torch import Tensor

from components.body.loader import load_body
from components.body.model import BodyModel
from components.geometry.rotations import axis_angle_to_matrix
from tests.components.body.smpl_files import random_smpl


@pytest.fixture
def rotations() -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return axis_angle_to_matrix(torch.randn(5, 24, 3, generator=generator))


@pytest.fixture(params=[True, False], ids=["posedirs", "no posedirs"])
def arrays(request: pytest.FixtureRequest) -> dict:
    arrays = random_smpl()
    if not request.param:
        arrays["posedirs"] = np.zeros_like(arrays["posedirs"])
    return arrays


@pytest.fixture
def body(arrays: dict, tmp_path: Path) -> BodyModel:
    np.savez(tmp_path / "smpl.npz", **arrays)
    return load_body(tmp_path / "smpl.npz")


@pytest.mark.parametrize("shape", ["none", "one", "each"])
@pytest.mark.parametrize("translated", [True, False])
def test_equals_smplx(body: BodyModel, arrays: dict, rotations: Tensor, shape: str, translated: bool) -> None:
    reference = smplx.SMPLLayer(
        model_path="",
        data_struct=SimpleNamespace(**arrays),
        vertex_ids={name: 0 for name in smplx.vertex_ids.vertex_ids["smplh"]},
    )
    generator = torch.Generator().manual_seed(4)
    betas = {"none": None, "one": torch.randn(10, generator=generator), "each": torch.randn(5, 10, generator=generator)}
    transl = torch.randn(5, 3, generator=generator) if translated else None
    expected = reference(
        betas=torch.zeros(5, 10) if betas[shape] is None else betas[shape].expand(5, 10),
        global_orient=rotations[:, :1],
        body_pose=rotations[:, 1:],
        transl=transl,
    )
    output = body(rotations, betas[shape], transl)
    torch.testing.assert_close(output.vertices, expected.vertices, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.joints, expected.joints[:, :24], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", ["none", "one", "each"])
def test_fast_paths_equal_the_full_pass(body: BodyModel, rotations: Tensor, shape: str) -> None:
    generator = torch.Generator().manual_seed(5)
    betas = {"none": None, "one": torch.randn(10, generator=generator), "each": torch.randn(5, 10, generator=generator)}
    ids = torch.tensor([7, 3, 3, 49])
    full = body(rotations, betas[shape])
    torch.testing.assert_close(body.joints(rotations, betas[shape]), full.joints)
    picked = body(rotations, betas[shape], vertex_ids=ids)
    torch.testing.assert_close(picked.vertices, full.vertices[:, ids], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(picked.joints, full.joints)


def test_rest_pose_is_the_template(body: BodyModel) -> None:
    identity = torch.eye(3).expand(2, 24, 3, 3)
    output = body(identity)
    torch.testing.assert_close(output.vertices[1], body.v_template, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(output.joints[0], body.J_regressor @ body.v_template, rtol=1e-5, atol=1e-5)
    betas = torch.ones(2, 10)
    torch.testing.assert_close(body.rest(betas).joints, body.joints(identity, betas), rtol=1e-5, atol=1e-5)


def test_gradients_reach_rotations_and_shape(arrays: dict, tmp_path: Path) -> None:
    np.savez(tmp_path / "smpl.npz", **arrays)
    body = load_body(tmp_path / "smpl.npz").double()
    generator = torch.Generator().manual_seed(6)
    rotations = axis_angle_to_matrix(torch.randn(2, 24, 3, dtype=torch.float64, generator=generator))
    ids = torch.tensor([1, 2])
    for betas in (torch.zeros(10, dtype=torch.float64), torch.zeros(2, 10, dtype=torch.float64)):
        inputs = (rotations.requires_grad_(), betas.requires_grad_())
        assert torch.autograd.gradcheck(lambda r, b: tuple(body(r, b, vertex_ids=ids)), inputs, fast_mode=True)


def test_float32_under_autocast(body: BodyModel, rotations: Tensor) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = body(rotations, torch.ones(10))
        joints = body.joints(rotations.bfloat16())
    assert output.vertices.dtype == output.joints.dtype == joints.dtype == torch.float32
    torch.testing.assert_close(output.vertices, body(rotations, torch.ones(10)).vertices)


def test_body_stays_out_of_state_dicts(body: BodyModel) -> None:
    assert body.state_dict() == {}
    assert body.to("meta").v_template.device.type == "meta"


def test_extra_joints_are_picks_and_regressed_points(tmp_path: Path) -> None:
    arrays = random_smpl()
    rng = np.random.default_rng(1)
    arrays["extra_vertex_ids"] = rng.integers(0, 50, 21)
    arrays["J_regressor_extra"] = rng.random((9, 50))
    np.savez(tmp_path / "smpl.npz", **arrays)
    body = load_body(tmp_path / "smpl.npz")
    output = body(torch.eye(3).expand(2, 24, 3, 3))
    joints = body.extra_joints(output)
    assert joints.shape == (2, 54, 3)
    torch.testing.assert_close(joints[:, 24:45], output.vertices[:, torch.from_numpy(arrays["extra_vertex_ids"])])
    expected = torch.from_numpy(arrays["J_regressor_extra"]).float() @ output.vertices[0]
    torch.testing.assert_close(joints[0, 45:], expected, rtol=1e-5, atol=1e-5)
    np.savez(tmp_path / "plain.npz", **random_smpl())
    with pytest.raises(ValueError, match="extra_vertex_ids"):
        load_body(tmp_path / "plain.npz").extra_joints(output)
