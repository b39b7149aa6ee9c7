"""From pose features to points in space: SMPL joints, joint sets of other conventions, or mesh vertices.

Everything runs in float32, under autocast too: Gram-Schmidt and a chain of 24 rotations do not survive bfloat16.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute_backward

from components.body.loader import EXTRA_JOINTS, EXTRA_VERTICES, load_body
from components.body.model import BodyModel
from components.body.pose_format import PoseFormat, decode_rotations, encode_rotations
from components.body.skeleton import SMPL_JOINTS, forward_kinematics
from components.errors import InputError
from components.geometry.rotations import axis_angle_to_matrix

JointsType = Literal["smpl", "a2m", "a2mpl", "vibe", "vertices"]

# Rows of the list of 54 points: 24 body joints, 21 picked vertices, 9 regressed joints.
JOINT_ROWS: dict[str, tuple[int, ...]] = {
    "smpl": tuple(range(24)),
    "a2m": (0, 12, 17, 19, 21, 16, 18, 20, 24, 2, 5, 8, 1, 4, 7, 31, 34, 48),
    "a2mpl": (*range(24), 24, 31, 34, 48),
    "vibe": (
        24, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, *range(25, 35), 8, 5, 45, 46, 4, 7, 21, 19, 17, 16, 18,
        20, *range(47, 54), 24, 26, 25, 28, 27,
    ),
}  # fmt: skip
# The row of each joint set that is put at the origin in every frame.
ROOT_ROW: dict[str, int] = {"smpl": 0, "a2m": 0, "a2mpl": 0, "vibe": 8}


def farthest_points(points: Tensor, count: int) -> Tensor:
    """Indices `[count]` of points `[V, 3]` spread evenly: each next one is farthest from those taken; ascending."""
    distance = (points - points.mean(dim=0)).square().sum(dim=-1)
    taken = [int(distance.argmax())]
    distance = torch.full_like(distance, math.inf)
    while len(taken) < count:
        distance = torch.minimum(distance, (points - points[taken[-1]]).square().sum(dim=-1))
        taken.append(int(distance.argmax()))
    return torch.tensor(sorted(taken))


def distance_factor(operator: Tensor) -> Tensor:
    """A factor of skinning `[V, K]` with at most K columns that keeps mean squared distances.

    Skinned vertices are linear in the joint transforms x `[K]`: v = S x. The mean over vertices of |S (x - y)|^2 is
    (x - y)^T G (x - y) with the small matrix G = S^T S / V, and where G = L L^T / R it is |L^T (x - y)|^2 / R too.

    Args:
        operator: S, skinning weights times homogeneous rest vertices.

    Returns:
        L, `[K, R]`, R = rank of S.
    """
    gram = operator.T.double() @ operator.double() / len(operator)
    values, vectors = torch.linalg.eigh(gram)
    kept = values > 1e-12 * values.max()
    return (vectors[:, kept] * (values[kept] * kept.sum()).sqrt()).to(operator.dtype)


class Rotation2XYZ(nn.Module):
    """Poses a body with the rotations of a motion.

    Args:
        pose_rep, translation, glob, glob_rot: the pose format of the motion, see `PoseFormat`.
        jointstype: the points wanted; joint sets are relative to their root in every frame, vertices are not.
        vertstrans: add the root translation (relative to the first frame) to all points.
        vertex_count: with `vertices`, use so many evenly spread vertices; None = all.
        compact: with `vertices`, give at most 96 combinations of them with the same mean squared distances between any
            two motions (see `distance_factor`): equal losses without computing a vertex. Where the body has pose blend
            shapes or a shape is given, all vertices are computed after all.
        checkpoint: compute the points again in the backward pass instead of keeping what led to them: less memory, more
            time. Worth it for bodies with pose blend shapes, whose steps take several times the memory of the points.
        chunk_frames: with `checkpoint`, so many frames (of all motions together) at a time; bounds that memory.
        source: the user's SMPL `.npz` or `.pkl`; None = the packaged body.
        body: a body already loaded, instead of `source`.

    Raises:
        InputError: the body lacks what the joint set needs, or a value is out of range.
    """

    point_matrix: Tensor | None
    vertex_ids: Tensor | None
    vertex_factor: Tensor | None
    identity: Tensor
    global_rotation: Tensor

    def __init__(
        self,
        pose_rep: str = "rot6d",
        translation: bool = True,
        glob: bool = True,
        glob_rot: Sequence[float] = (math.pi, 0.0, 0.0),
        jointstype: JointsType = "vertices",
        vertstrans: bool = False,
        vertex_count: int | None = None,
        compact: bool = False,
        checkpoint: bool = False,
        chunk_frames: int = 256,
        source: str | None = None,
        body: BodyModel | None = None,
    ) -> None:
        super().__init__()
        if jointstype not in get_args(JointsType):
            raise InputError(f"model.body.jointstype='{jointstype}' is not one of {', '.join(get_args(JointsType))}")
        if chunk_frames < 1:
            raise InputError(f"model.body.chunk_frames={chunk_frames} must be at least 1")
        self.checkpoint, self.chunk_frames = checkpoint, chunk_frames
        self.pose_format = PoseFormat(pose_rep, translation, glob, tuple(glob_rot))
        self.jointstype = jointstype
        self.vertstrans = vertstrans
        self.body = load_body(source) if body is None else body
        ids, matrix, factor = None, None, None
        if jointstype == "vertices":
            ids = self._subset(vertex_count)
            if compact and self.body.posedirs is None:
                factor = distance_factor(self.body.skinned_template if ids is None else self.body.skinned_template[ids])
        elif jointstype != "smpl":
            ids, matrix = self._joint_set(jointstype)
        self.register_buffer("vertex_ids", ids, persistent=False)
        self.register_buffer("point_matrix", matrix, persistent=False)
        self.register_buffer("vertex_factor", factor, persistent=False)
        identity = torch.zeros(3)
        if pose_rep != "xyz":
            identity = encode_rotations(identity, pose_rep)
        self.register_buffer("identity", identity, persistent=False)
        self.register_buffer("global_rotation", axis_angle_to_matrix(torch.tensor(list(glob_rot))), persistent=False)

    def _subset(self, vertex_count: int | None) -> Tensor | None:
        total = self.body.num_vertices
        if vertex_count is None or vertex_count == total:
            return None
        if not 1 <= vertex_count <= total:
            raise InputError(f"model.body.vertex_count={vertex_count} must lie in 1..{total}, the body's vertices")
        return farthest_points(self.body.v_template, vertex_count)

    def _joint_set(self, jointstype: str) -> tuple[Tensor, Tensor]:
        """Vertices that a joint set needs, and the matrix from 24 joints and these vertices to its points."""
        picks, regressor = self.body.extra_vertex_ids, self.body.J_regressor_extra
        if picks is None or regressor is None:
            raise InputError(
                f"model.body.jointstype={jointstype} needs extra_vertex_ids and J_regressor_extra, not in this body.\n"
                "Put J_regressor_extra.npy beside the SMPL file, or use model.body.jointstype=smpl (or vertices)"
            )
        joints, first_regressed = len(SMPL_JOINTS), len(SMPL_JOINTS) + len(EXTRA_VERTICES)
        all_rows = torch.zeros(first_regressed + len(EXTRA_JOINTS), joints + self.body.num_vertices)
        all_rows[:joints, :joints] = torch.eye(joints)
        all_rows[torch.arange(joints, first_regressed), joints + picks] = 1.0
        all_rows[first_regressed:, joints:] = regressor
        matrix = all_rows[list(JOINT_ROWS[jointstype])]
        matrix = matrix - matrix[ROOT_ROW[jointstype]]
        needed = matrix[:, joints:].any(dim=0).nonzero().squeeze(1)
        return needed, torch.cat([matrix[:, :joints], matrix[:, joints + needed]], dim=1)

    def forward(self, motion: Tensor, mask: Tensor, betas: Tensor | None = None) -> Tensor:
        """Points of every frame.

        Args:
            motion: `[B, J, F, T]` in the pose format.
            mask: bool `[B, T]`, True = real frame.
            betas: `[10]` or `[B * T, 10]` body shape; None = mean shape.

        Returns:
            `[B, N, 3, T]`, metres; 0 in frames that are not real (there minus the first translation with vertstrans).
        """
        if self.pose_format.pose_rep == "xyz":
            return motion
        with torch.autocast(motion.device.type, enabled=False):
            motion = motion.float()
            # batch frames joints feats; the many small operations on rotations want their numbers side by side
            frames = motion.permute(0, 3, 1, 2).contiguous()
            frames, translation = self.pose_format.split_translation(frames)
            # Padding is no rotation in some representations (a quaternion of length 0), so it becomes the identity.
            frames = torch.where(mask[:, :, None, None], frames, self.identity)
            rotations = decode_rotations(frames, self.pose_format.pose_rep).flatten(0, 1)
            if not self.pose_format.glob:
                rotations = torch.cat([self.global_rotation.expand(len(rotations), 1, 3, 3), rotations], dim=1)
            points = self._chunks(rotations, betas) if self.checkpoint else self._points(rotations, betas)
            points = points.unflatten(0, frames.shape[:2])  # batch frames points 3
            points = points * mask[:, :, None, None]
            if self.vertstrans and translation is not None:
                shift = (translation - translation[:, :1]).unsqueeze(2)
                if self.vertex_factor is not None and betas is None:
                    # Skinning weights sum to 1: moving all vertices adds to the offset of every joint.
                    shift = shift * self.vertex_factor[3::4].sum(dim=0).unsqueeze(1)
                points = points + shift
            return points.permute(0, 2, 3, 1)

    def _chunks(self, rotations: Tensor, betas: Tensor | None) -> Tensor:
        """`_points`, a chunk of frames at a time; the backward pass computes each chunk again."""
        parts = []
        for first in range(0, max(len(rotations), 1), self.chunk_frames):
            rows = slice(first, first + self.chunk_frames)
            own = betas[rows] if betas is not None and betas.dim() == 2 and len(betas) > 1 else betas
            # Nothing here draws random numbers.
            points = recompute_backward(
                self._points, rotations[rows], own, use_reentrant=False, preserve_rng_state=False
            )
            parts.append(points)
        return torch.cat(parts)

    def _points(self, rotations: Tensor, betas: Tensor | None) -> Tensor:
        """`[N, 24, 3, 3]` to the points of the joint set, `[N, P, 3]`."""
        if self.jointstype == "smpl":
            joints = self.body.joints(rotations, betas)
            return joints - joints[:, :1]
        if self.vertex_factor is not None and betas is None:
            return self._combinations(rotations, self.vertex_factor)
        output = self.body(rotations, betas, vertex_ids=self.vertex_ids)
        if self.point_matrix is None:
            return output.vertices
        return self.point_matrix @ torch.cat([output.joints, output.vertices], dim=1)

    def _combinations(self, rotations: Tensor, factor: Tensor) -> Tensor:
        """The vertices' combinations `[N, R, 3]` of rotations `[N, 24, 3, 3]`, mean shape."""
        rest = self.body.rest_joints
        joints, world = forward_kinematics(rotations, rest, self.body.parents)
        offset = joints - (world @ rest.unsqueeze(-1)).squeeze(-1)
        transforms = torch.cat([world, offset.unsqueeze(-1)], dim=-1)  # N 24 3 4
        rows = transforms.permute(0, 2, 1, 3).flatten(2)  # N 3 96
        return (rows @ factor).transpose(1, 2)
