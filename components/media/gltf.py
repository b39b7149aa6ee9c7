"""Binary glTF 2.0 (`.glb`) of skinned, animated bodies: what Blender, browsers and game engines open as it is.

y up, metres, seconds, as the format demands. A file holds one mesh with a skeleton (inverse bind matrices, the four
largest weights of each vertex), one flat material for each piece of clothing, and animations of joint rotations and of
the root's place.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.files.atomic import atomic_path

_MAGIC, _VERSION = 0x46546C67, 2  # "glTF"
_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_COMPONENTS = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}
# Vertices have this many joints at most; more would need a second set, which few programs read.
_INFLUENCES = 4


@dataclass(frozen=True)
class SkinnedMesh:
    """A body at rest."""

    vertices: np.ndarray
    """`[V, 3]` metres."""
    normals: np.ndarray
    """`[V, 3]` unit."""
    faces: np.ndarray
    """`[F, 3]` counter-clockwise from outside."""
    weights: np.ndarray
    """`[V, J]` skinning weights, rows sum to 1."""
    joints: np.ndarray
    """`[J, 3]` joints at rest, metres."""
    parents: Sequence[int]
    """Parent of each joint, -1 for joint 0, parents before children."""
    joint_names: Sequence[str]
    materials: Sequence[tuple[str, Sequence[float]]]
    """Names and picture values (r, g, b) in [0, 1]."""
    face_materials: np.ndarray
    """`[F]` index into `materials`."""


@dataclass(frozen=True)
class SkinnedClip:
    """One animation of a `SkinnedMesh`."""

    name: str
    rotations: np.ndarray
    """`[T, J, 4]` local rotations as unit quaternions, real part first, either sign."""
    root: np.ndarray
    """`[T, 3]` place of joint 0, metres."""
    fps: float


def write_glb(path: str | Path, mesh: SkinnedMesh, clips: Sequence[SkinnedClip], about: str = "") -> Path:
    """Write a `.glb`.

    Args:
        path: appears whole or not at all.
        mesh: the body.
        clips: its animations.
        about: goes into the file as its `copyright` note, if not empty.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(glb_bytes(mesh, clips, about))
    return Path(path)


def glb_bytes(mesh: SkinnedMesh, clips: Sequence[SkinnedClip], about: str = "") -> bytes:
    """The content of a `.glb`; see `write_glb`."""
    parts = _Parts()
    joints, weights = largest_weights(mesh.weights)
    shared = {
        "POSITION": parts.add(mesh.vertices.astype(np.float32), "VEC3", _ARRAY_BUFFER, limits=True),
        "NORMAL": parts.add(mesh.normals.astype(np.float32), "VEC3", _ARRAY_BUFFER),
        "JOINTS_0": parts.add(joints, "VEC4", _ARRAY_BUFFER),
        "WEIGHTS_0": parts.add(weights, "VEC4", _ARRAY_BUFFER),
    }
    index_type = np.uint16 if len(mesh.vertices) < 65535 else np.uint32
    primitives = []
    used = np.unique(mesh.face_materials)
    for place, material in enumerate(used):
        corners = mesh.faces[mesh.face_materials == material].reshape(-1).astype(index_type)
        indices = parts.add(corners, "SCALAR", _ELEMENT_ARRAY_BUFFER)
        primitives.append({"attributes": shared, "indices": indices, "material": place, "mode": 4})
    bind = np.tile(np.eye(4, dtype=np.float32), (len(mesh.joints), 1, 1))
    bind[:, 3, :3] = -mesh.joints  # matrices are stored column by column
    skin = {
        "name": "skeleton",
        "inverseBindMatrices": parts.add(bind.reshape(-1, 16), "MAT4"),
        "skeleton": 1,
        "joints": list(range(1, 1 + len(mesh.joints))),
    }
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Troupe"} | ({"copyright": about} if about else {}),
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "nodes": [{"name": "body", "mesh": 0, "skin": 0}, *_joint_nodes(mesh)],
        "meshes": [{"name": "body", "primitives": primitives}],
        "materials": [_material(*mesh.materials[material]) for material in used],
        "skins": [skin],
    }
    if clips:
        content["animations"] = [_animation(parts, clip) for clip in clips]
    content |= {"accessors": parts.accessors, "bufferViews": parts.views, "buffers": [{"byteLength": len(parts.data)}]}
    text = _padded(json.dumps(content, separators=(",", ":")).encode(), b" ")
    binary = _padded(bytes(parts.data), b"\0")
    chunks = struct.pack("<II", len(text), _JSON_CHUNK) + text + struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks


