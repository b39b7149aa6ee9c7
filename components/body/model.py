"""A body in SMPL form (Loper et al. 2015): template, shape blend shapes, joint regressor, linear blend skinning.

Frame: y up, facing +z, metres, T-pose at rest. The published arrays of smplx and ours agree to rounding.
"""

from typing import NamedTuple

import torch
from smplx.lbs import blend_shapes, vertices2joints
from torch import Tensor, nn

from components.body.skeleton import SMPL_PARENTS, forward_kinematics

NUM_BETAS = 10


class BodyOutput(NamedTuple):
    """Posed bodies: `vertices` `[N, V', 3]` and `joints` `[N, 24, 3]`, metres."""

    vertices: Tensor
    joints: Tensor


class BodyModel(nn.Module):
    """Poses a body. Buffers are not part of the state dict: a body is never inside a checkpoint.

    Args:
        v_template: `[V, 3]` rest vertices, metres.
        shapedirs: `[V, 3, 10]` shape components.
        J_regressor: `[24, V]` joints from rest vertices.
        lbs_weights: `[V, 24]` skinning weights, rows sum to 1.
        faces: `[F, 3]` vertex indices, counter-clockwise from outside.
        parents: parent of each joint, -1 for the root.
        posedirs: `[V, 3, 207]` pose blend shapes; None where they are all zero.
        uv_coords: `[U, 2]` in [0, 1], u to the right and v up as in OBJ files; None without texture coordinates.
        uv_faces: `[F, 3]` indices into `uv_coords`.
        part_names: names of the body parts, empty without a segmentation.
        face_parts: `[F]` index into `part_names`.
        extra_vertex_ids: `[21]` vertices standing for nose, eyes, ears, toes, heels and finger tips (`EXTRA_VERTICES`).
        J_regressor_extra: `[9, V]` joints of other conventions from posed vertices (`EXTRA_JOINTS`).
        shape_names: names of the shape components, empty where they have none.
    """

    v_template: Tensor
    shapedirs: Tensor
    J_regressor: Tensor
    lbs_weights: Tensor
    faces: Tensor
    posedirs: Tensor | None
    uv_coords: Tensor | None
    uv_faces: Tensor | None
    face_parts: Tensor | None
    extra_vertex_ids: Tensor | None
    J_regressor_extra: Tensor | None
    rest_joints: Tensor
    joint_shapedirs: Tensor
    skinned_template: Tensor

    def __init__(
        self,
        v_template: Tensor,
        shapedirs: Tensor,
        J_regressor: Tensor,
        lbs_weights: Tensor,
        faces: Tensor,
        parents: tuple[int, ...] = SMPL_PARENTS,
        posedirs: Tensor | None = None,
        uv_coords: Tensor | None = None,
        uv_faces: Tensor | None = None,
        part_names: tuple[str, ...] = (),
        face_parts: Tensor | None = None,
        extra_vertex_ids: Tensor | None = None,
        J_regressor_extra: Tensor | None = None,
        shape_names: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.parents = parents
        self.part_names = part_names
        self.shape_names = shape_names
        buffers: dict[str, Tensor | None] = {
            "v_template": v_template,
            "shapedirs": shapedirs,
            "J_regressor": J_regressor,
            "lbs_weights": lbs_weights,
            "faces": faces,
            "posedirs": posedirs,
            "uv_coords": uv_coords,
            "uv_faces": uv_faces,
            "face_parts": face_parts,
            "extra_vertex_ids": extra_vertex_ids,
            "J_regressor_extra": J_regressor_extra,
            # Joints are linear in the shape, so they need no vertices.
            "rest_joints": J_regressor @ v_template,
            "joint_shapedirs": torch.einsum("jv,vck->jck", J_regressor, shapedirs),
            "skinned_template": _skinning_operator(lbs_weights, v_template),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @property
    def num_vertices(self) -> int:
        """V."""
        return self.v_template.shape[0]

    def rest(self, betas: Tensor | None = None) -> BodyOutput:
        """Rest pose (T-pose) of shapes `[N, 10]`, `[10]` or None (one mean body)."""
        coefficients = self._betas(betas)
        if coefficients is None:
            return BodyOutput(self.v_template[None], self.rest_joints[None])
        vertices = self.v_template + blend_shapes(coefficients, self.shapedirs)
        return BodyOutput(vertices, vertices2joints(self.J_regressor, vertices))

    def joints(self, rotations: Tensor, betas: Tensor | None = None) -> Tensor:
        """Joint positions without touching a vertex.

        Args:
            rotations: `[N, 24, 3, 3]` local rotations, joint 0 = global orientation.
            betas: `[N, 10]`, `[10]` or None (mean shape).

        Returns:
            `[N, 24, 3]`, metres; the root stays at its rest position.
        """
        with torch.autocast(rotations.device.type, enabled=False):
            return self._kinematics(rotations.to(self.v_template.dtype), betas)[0]

    def forward(
        self,
        rotations: Tensor,
        betas: Tensor | None = None,
        transl: Tensor | None = None,
        vertex_ids: Tensor | None = None,
    ) -> BodyOutput:
        """Pose the body, in the dtype of the buffers (float32) even under autocast.

        Args:
            rotations: `[N, 24, 3, 3]` local rotations, joint 0 = global orientation.
            betas: `[N, 10]`, `[10]` or None (mean shape).
            transl: `[N, 3]` translation, metres.
            vertex_ids: `[V']` vertices wanted; None for all.
        """
        with torch.autocast(rotations.device.type, enabled=False):
            rotations = rotations.to(self.v_template.dtype)
            joints, world, rest = self._kinematics(rotations, betas)
            # x -> world (x - rest) + joint, as a 3 x 4 matrix [N, 24, 3, 4].
            offset = joints - (world @ rest.unsqueeze(-1)).squeeze(-1)
            transforms = torch.cat([world, offset.unsqueeze(-1)], dim=-1)
            vertices = self._skin(rotations, transforms, self._betas(betas), vertex_ids)
            if transl is not None:
                vertices, joints = vertices + transl[:, None], joints + transl[:, None]
            return BodyOutput(vertices, joints)

    def extra_joints(self, output: BodyOutput) -> Tensor:
        """24 body joints, 21 picked vertices and 9 regressed joints, `[N, 54, 3]` (the list of smplx and VIBE).

        Args:
            output: posed with all vertices.

        Raises:
            ValueError: the body has no picks or no extra regressor.
        """
        if self.extra_vertex_ids is None or self.J_regressor_extra is None:
            raise ValueError("this body has no extra_vertex_ids or no J_regressor_extra")
        regressed = vertices2joints(self.J_regressor_extra, output.vertices)
        return torch.cat([output.joints, output.vertices[:, self.extra_vertex_ids], regressed], dim=1)

    def _betas(self, betas: Tensor | None) -> Tensor | None:
        if betas is None:
            return None
        return torch.atleast_2d(betas.to(self.v_template.dtype))

    def _kinematics(self, rotations: Tensor, betas: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Posed joints, world rotations and rest joints, all `[N, 24, ...]`."""
        coefficients = self._betas(betas)
        rest = self.rest_joints[None]
        if coefficients is not None:
            rest = rest + torch.einsum("nk,jck->njc", coefficients, self.joint_shapedirs)
        rest = rest.expand(len(rotations), -1, -1)
        joints, world = forward_kinematics(rotations, rest, self.parents)
        return joints, world, rest

    def _skin(self, rotations: Tensor, transforms: Tensor, betas: Tensor | None, vertex_ids: Tensor | None) -> Tensor:
        """Linear blend skinning with joint transforms `[N, 24, 3, 4]`; vertices `[N, V', 3]`."""
        ids = slice(None) if vertex_ids is None else vertex_ids
        shared_shape = betas is None or len(betas) == 1
        if shared_shape and self.posedirs is None:
            # All bodies share their rest vertices: skinning is one matrix product with the weighted template.
            operator = self.skinned_template[ids]
            if betas is not None:
                shaped = self.v_template[ids] + blend_shapes(betas, self.shapedirs[ids])[0]
                operator = _skinning_operator(self.lbs_weights[ids], shaped)
            rows = transforms.permute(0, 2, 1, 3).reshape(3 * len(transforms), -1)  # N*3 96
            return (rows @ operator.T).unflatten(0, (-1, 3)).transpose(1, 2)
        vertices = self.v_template[ids][None]
        if betas is not None:
            vertices = vertices + blend_shapes(betas, self.shapedirs[ids])
        if self.posedirs is not None:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[:, 1:] - identity).flatten(1)
            directions = self.posedirs[ids].flatten(0, 1)  # V'*3 207
            vertices = vertices + (feature @ directions.T).unflatten(1, (-1, 3))
        # Vertices run along the last axis: one product and a few elementwise passes instead of many 3 x 3 products.
        rows = transforms.permute(0, 2, 3, 1).flatten(0, 2)  # N*12 24
        blended = (rows @ self.lbs_weights[ids].T).unflatten(0, (-1, 3, 4))  # N 3 4 V'
        posed = (blended[:, :, :3] * vertices.transpose(1, 2)[:, None]).sum(2) + blended[:, :, 3]
        return posed.transpose(1, 2)


def _skinning_operator(lbs_weights: Tensor, vertices: Tensor) -> Tensor:
    """`[V, 96]`: skinning weight of each joint times the homogeneous vertex."""
    homogeneous = torch.cat([vertices, torch.ones_like(vertices[:, :1])], dim=1)
    return (lbs_weights[:, :, None] * homogeneous[:, None, :]).flatten(1)
