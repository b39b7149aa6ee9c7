"""Read back by an independent reader that re-poses the skeleton as the format prescribes."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.body.loader import load_body
from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.body.skeleton import SMPL_JOINTS
from components.geometry.rotations import axis_angle_to_matrix
from components.media.gltf import continuous_quaternions, largest_weights
from components.rendering.exports import export_gltf

TYPES = {5126: np.float32, 5125: np.uint32, 5123: np.uint16, 5121: np.uint8}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def read_glb(content: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    text = content[20 : 20 + size]
    binary_size, kind = struct.unpack_from("<I4s", content, 20 + size)
    assert kind == b"BIN\0"
    assert binary_size % 4 == 0
    assert 28 + size + binary_size == length
    return json.loads(text), content[28 + size :]


def accessor(gltf: dict[str, Any], binary: bytes, index: int) -> np.ndarray:
    entry = gltf["accessors"][index]
    view = gltf["bufferViews"][entry["bufferView"]]
    dtype, width = TYPES[entry["componentType"]], WIDTHS[entry["type"]]
    assert view["byteLength"] == entry["count"] * width * np.dtype(dtype).itemsize
    values = np.frombuffer(binary, dtype, entry["count"] * width, view["byteOffset"]).reshape(entry["count"], width)
    return values


def rotation(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def sampled(times: np.ndarray, values: np.ndarray, time: float) -> np.ndarray:
    """LINEAR sampling, of rotations as a normalised mean (near to slerp for small steps)."""
    after = int(np.clip(np.searchsorted(times, time), 1, len(times) - 1))
    weight = (time - times[after - 1]) / (times[after] - times[after - 1])
    mixed = (1 - weight) * values[after - 1] + weight * values[after]
    return mixed / np.linalg.norm(mixed) if values.shape[1] == 4 else mixed


def pose(gltf: dict[str, Any], binary: bytes, time: float) -> tuple[np.ndarray, np.ndarray]:
    """World joints `[24, 3]` and skinned vertices `[V, 3]` at a time, in double precision."""
    places = [np.array(node.get("translation", [0.0] * 3)) for node in gltf["nodes"]]
    local = {index: (place, np.eye(3)) for index, place in enumerate(places)}
    (animation,) = gltf["animations"]
    for channel in animation["channels"]:
        sampler = animation["samplers"][channel["sampler"]]
        assert sampler["interpolation"] == "LINEAR"
        times = accessor(gltf, binary, sampler["input"])[:, 0]
        value = sampled(times, accessor(gltf, binary, sampler["output"]).astype(float), time)
        node, path = channel["target"]["node"], channel["target"]["path"]
        place, turn = local[node]
        local[node] = (value, turn) if path == "translation" else (place, rotation(value))
    world: dict[int, np.ndarray] = {}

    def visit(node: int, above: np.ndarray) -> None:
        matrix = np.eye(4)
        matrix[:3, 3], matrix[:3, :3] = local[node]
        world[node] = above @ matrix
        for child in gltf["nodes"][node].get("children", []):
            visit(child, world[node])

    for root in gltf["scenes"][gltf["scene"]]["nodes"]:
        visit(root, np.eye(4))
    (skin,) = gltf["skins"]
    bind = accessor(gltf, binary, skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1).astype(float)
    transforms = np.stack([world[joint] for joint in skin["joints"]]) @ bind
    shared = gltf["meshes"][0]["primitives"][0]["attributes"]
    points = accessor(gltf, binary, shared["POSITION"]).astype(float)
    joints = accessor(gltf, binary, shared["JOINTS_0"])
    weights = accessor(gltf, binary, shared["WEIGHTS_0"]).astype(float)
    blended = (transforms[joints] * weights[:, :, None, None]).sum(1)
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], 1)
    vertices = (blended @ homogeneous[:, :, None])[:, :3, 0]
    return np.stack([world[joint][:3, 3] for joint in skin["joints"]]), vertices


@pytest.fixture(scope="module")
def body() -> BodyModel:
    return load_body()


@pytest.fixture(scope="module")
def motion() -> BodyMotion:
    """Turns by more than a whole circle, so that naive quaternions would change sign."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.randn(24, 3, generator=generator)[None] * torch.sin(0.3 * torch.arange(40.0))[:, None, None] * 0.6
    poses[:, 0] = 0.25 * torch.arange(40.0)[:, None] * torch.tensor([0.0, 1.0, 0.0])
    trans = torch.stack([0.05 * torch.arange(40.0), torch.zeros(40), 0.02 * torch.arange(40.0)], 1)
    return BodyMotion(poses.flatten(1), trans, 20.0, torch.linspace(-1, 1, 10))


