"""People in synthetic films: the packaged body, dressed in textures of the scene, in procedural motion."""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from components.body.evaluation_names import JHMDB_JOINTS, VIP_CLASSES
from components.body.loader import load_body
from components.body.model import BodyModel
from components.geometry.meshes import face_corners, vertex_normals
from components.geometry.rotations import axis_rotation
from components.rendering.rasterizer import visible_fragments
from components.rendering.shading import gather_vertices
from components.synthetic.actions import ACTIONS
from components.synthetic.curves import Draw, wander
from components.synthetic.performers import draw_performers
from components.synthetic.textures import draw_texture

# Joints of JHMDB as means of joints of ours (24 SMPL joints).
_JHMDB_OF: dict[str, tuple[int, ...]] = {
    "neck": (12,), "belly": (0, 3), "face": (15,), "right-shoulder": (17,), "left-shoulder": (16,), "right-hip": (2,),
    "left-hip": (1,), "right-elbow": (19,), "left-elbow": (18,), "right-knee": (5,), "left-knee": (4,),
    "right-wrist": (21,), "left-wrist": (20,), "right-ankle": (8,), "left-ankle": (7,),
}  # fmt: skip
# Parts of the body that are of one class of VIP whatever is worn; shins and lower arms are not.
_VIP_OF_PART: dict[str, str] = {
    "head": "face",
    "eyes": "face",
    "neck": "torso-skin",
    "torso": "upper-clothes",
    "hips": "pants",
    "thigh": "pants",
    "foot": "shoe",
    "hand": "arm",
}
_SKINS = ((0.86, 0.68, 0.57), (0.72, 0.52, 0.41), (0.90, 0.74, 0.64), (0.56, 0.40, 0.32), (0.45, 0.31, 0.25))
_BODY_HEIGHT = 1.7  # metres
_SHORTEST_ACTION = 64  # frames


@lru_cache(maxsize=1)
def _body() -> BodyModel:
    return load_body()


@dataclass(frozen=True)
class Paint:
    """Covered pixels of some frames: `pixel [K]` into n*H*W, sorted, `color [K, 3]`, `cover [K]` in (0, 1] and
    `part [K]` VIP class of the nearest surface there."""

    pixel: Tensor
    color: Tensor
    cover: Tensor
    part: Tensor


@dataclass(frozen=True)
class Person:
    """One person over all frames of a clip, in the picture's pixels.

    Args:
        vertices: `[T, V, 3]` x to the right, y down, z away, pixels; the pixel's centre is the whole number.
        joints: `[T, 24, 3]` likewise.
        colors: `[V, 3]` own colours.
        light: unit vector towards the light in the vertices' frame.
        parts: `[F]` VIP class of each face.
        size: (height, width) of the picture.
        side: samples per pixel and axis.
    """

    vertices: Tensor
    joints: Tensor
    colors: Tensor
    light: Tensor
    parts: Tensor
    size: tuple[int, int]
    side: int = 1

    def paint(self, frames: slice) -> Paint:
        """The person alone in some frames of the clip."""
        (height, width), side, faces = self.size, self.side, _body().faces
        points = self.vertices[frames]
        # Raster space of the rasteriser: pixel centres at (2c + 1 - W) / W, y up, depth positive.
        raster = torch.stack(
            [
                (2 * points[..., 0] + 1 - width) / width,
                (height - 1 - 2 * points[..., 1]) / height,
                points[..., 2] / height + 10.0,
            ],
            dim=-1,
        )
        found = visible_fragments(face_corners(raster, faces), (height * side, width * side), near=0.1, far=100.0)
        normals = vertex_normals(points, faces)
        diffuse = (normals @ self.light).clamp(min=0) * 0.55 + 0.62 - 0.10 * normals[..., 1]
        color = gather_vertices(self.colors * diffuse.unsqueeze(-1), faces, found)
        part = self.parts[found.face % len(faces)]
        if side == 1:
            return Paint(found.pixel, color, torch.ones_like(color[:, 0]), part)
        line = torch.div(found.pixel, width * side, rounding_mode="floor")
        column = found.pixel - line * (width * side)
        pixel = torch.div(line, side, rounding_mode="floor") * width + torch.div(column, side, rounding_mode="floor")
        place, index = torch.unique(pixel, return_inverse=True)
        total = color.new_zeros(len(place), 4)
        total.index_add_(0, index, torch.cat([color, torch.ones_like(color[:, :1])], dim=1))
        votes = torch.zeros(len(place), len(VIP_CLASSES)).index_put_((index, part), torch.ones(()), accumulate=True)
        return Paint(place, total[:, :3] / total[:, 3:], total[:, 3] / side**2, votes.argmax(1))

    def jhmdb_joints(self) -> Tensor:
        """`[T, 15, 2]` x and y in pixels, the first pixel's centre is 0."""
        return torch.stack([self.joints[:, list(_JHMDB_OF[name]), :2].mean(1) for name in JHMDB_JOINTS], dim=1)


