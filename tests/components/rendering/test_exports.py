from pathlib import Path

import numpy as np
import pytest
import torch

from components.body.loader import load_body
from components.body.motion_files import BodyMotion
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix, euler_to_matrix
from components.rendering.exports import export_bvh, export_obj, skinned_mesh
from components.rendering.motion_films import settled, stand


def wave(frames: int = 35) -> BodyMotion:
    size = torch.randn(24, 3, generator=torch.Generator().manual_seed(1)) * 0.5
    poses = (size[None] * torch.sin(0.2 * torch.arange(float(frames)))[:, None, None]).flatten(1)
    trans = torch.stack([0.01 * torch.arange(float(frames)), torch.full((frames,), 2.0), torch.zeros(frames)], 1)
    return BodyMotion(poses, trans, 25.0)


def test_obj_sequence_holds_every_frame(tmp_path: Path) -> None:
    body, motion = load_body(), wave()
    assert export_obj(tmp_path / "walk", motion, body) == 35
    files = sorted((tmp_path / "walk").iterdir())
    assert [files[0].name, files[-1].name] == ["frame_0000.obj", "frame_0034.obj"]
    lines = files[33].read_text().splitlines()  # beyond the first piece that is posed at once
    points = np.array([line.split()[1:] for line in lines if line.startswith("v ")], dtype=float)
    faces = np.array([line.split()[1:] for line in lines if line.startswith("f ")], dtype=int)
    np.testing.assert_allclose(points, motion.pose(body).vertices[33].numpy(), atol=2e-5)
    np.testing.assert_array_equal(faces - 1, body.faces.numpy())


def test_obj_sequence_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "walk").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        export_obj(tmp_path / "walk", wave(2), load_body())


def test_bvh_moves_as_the_body(tmp_path: Path) -> None:
    body, motion = load_body(), wave()
    lines = export_bvh(tmp_path / "walk.bvh", motion, body).read_text().splitlines()
    offsets, names, parents, stack = [], [], [], [-1]
    for line in (line.split() for line in lines[1 : lines.index("MOTION")]):
        if line[0] in ("ROOT", "JOINT"):
            names.append(line[1])
            parents.append(stack[-1])
            stack.append(len(names) - 1)
        elif line[0] == "End":
            stack.append(-2)
        elif line[0] == "OFFSET" and stack[-1] >= 0:
            offsets.append([float(value) for value in line[1:]])
        elif line[0] == "}":
            stack.pop()
    frames = lines[lines.index("MOTION") + 1 :]
    assert frames[:2] == ["Frames: 35", "Frame Time: 0.04000000"]
    values = torch.tensor([[float(value) for value in row.split()] for row in frames[2:]])
    turns = euler_to_matrix(torch.deg2rad(values[:, 3:]).unflatten(1, (24, 3)), "ZYX")
    assert values[:, 3:].diff(dim=0).abs().max() < 90
    wanted = dict(zip(skinned_mesh(body).joint_names, motion.joints(body)[20]))
    world, places = [], []
    for joint, parent in enumerate(parents):
        if parent < 0:
            world.append(turns[20, joint])
            places.append(values[20, :3])
        else:
            world.append(world[parent] @ turns[20, joint])
            places.append(places[parent] + world[parent] @ torch.tensor(offsets[joint]))
        torch.testing.assert_close(places[joint], wanted[names[joint]], atol=1e-4, rtol=0)
    assert len(names) == 24


def test_settled_motion_stands_on_the_floor() -> None:
    body, motion = load_body(), wave()
    ground = settled(motion, body)
    torch.testing.assert_close(ground.pose(body).vertices, stand(motion, body).vertices, atol=1e-5, rtol=0)
    assert abs(float(ground.pose(body).vertices[..., 1].min())) < 1e-5
    torch.testing.assert_close(ground.trans[:, 0], motion.trans[:, 0], atol=1e-6, rtol=0)
    rotations = axis_angle_to_matrix(ground.poses.unflatten(-1, (24, 3)))
    assert torch.equal(rotations, axis_angle_to_matrix(motion.poses.unflatten(-1, (24, 3))))
