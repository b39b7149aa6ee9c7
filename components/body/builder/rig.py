"""From MakeHuman's bones to the 24 SMPL joints: where the joints lie and which skin they move."""

import re
from collections.abc import Mapping

import numpy as np

from components.body.builder.makehuman import Bone, MakeHuman
from components.body.skeleton import SMPL_JOINTS

# SMPL joint as a weighted mean of MakeHuman's joint cubes; {s} is the side. Heights follow SMPL: the pelvis lies well
# above the hips, the third spine joint close above the second.
_JOINT_CUBES: dict[str, dict[str, float]] = {
    "pelvis": {"joint-pelvis": 0.5, "joint-spine-4": 0.5},
    "spine1": {"joint-spine-3": 1.0},
    "spine2": {"joint-spine-2": 0.55, "joint-spine-1": 0.45},
    "spine3": {"joint-spine-1": 1.0},
    "neck": {"joint-neck": 1.0},
    "head": {"joint-head": 1.0},
    "hip": {"joint-{s}-upper-leg": 1.0},
    "knee": {"joint-{s}-knee": 1.0},
    "ankle": {"joint-{s}-ankle": 1.0},
    "foot": {f"joint-{{s}}-toe-{toe}-1": 0.2 for toe in range(1, 6)},
    "collar": {"joint-{s}-clavicle": 0.5, "joint-{s}-scapula": 0.5},
    "shoulder": {"joint-{s}-shoulder": 1.0},
    "elbow": {"joint-{s}-elbow": 1.0},
    "wrist": {"joint-{s}-hand": 1.0},
    "hand": {f"joint-{{s}}-finger-{finger}-1": 0.25 for finger in range(2, 6)},
}
# MakeHuman's knee cubes slide along the leg as the body grows; the skin around them is the better joint.
_RING_JOINTS = ("knee",)
_RING_HEIGHT, _RING_REACH = 0.015, 0.12  # metres

# Skin of a MakeHuman bone goes to these joints (first rule that matches). Bones that straddle a joint are shared.
_BONE_RULES: tuple[tuple[str, dict[str, float]], ...] = (
    (r"root|pelvis\..|spine05", {"pelvis": 1.0}),
    (r"spine04", {"pelvis": 0.5, "spine1": 0.5}),
    (r"spine03", {"spine1": 1.0}),
    (r"spine02", {"spine1": 0.35, "spine2": 0.65}),
    (r"breast\..", {"spine2": 0.5, "spine3": 0.5}),
    (r"spine01", {"spine3": 1.0}),
    (r"neck0[12]", {"neck": 1.0}),
    (r"neck03", {"neck": 0.5, "head": 0.5}),
    (r"clavicle\..|shoulder01\..", {"collar": 1.0}),
    (r"upperarm0[12]\..", {"shoulder": 1.0}),
    (r"lowerarm0[12]\..", {"elbow": 1.0}),
    (r"wrist\..|metacarpal\d\..|finger1-1\..", {"wrist": 1.0}),
    (r"finger\d-\d\..", {"hand": 1.0}),
    (r"upperleg0[12]\..", {"hip": 1.0}),
    (r"lowerleg0[12]\..", {"knee": 1.0}),
    (r"foot\..", {"ankle": 1.0}),
    (r"toe\d-\d\..", {"foot": 1.0}),
    (r".*", {"head": 1.0}),  # jaw, eyes, lids, lips, tongue
)

# Share of the forearm's twist that a bone follows when the palm is turned down.
TWIST_SHARES: dict[str, float] = {"lowerarm01": 0.25, "lowerarm02": 0.7}


def joint_placement(source: MakeHuman) -> np.ndarray:
    """`[24, V]`: joints as weighted means of MakeHuman's vertices (helper cubes)."""
    placement = np.zeros((len(SMPL_JOINTS), len(source.mesh.vertices)))
    for row, joint in zip(placement, SMPL_JOINTS):
        side, _, kind = joint.rpartition("_")
        for cube, share in _JOINT_CUBES[kind].items():
            vertices = source.cube(cube.format(s=side[:1]))
            if kind in _RING_JOINTS:
                vertices = _skin_ring(source, vertices)
            row[vertices] += share / len(vertices)
    return placement


def _skin_ring(source: MakeHuman, cube: np.ndarray) -> np.ndarray:
    """Skin vertices at the height of a joint cube around a limb."""
    body = np.unique(source.mesh.quads["body"])
    offset = source.mesh.vertices[body] - source.mesh.vertices[cube].mean(axis=0)
    return body[(np.abs(offset[:, 1]) < _RING_HEIGHT) & (np.linalg.norm(offset, axis=1) < _RING_REACH)]


def bone_weights(source: MakeHuman, bones: Mapping[str, Bone]) -> np.ndarray:
    """`[V, B]` skinning weights of MakeHuman's bones, rows sum to 1, left and right exact mirror images."""
    names = list(bones)
    weights = np.zeros((len(source.mesh.vertices), len(names)))
    for column, bone in enumerate(bones.values()):
        weights[bone.weighted_vertices, column] = bone.weights
    opposite = [names.index(_other_side(name)) for name in names]
    weights = weights + weights[source.mesh.mirror][:, opposite]
    total = weights.sum(1, keepdims=True)
    weights[total[:, 0] == 0, names.index("root")] = 1.0  # helpers without skin
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)


def bone_to_joint(bones: Mapping[str, Bone]) -> np.ndarray:
    """`[B, 24]`: how the skin of each bone is shared among the SMPL joints, rows sum to 1."""
    shares = np.zeros((len(bones), len(SMPL_JOINTS)))
    for row, name in zip(shares, bones):
        rule = next(shares for pattern, shares in _BONE_RULES if re.fullmatch(pattern, name))
        side = {"L": "left_", "R": "right_"}.get(name.rpartition(".")[2], "")
        for kind, share in rule.items():
            row[SMPL_JOINTS.index(kind if kind in SMPL_JOINTS else side + kind)] = share
    return shares


def _other_side(name: str) -> str:
    swap = {".L": ".R", ".R": ".L"}
    return name[:-2] + swap[name[-2:]] if name[-2:] in swap else name


def smooth_weights(weights: np.ndarray, edges: np.ndarray, lengths: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Diffuse skinning weights over the skin so that joints bend in a curve.

    Args:
        weights: `[V, J]`.
        edges: `[E, 2]` vertex pairs.
        lengths: `[E]` metres.
        radius: `[V]` distance over which a vertex is blended with its surroundings, metres.

    Returns:
        `[V, J]`, rows sum to 1.
    """
    step = np.median(lengths)
    rounds = int(np.ceil((radius.max() / step) ** 2))
    conductance = np.minimum(1.0, (step / np.maximum(lengths, 1e-6)) ** 2)
    ends = np.concatenate([edges, edges[:, ::-1]])
    flow = np.concatenate([conductance, conductance])
    degree = np.bincount(ends[:, 0], flow, len(weights))
    rate = 0.5 * np.minimum(1.0, radius**2 / max(radius.max() ** 2, 1e-12))[:, None]
    order = np.argsort(ends[:, 0], kind="stable")
    starts = np.searchsorted(ends[order, 0], np.arange(len(weights)))
    targets, flow = ends[order, 1], flow[order]
    for _ in range(rounds):
        around = np.add.reduceat(weights[targets] * flow[:, None], starts) / degree[:, None]
        weights = weights + rate * (around - weights)
    return weights / weights.sum(1, keepdims=True)
