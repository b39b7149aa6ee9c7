"""The 17 keypoints of COCO on our own body in motion, and which of them the body itself hides from a camera."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from components.body.loader import EXTRA_VERTICES, load_body
from components.body.model import BodyModel
from components.body.skeleton import SMPL_JOINTS
from components.geometry.rotations import axis_rotation
from components.keypoints.skeletons import load_skeleton
from components.synthetic.actions import act
from components.synthetic.curves import FPS, Draw
from components.synthetic.feet import look_around, relaxed_arm, stand, usual_stance
from components.synthetic.figure import LEFT, RIGHT, Figure
from components.synthetic.performers import Performer

COCO = load_skeleton("coco17").joints
# The face is on the mesh: its vertices nearest to the tip of the nose, the eyes and the ears. The rest are joints of
# SMPL's tree; annotators of COCO put hips, shoulders and so on about there.
_FACE = {"nose": "nose", "left_eye": "leye", "right_eye": "reye", "left_ear": "lear", "right_ear": "rear"}
_FACE_PICKS = [EXTRA_VERTICES.index(name) for name in _FACE.values()]
_LIMB_JOINTS = [SMPL_JOINTS.index(name) for name in COCO if name not in _FACE]
assert COCO[: len(_FACE)] == tuple(_FACE)
# What can hide a joint: tubes between two points with a radius (metres of the typical adult), cut into spheres.
# `brow` lies between the ears and the eyes. Thin enough that no joint in plain view lies inside.
_TUBES: tuple[tuple[str, str, float, int], ...] = (
    ("head", "brow", 0.055, 2),
    ("pelvis", "neck", 0.085, 6),
    *((f"{side}_shoulder", f"{side}_hip", 0.06, 6) for side in ("left", "right")),
    *((f"{side}_shoulder", f"{side}_elbow", 0.04, 5) for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_wrist", 0.035, 5) for side in ("left", "right")),
    *((f"{side}_hip", f"{side}_knee", 0.065, 6) for side in ("left", "right")),
    *((f"{side}_knee", f"{side}_ankle", 0.045, 6) for side in ("left", "right")),
)


@dataclass(frozen=True)
class Motion:
    """A person over the frames of a clip: y up, metres, facing +z at first.

    Args:
        keypoints: `[T, 17, 3]` of COCO.
        solids: `[T, S, 3]` centres of spheres that fill the body.
        radii: `[S]` of the spheres.
    """

    keypoints: Tensor
    solids: Tensor
    radii: Tensor

    def hidden_from(self, eye: Tensor) -> Tensor:
        """Which keypoints the body hides from a camera at `eye [T, 3]`: `[T, 17]`, true where hidden."""
        ray = eye[:, None] - self.keypoints  # T 17 3
        length = torch.linalg.vector_norm(ray, dim=-1, keepdim=True)
        ray = ray / length
        offset = self.solids[:, None] - self.keypoints[:, :, None]  # T 17 S 3
        along = (offset @ ray[..., None]).squeeze(-1)
        away = offset.square().sum(-1) - along.square()
        blocked = (away < self.radii**2) & (along > 0) & (along < length) & ~_own_solids()
        return blocked.any(-1)

    def placed(self, turn: float, position: Tensor) -> "Motion":
        """The same turned to the left by an angle (radians) about the origin and moved by `[3]`."""
        rotation = axis_rotation("Y", torch.tensor(turn))
        keypoints, solids = (points @ rotation.T + position for points in (self.keypoints, self.solids))
        return Motion(keypoints, solids, self.radii)


@lru_cache(maxsize=1)
def _body() -> BodyModel:
    return load_body()


@lru_cache(maxsize=1)
def _own_solids() -> Tensor:
    """`[17, S]`: spheres of tubes that begin or end at the keypoint; they do not hide it."""
    rows = []
    for name in COCO:
        rows.append([name in (start, end) for start, end, _, count in _TUBES for _ in range(count)])
    return torch.tensor(rows)


def draw_shape(seed: int, person: int) -> Tensor:
    """Shape components `[10]` of one of the cast."""
    draw = Draw(seed, 6151, person)
    return torch.tensor([draw.normal(0.5) for _ in range(_body().shapedirs.shape[-1])])


def perform(
    action: str, performer: Performer, shape: Tensor, start: float, frames: int, fps: float, draw: Draw
) -> Motion:
    """An action, or a part of it.

    Args:
        action: a name of `ACTIONS`.
        performer: who acts.
        shape: `[10]` components of the body.
        start: where the clip begins, in frames of the action (20 per second).
        frames: T.
        fps: frames per second of the clip.
        draw: everything else.
    """
    last = start + (frames - 1) * FPS / fps
    rotations, positions = act(action, performer, int(last) + 2, draw)
    return _embody(rotations, positions[:, 0], performer, shape, start, frames, fps)


def idle(performer: Performer, shape: Tensor, frames: int, fps: float, draw: Draw) -> Motion:
    """Stands and looks about; arguments as for `perform`."""
    figure = Figure(performer, int((frames - 1) * FPS / fps) + 2)
    stand(figure, draw, usual_stance(performer, draw))
    figure.spine(performer.stoop)
    look_around(figure, draw)
    for side in (LEFT, RIGHT):
        relaxed_arm(figure, draw, side)
    return _embody(figure.rotations, figure.positions[:, 0], performer, shape, 0.0, frames, fps)


def _embody(
    rotations: Tensor, pelvis: Tensor, performer: Performer, shape: Tensor, start: float, frames: int, fps: float
) -> Motion:
    """Our body in a motion, read at the frames of the clip."""
    body = _body()
    if body.extra_vertex_ids is None:
        raise ValueError("this body has no vertices for eyes and ears")
    posed = body(rotations.float(), shape, vertex_ids=body.extra_vertex_ids[_FACE_PICKS])
    # The root stays at its rest position; the performer's size is not in the shape.
    joints, face = (
        (points - posed.joints[:, :1]) * performer.scale + pelvis.float()[:, None]
        for points in (posed.joints, posed.vertices)
    )
    places = {name: joints[:, index] for index, name in enumerate(SMPL_JOINTS)}
    places |= {name: face[:, index] for index, name in enumerate(_FACE)}
    places["head"] = 0.5 * (places["left_ear"] + places["right_ear"])
    places["brow"] = 0.5 * places["head"] + 0.25 * (places["left_eye"] + places["right_eye"])
    solids, radii = [], []
    for begin, end, radius, count in _TUBES:
        for share in torch.linspace(0.0, 1.0, count).tolist():
            solids.append(places[begin] + share * (places[end] - places[begin]))
            radii.append(radius * performer.scale)
    points = torch.cat([face, joints[:, _LIMB_JOINTS], torch.stack(solids, dim=1)], dim=1)
    at = start + torch.arange(frames) * (FPS / fps)
    before = at.floor().long().clamp(max=len(points) - 2)
    share = (at - before)[:, None, None]
    points = points[before] + share * (points[before + 1] - points[before])
    return Motion(points[:, : len(COCO)], points[:, len(COCO) :], torch.tensor(radii))