def draw_person(
    draw: Draw,
    palette: Tensor,
    size: tuple[int, int],
    frames: int,
    action: str,
    tall: float,
    path: Tensor,
    side: int = 1,
) -> Person:
    """A person who acts while travelling through a picture.

    Args:
        draw: every other choice: performer, side towards the camera, clothes, skin, light.
        palette: colours of the scene, `[K, 3]`; shirt and trousers take theirs from it.
        size: (height, width) of the picture, pixels.
        frames: T.
        action: a name of `ACTIONS`.
        tall: height of an upright body as a share of the picture's.
        path: `[T, 2]` pixels that the middle of the body follows.
        side: samples per pixel and axis.
    """
    body = _body()
    performer = draw_performers(1, draw.integer(0, 2**31 - 1))[0]
    # Actions need some length to happen in; a short film shows a piece of one.
    length = max(frames, _SHORTEST_ACTION)
    figure = ACTIONS[action](performer, length, draw)
    start = draw.integer(0, length - frames)
    motion, height = figure.rotations[start : start + frames], figure.positions[start : start + frames, 0, 1]
    heading = draw.uniform(-1.1, 1.1) + wander(draw, frames, 0.35)
    turn = axis_rotation("Y", heading)
    rotations = motion.clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    betas = torch.tensor([draw.normal(0.7) for _ in range(body.shapedirs.shape[-1])])
    posed = body(rotations.float(), betas)
    # Bodies travel by their path; of the motion's own way only the height over the floor is kept.
    lift = F.pad((height - height.mean()).float()[:, None, None], (1, 1))
    middle = posed.joints[:, :1].mean(0, keepdim=True) + torch.tensor([0.0, -0.1, 0.0])
    scale = tall * size[0] / _BODY_HEIGHT * (1 + wander(draw, frames, 0.12)).float()[:, None, None]

    def place(points: Tensor) -> Tensor:
        return (points - middle + lift) * scale * torch.tensor([1.0, -1.0, -1.0]) + F.pad(path, (0, 1))[:, None]

    colors, parts = _dress(body, draw, palette)
    light = F.normalize(torch.tensor([draw.uniform(-1, 1), -0.8, -1.0]), dim=0)
    return Person(place(posed.vertices), place(posed.joints), colors, light, parts, size, side)


def _dress(body: BodyModel, draw: Draw, palette: Tensor) -> tuple[Tensor, Tensor]:
    """Colours of the vertices `[V, 3]` and VIP classes of the faces `[F]`."""
    if body.face_parts is None:
        raise ValueError("this body has no parts to dress")
    shorts, sleeves = draw.chance(0.4), draw.chance(0.4)
    parts = torch.tensor([VIP_CLASSES.index(_vip_class(name, shorts, sleeves)) for name in body.part_names])
    of_face = parts[body.face_parts]
    rest = body.v_template
    # Hair: what of the head lies above and behind a slanted plane through the ears.
    head = rest[body.faces].mean(1)
    skull = head[of_face == VIP_CLASSES.index("face")]
    crown, back = skull[:, 1].max(), skull[:, 2].min()
    hairy = (crown - head[:, 1]) + 0.75 * (head[:, 2] - back) < 0.165
    of_face = torch.where((of_face == VIP_CLASSES.index("face")) & hairy, VIP_CLASSES.index("hair"), of_face)

    skin = torch.tensor(_SKINS[draw.integer(0, len(_SKINS) - 1)])
    plain = skin.expand(len(rest), 3)
    colors = plain * (1 + 0.06 * torch.randn(len(rest), 1, generator=draw.generator))
    clothes = {
        "upper-clothes": _printed(draw, palette, rest, 1.9),
        "pants": _printed(draw, palette, rest, 1.5),
        "hair": _printed(draw, 0.12 + 0.35 * palette, rest, 3.0),
    }
    shoes = _printed(draw, palette, rest, 3.0)
    clothes |= {"right-shoe": shoes, "left-shoe": shoes}
    for name, own in clothes.items():
        inside = body.faces[of_face == VIP_CLASSES.index(name)].flatten().unique()
        colors[inside] = own[inside]
    return colors.clamp(0, 1), of_face


def _vip_class(part: str, shorts: bool, sleeves: bool) -> str:
    side = next((side for side in ("left", "right") if part.startswith(side)), "")
    piece = part.removeprefix(f"{side}_") if side else part
    if piece == "shin":
        return f"{side}-leg" if shorts else "pants"
    if piece == "upper_arm":
        return "upper-clothes"
    if piece == "lower_arm":
        return "upper-clothes" if sleeves else f"{side}-arm"
    name = _VIP_OF_PART[piece]
    return f"{side}-{name}" if name in ("shoe", "arm") else name


def _printed(draw: Draw, palette: Tensor, rest: Tensor, repeats: float) -> Tensor:
    """Colours `[V, 3]` of a texture projected through the body from the front and, elsewhere on it, from the back."""
    texture = draw_texture(draw, palette, 128)
    grid = torch.stack([rest[:, 0] * repeats + 0.4 * (rest[:, 2] > 0), rest[:, 1] * repeats], dim=-1)
    sampled = F.grid_sample(texture[None], grid[None, None], align_corners=True, padding_mode="reflection")
    return sampled[0, :, 0].T