@pytest.fixture(scope="module")
def content(body: BodyModel, motion: BodyMotion, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path: Path = export_gltf(tmp_path_factory.mktemp("gltf") / "walk.glb", motion, body, "walk", number=1)
    return path.read_bytes()


def test_reposed_skeleton_is_our_body(body: BodyModel, motion: BodyMotion, content: bytes) -> None:
    gltf, binary = read_glb(content)
    rotations = axis_angle_to_matrix(motion.poses.unflatten(-1, (24, 3)))
    joints, weights = largest_weights(body.lbs_weights.numpy())
    four = np.zeros(body.lbs_weights.shape, dtype=np.float32)
    np.add.at(four, (np.arange(len(four))[:, None], joints), weights)
    limited = BodyModel(
        body.v_template, body.shapedirs, body.J_regressor, torch.from_numpy(four), body.faces
    )  # the same body with four weights a vertex
    for frame in (0, 1, 17, 39):
        shape = (rotations[frame : frame + 1], motion.betas, motion.trans[frame : frame + 1])
        found_joints, found_vertices = pose(gltf, binary, frame / 20.0)
        np.testing.assert_allclose(found_joints, limited(*shape).joints[0].numpy(), atol=2e-5)
        np.testing.assert_allclose(found_vertices, limited(*shape).vertices[0].numpy(), atol=5e-5)
        # Dropping the smallest weights moves little, even in these contorted poses.
        dropped = np.linalg.norm(found_vertices - body(*shape).vertices[0].numpy(), axis=1)
        assert dropped.mean() < 0.0005
        assert dropped.max() < 0.025


def test_between_frames_no_joint_takes_the_long_way(content: bytes, motion: BodyMotion) -> None:
    gltf, binary = read_glb(content)
    for frame in range(5, 39, 6):
        joints = [pose(gltf, binary, (frame + part) / 20.0)[0] for part in (0.0, 0.5, 1.0)]
        step = np.linalg.norm(joints[2] - joints[0], axis=1)
        assert (np.linalg.norm(joints[1] - joints[0], axis=1) < 0.75 * step + 0.02).all()
    (animation,) = gltf["animations"]
    turns = animation["samplers"][1:]
    for sampler in turns:
        values = accessor(gltf, binary, sampler["output"])
        assert ((values[1:] * values[:-1]).sum(1) > 0).all()
    root = accessor(gltf, binary, turns[0]["output"])
    assert root[:, 3].min() < -0.5  # the other half of the sphere is really visited


def test_structure(content: bytes, body: BodyModel, motion: BodyMotion) -> None:
    gltf, binary = read_glb(content)
    assert gltf["asset"]["version"] == "2.0"
    assert gltf["buffers"] == [{"byteLength": gltf["buffers"][0]["byteLength"]}]
    assert len(binary) - gltf["buffers"][0]["byteLength"] in range(4)
    end = 0
    for view in gltf["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] >= end
        end = view["byteOffset"] + view["byteLength"]
    assert end == gltf["buffers"][0]["byteLength"]
    for index, entry in enumerate(gltf["accessors"]):
        values = accessor(gltf, binary, index)
        if "min" in entry:
            np.testing.assert_array_equal(np.array(entry["min"], np.float32), values.min(0))
            np.testing.assert_array_equal(np.array(entry["max"], np.float32), values.max(0))
    primitives = gltf["meshes"][0]["primitives"]
    assert "min" in gltf["accessors"][primitives[0]["attributes"]["POSITION"]]
    assert [gltf["materials"][each["material"]]["name"] for each in primitives] == [
        "skin", "shirt", "trousers", "shoes", "eyes",
    ]  # fmt: skip
    corners = np.concatenate([accessor(gltf, binary, each["indices"])[:, 0] for each in primitives])
    assert len(corners) == 3 * len(body.faces)
    assert {tuple(row) for row in corners.reshape(-1, 3).tolist()} == {tuple(row) for row in body.faces.tolist()}
    weights = accessor(gltf, binary, primitives[0]["attributes"]["WEIGHTS_0"])
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    assert [node["name"] for node in gltf["nodes"]] == ["body", *SMPL_JOINTS]
    (animation,) = gltf["animations"]
    for sampler in animation["samplers"]:
        assert "min" in gltf["accessors"][sampler["input"]]
        assert gltf["accessors"][sampler["input"]]["count"] == gltf["accessors"][sampler["output"]]["count"] == 40
    assert gltf["accessors"][animation["samplers"][0]["input"]]["max"] == [np.float32(39 / 20)]
    targets = [(channel["target"]["node"], channel["target"]["path"]) for channel in animation["channels"]]
    assert targets == [(1, "translation"), *((node, "rotation") for node in range(1, 25))]


def test_signs_of_quaternions() -> None:
    quaternions = np.array([[1.0, 0, 0, 0], [-1, 0, 0, 0], [-1, 0, 0, 0], [0.9, 0.1, 0, 0]])[:, None]
    np.testing.assert_array_equal(
        continuous_quaternions(quaternions)[:, 0], [[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0.9, 0.1, 0, 0]]
    )
