"""Motions of a body for other programs: glTF with the skinned mesh, OBJ sequences, BVH."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from components.body.model import BodyModel
from components.body.motion_files import BodyMotion
from components.body.skeleton import SMPL_JOINTS
from components.geometry.meshes import vertex_normals
from components.geometry.rotations import axis_angle_to_matrix, axis_angle_to_quaternion
from components.media.bvh import write_bvh
from components.media.gltf import SkinnedClip, SkinnedMesh, write_glb
from components.media.obj import write_obj_sequence
from components.rendering.outfits import face_pieces
from components.rendering.scene import BODY_COLORS

# Frames posed at a time for an OBJ sequence.
_FRAMES_AT_ONCE = 32


def skinned_mesh(body: BodyModel, betas: torch.Tensor | None = None, number: int = 0) -> SkinnedMesh:
    """A body at rest, in the clothes of a number where it knows its parts.

    Pose blend shapes of SMPL have no place in glTF: with them, the mesh is that of plain linear blend skinning.
    """
    rest = body.rest(None if betas is None else betas.to(body.v_template))
    if body.face_parts is None:
        materials = [("body", BODY_COLORS[number % len(BODY_COLORS)])]
        pieces = torch.zeros(len(body.faces), dtype=torch.int64)
    else:
        materials, pieces = face_pieces(body.part_names, body.face_parts, number)
    return SkinnedMesh(
        _array(rest.vertices[0]), _array(vertex_normals(rest.vertices[0], body.faces)), _array(body.faces),
        _array(body.lbs_weights), _array(rest.joints[0]), body.parents, SMPL_JOINTS, materials, _array(pieces),
    )  # fmt: skip


def export_gltf(path: str | Path, motion: BodyMotion, body: BodyModel, name: str = "motion", number: int = 0) -> Path:
    """Write a motion as `.glb`.

    Raises:
        InputError: the file cannot be written.
    """
    mesh = skinned_mesh(body, motion.betas, number)
    rotations = axis_angle_to_quaternion(motion.poses.double().unflatten(-1, (24, 3)))
    clip = SkinnedClip(name, _array(rotations), mesh.joints[0] + _array(motion.trans), motion.fps)
    return write_glb(path, mesh, [clip])


def export_obj(folder: str | Path, motion: BodyMotion, body: BodyModel) -> int:
    """Write a motion as one `.obj` for each frame; returns their number.

    Raises:
        InputError: a file cannot be written.
    """
    return write_obj_sequence(folder, _posed(motion, body), _array(body.faces))


def export_bvh(path: str | Path, motion: BodyMotion, body: BodyModel) -> Path:
    """Write a motion as `.bvh`: the skeleton alone.

    Raises:
        InputError: the file cannot be written.
    """
    joints = body.rest(None if motion.betas is None else motion.betas.to(body.v_template)).joints[0].cpu()
    rotations = axis_angle_to_matrix(motion.poses.unflatten(-1, (24, 3)))
    return write_bvh(path, rotations, joints[0] + motion.trans, joints, body.parents, SMPL_JOINTS, motion.fps)


@torch.no_grad()
def _posed(motion: BodyMotion, body: BodyModel) -> Iterator[np.ndarray]:
    device = body.v_template.device
    betas = None if motion.betas is None else motion.betas.to(device)
    for poses, trans in zip(motion.poses.split(_FRAMES_AT_ONCE), motion.trans.split(_FRAMES_AT_ONCE)):
        rotations = axis_angle_to_matrix(poses.to(device).unflatten(-1, (24, 3)))
        yield from _array(body(rotations, betas, trans.to(device)).vertices)


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()