def largest_weights(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four largest of `[V, J]` skinning weights: joints `[V, 4]` uint8 and weights `[V, 4]` that sum to 1.

    Unused places name joint 0 with weight 0.
    """
    order = np.argsort(-weights, axis=1, kind="stable")[:, :_INFLUENCES]
    values = np.take_along_axis(weights, order, axis=1).astype(np.float32)
    values = values / values.sum(1, keepdims=True)
    return np.where(values > 0, order, 0).astype(np.uint8), values


def continuous_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """`[T, ..., 4]` with signs such that neighbours in time lie on the same side: readers may mix them linearly."""
    same_side = (quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) >= 0
    signs = np.cumprod(np.where(same_side, 1.0, -1.0), axis=0)
    return np.concatenate([quaternions[:1], quaternions[1:] * signs])


def _joint_nodes(mesh: SkinnedMesh) -> list[dict[str, Any]]:
    nodes = []
    for joint, (name, parent) in enumerate(zip(mesh.joint_names, mesh.parents)):
        offset = mesh.joints[joint] - (mesh.joints[parent] if parent >= 0 else 0.0)
        node: dict[str, Any] = {"name": name, "translation": [float(value) for value in offset]}
        children = [1 + child for child, above in enumerate(mesh.parents) if above == joint]
        if children:
            node["children"] = children
        nodes.append(node)
    return nodes


def _material(name: str, color: Sequence[float]) -> dict[str, Any]:
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in map(float, color)]
    surface = {"baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.85}
    return {"name": name, "pbrMetallicRoughness": surface}


def _animation(parts: "_Parts", clip: SkinnedClip) -> dict[str, Any]:
    times = parts.add((np.arange(len(clip.root)) / clip.fps).astype(np.float32), "SCALAR", limits=True)
    turns = continuous_quaternions(clip.rotations.astype(np.float64))[..., [1, 2, 3, 0]].astype(np.float32)
    samplers = [{"input": times, "output": parts.add(clip.root.astype(np.float32), "VEC3"), "interpolation": "LINEAR"}]
    channels = [{"sampler": 0, "target": {"node": 1, "path": "translation"}}]
    for joint in range(turns.shape[1]):
        samplers.append({"input": times, "output": parts.add(turns[:, joint], "VEC4"), "interpolation": "LINEAR"})
        channels.append({"sampler": 1 + joint, "target": {"node": 1 + joint, "path": "rotation"}})
    return {"name": clip.name, "samplers": samplers, "channels": channels}


class _Parts:
    """The binary buffer and what describes it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(self, values: np.ndarray, kind: str, target: int | None = None, limits: bool = False) -> int:
        """Append an array as one view with one accessor; returns the accessor's number."""
        values = np.ascontiguousarray(values)
        self.data.extend(bytes(-len(self.data) % 4))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": values.nbytes}
        if target is not None:
            view["target"] = target
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        self.data.extend(little.tobytes())
        accessor: dict[str, Any] = {
            "bufferView": len(self.views), "componentType": _COMPONENTS[values.dtype.name], "count": len(values),
            "type": kind,
        }  # fmt: skip
        if limits:
            flat = values.reshape(len(values), -1)
            accessor |= {"min": flat.min(0).tolist(), "max": flat.max(0).tolist()}
        self.views.append(view)
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _padded(content: bytes, filler: bytes) -> bytes:
    return content + filler * (-len(content) % 4)
