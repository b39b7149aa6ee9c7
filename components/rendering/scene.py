"""Films and pictures of moving bodies: soft light, checker floor, shadows, smooth edges."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from components.geometry.cameras import LookAtCamera
from components.geometry.meshes import face_corners, join_meshes, vertex_normals
from components.geometry.rotations import axis_rotation
from components.rendering.floor import CheckerFloor, Color, ContactMap, FloorView, ShadowMap
from components.rendering.framing import VIEWS, frame_points, smooth_path, viewing_direction
from components.rendering.rasterizer import visible_fragments
from components.rendering.shading import Lights, decode_gamma, encode_gamma, gather_vertices

# Picture values; bodies side by side take them in turn.
BODY_COLORS: tuple[Color, ...] = (
    (0.36, 0.58, 0.80),
    (0.90, 0.55, 0.42),
    (0.45, 0.70, 0.55),
    (0.80, 0.64, 0.36),
    (0.64, 0.54, 0.78),
    (0.42, 0.68, 0.72),
)
_WHITE: Color = (0.93, 0.93, 0.94)
# Pixels (after supersampling) rendered at a time: larger batches only cost memory.
_PIXELS_AT_ONCE = 3_000_000


@dataclass(frozen=True)
class _Scene:
    """Everything that stays the same from batch to batch."""

    faces: Tensor
    colors: Tensor  # vertices 3, linear
    floor: CheckerFloor
    with_floor: bool
    lights: Lights
    size: tuple[int, int]
    supersample: int


@torch.no_grad()
def render_motion(
    vertices: Tensor | Sequence[Tensor],
    faces: Tensor,
    size: tuple[int, int] = (384, 384),
    *,
    color: Color | Tensor | Sequence[Color | Tensor] | None = None,
    view: str = "three_quarter",
    supersample: int = 2,
    floor: bool = True,
    follow: bool = False,
    spacing: float | None = None,
    level: float | None = None,
    fill: float = 0.86,
    lights: Lights | None = None,
) -> Tensor:
    """Film of one body, or of several side by side, with a camera that holds the whole clip.

    Args:
        vertices: `[T, V, 3]` metres, y up, or a list of such (left to right in the picture; shorter clips hold their
            last frame). All have the same topology.
        faces: `[F, 3]`.
        size: (height, width) in pixels.
        color: picture values (r, g, b) in [0, 1] or per vertex `[V, 3]`; one for all or one per body. None: a palette.
        view: front, side, three_quarter or back.
        supersample: samples per pixel and axis.
        floor: draw the checker floor with shadows; otherwise a plain light background.
        follow: the camera goes along with the body (for motions that travel far).
        spacing: metres between neighbours; None: so that they just do not touch.
        level: height of the floor; None: the lowest vertex of the clip.
        fill: share of the picture that the bodies may take.
        lights: None: the standard lights.

    Returns:
        `[T, H, W, 3]` uint8 on the CPU.

    Raises:
        ValueError: no frames, wrong shapes, NaN coordinates, unknown view.
    """
    bodies = _checked([vertices] if isinstance(vertices, Tensor) else list(vertices))
    if len(bodies) > 1:
        bodies = _side_by_side(bodies, view, spacing)
    colors = torch.cat([_vertex_colors(body, index, color) for index, body in enumerate(bodies)])
    joined, all_faces = join_meshes([(body, faces) for body in bodies])
    lowest = float(joined[..., 1].min()) if level is None else level
    points, path = joined, joined.new_zeros(1, 3)
    if follow:
        path = _ground_path(joined)
        points = joined - path.unsqueeze(1)
    seen = points.reshape(-1, 3)
    camera = frame_points(seen[:: max(1, len(seen) // 400_000)], view, size[1] / size[0], fill=fill)
    reach = 3.0 + 1.6 * float((seen.amax(0) - seen.amin(0)).max())
    own_lights = (lights or Lights()).turned(VIEWS[view][0])
    ground = CheckerFloor(level=lowest, reach=reach)
    scene = _Scene(all_faces, decode_gamma(colors), ground, floor, own_lights, size, supersample)
    center = (seen.amin(0) + seen.amax(0)) / 2
    return _render_frames(scene, joined, camera, center, path)


@torch.no_grad()
def motion_strip(
    vertices: Tensor,
    faces: Tensor,
    size: tuple[int, int] | None = None,
    *,
    poses: int = 8,
    color: Color | Tensor | None = None,
    turn: float = 35.0,
    spacing: float | None = None,
    supersample: int = 3,
    lights: Lights | None = None,
) -> Tensor:
    """One picture of one motion: moments of it standing side by side, early ones pale, late ones in full colour.

    Args:
        vertices: `[T, V, 3]` metres, y up; travel over the floor is taken out, height is kept.
        faces: `[F, 3]`.
        size: (height, width) in pixels; None: 256 pixels high and as wide as the row needs.
        poses: number of moments, evenly spaced, first and last frame included.
        color: as in `render_motion`.
        turn: degrees by which the body is turned about the vertical, for a three-quarter look.
        spacing: metres between neighbours; None: so that they just do not touch.

    Returns:
        `[H, W, 3]` uint8 on the CPU.
    """
    (motion,) = _checked([vertices])
    count = min(poses, len(motion))
    moments = motion[torch.linspace(0, len(motion) - 1, count).round().long()]
    turned = moments @ axis_rotation("Y", torch.tensor(turn).deg2rad()).to(moments).T
    middle = (turned.amin(1) + turned.amax(1)) / 2
    middle[:, 1] = 0
    placed = turned - middle.unsqueeze(1)
    own = _vertex_colors(motion, 0, color)
    pale = own.new_tensor(_WHITE)
    strengths = torch.linspace(0.35, 1.0, count).tolist() if count > 1 else [1.0]
    colors: list[Color | Tensor] = [pale.lerp(own, strength) for strength in strengths]
    if size is None:
        widths = placed[..., 0].amax(1) - placed[..., 0].amin(1) + 0.12
        row = float(widths.sum()) if spacing is None else spacing * (count - 1) + float(widths[[0, -1]].mean())
        tall = float(placed[..., 1].amax() - placed[..., 1].amin())
        size = (256, 2 * round(128 * min(12.0, max(0.5, (row + 0.1) / (tall * 1.12)))))
    film = render_motion(
        [pose[None] for pose in placed], faces, size, color=colors, view="front", supersample=supersample,
        spacing=spacing, lights=lights, fill=0.92,
    )  # fmt: skip
    return film[0]


def _checked(bodies: list[Tensor]) -> list[Tensor]:
    if not bodies:
        raise ValueError("there is no body to render")
    for body in bodies:
        if body.dim() != 3 or body.shape[-1] != 3 or 0 in body.shape:
            raise ValueError(f"vertices must be [T, V, 3] with at least one frame, got {list(body.shape)}")
        if not torch.isfinite(body).all():
            raise ValueError("vertices hold NaN or infinite coordinates")
    return [body.float() for body in bodies]


def _side_by_side(bodies: list[Tensor], view: str, spacing: float | None) -> list[Tensor]:
    """Shift bodies so that they stand in a row across the picture, and hold the last frame of the shorter clips."""
    frames = max(len(body) for body in bodies)
    bodies = [torch.cat([body, body[-1:].expand(frames - len(body), -1, -1)]) for body in bodies]
    # The row runs along the picture's right: for the three-quarter view the bodies stand on the diagonal.
    towards = viewing_direction(view)
    right = F.normalize(torch.tensor([float(towards[2]), 0.0, -float(towards[0])]), dim=0).to(bodies[0])
    extents = [(float((body @ right).min()), float((body @ right).max())) for body in bodies]
    places, edge = [], 0.0
    for index, (low, high) in enumerate(extents):
        places.append(spacing * index if spacing is not None else edge + (high - low) / 2)
        edge += high - low + 0.12
    return [
        body + right * (place - (low + high) / 2)
        for body, place, (low, high) in zip(bodies, places, extents, strict=True)
    ]


def _vertex_colors(body: Tensor, index: int, color: Color | Tensor | Sequence[Color | Tensor] | None) -> Tensor:
    """Colour of every vertex of one body, `[V, 3]` picture values."""
    if color is None:
        own: Color | Tensor = BODY_COLORS[index % len(BODY_COLORS)]
    elif isinstance(color, Tensor) or isinstance(color[0], float | int):
        own = color  # type: ignore[assignment]
    else:
        own = color[index % len(color)]  # type: ignore[assignment]
    return torch.as_tensor(own, dtype=body.dtype, device=body.device).expand(body.shape[1], 3)


def _ground_path(vertices: Tensor) -> Tensor:
    center = (vertices.amin(1) + vertices.amax(1)) / 2
    path = smooth_path(center, sigma=8.0)
    path[:, 1] = 0
    return path - path[:1]


def _render_frames(scene: _Scene, vertices: Tensor, camera: LookAtCamera, center: Tensor, path: Tensor) -> Tensor:
    height, width = scene.size
    batch = max(1, _PIXELS_AT_ONCE // (height * width * scene.supersample**2))
    frames = []
    still = len(path) == 1
    floor = _floor_view(scene, _moved(camera, path[:1]), center + path[:1]) if still else None
    for start in range(0, len(vertices), batch):
        part = vertices[start : start + batch]
        offset = path if still else path[start : start + batch]
        cameras = _moved(camera, offset)
        seen = floor if floor is not None else _floor_view(scene, cameras, center + offset)
        frames.append(_render_batch(scene, part, cameras, seen))
    return torch.cat(frames)


def _moved(camera: LookAtCamera, offset: Tensor) -> LookAtCamera:
    return replace(camera, eye=camera.eye + offset, target=camera.target + offset)


def _floor_view(scene: _Scene, cameras: LookAtCamera, focus: Tensor) -> FloorView:
    if not scene.with_floor:
        return scene.floor.backdrop(cameras.eye, *scene.size)
    return scene.floor.seen_by(cameras, focus, *scene.size)


def _render_batch(scene: _Scene, vertices: Tensor, cameras: LookAtCamera, floor: FloorView) -> Tensor:
    """`[B, V, 3]` to `[B, H, W, 3]` uint8."""
    batch, (height, width), side = len(vertices), scene.size, scene.supersample
    key = scene.lights.key_direction(vertices)
    shadows = ShadowMap.cast(vertices, scene.faces, key)
    ground = floor.color.expand(batch, -1, -1, -1)
    if scene.with_floor:
        ground = ground * _floor_light(scene, vertices, shadows, floor).unsqueeze(-1)

    corners = face_corners(cameras.to_raster(vertices), scene.faces)
    fragments = visible_fragments(corners, (height * side, width * side), near=0.05, far=1000.0)
    position = gather_vertices(vertices, scene.faces, fragments)
    normals = F.normalize(gather_vertices(vertex_normals(vertices, scene.faces), scene.faces, fragments), dim=-1)
    image = torch.div(fragments.face, len(scene.faces), rounding_mode="floor")
    towards_eye = F.normalize(cameras.eye.expand(batch, 3)[image] - position, dim=-1)
    lit = shadows.light_at(position + normals * 0.02, image)
    color = gather_vertices(scene.colors, scene.faces, fragments)
    color = scene.lights.shade(color, normals, towards_eye, lit).clamp(0, 1)

    # Samples add up in their pixel; what they leave uncovered is floor.
    line = torch.div(fragments.pixel, width * side, rounding_mode="floor")
    column = fragments.pixel - line * (width * side)
    pixel = torch.div(line, side, rounding_mode="floor") * width + torch.div(column, side, rounding_mode="floor")
    sample = torch.cat([color, torch.ones_like(color[:, :1])], dim=1) / side**2
    covered = color.new_zeros(batch * height * width, 4).index_add_(0, pixel, sample).view(batch, height, width, 4)
    picture = covered[..., :3] + (1 - covered[..., 3:]) * ground
    return (encode_gamma(picture) * 255).round().to(torch.uint8).cpu()


def _floor_light(scene: _Scene, vertices: Tensor, shadows: ShadowMap, floor: FloorView) -> Tensor:
    """Share of light on the floor's pixels, `[B, H, W]`."""
    batch = len(vertices)
    points = floor.points.expand(batch, -1, -1, -1).flatten(1, 2)
    x, z = points.unbind(-1)
    spots = torch.stack([x, torch.full_like(x, scene.floor.level), z], dim=-1)
    shadow = shadows.on_floor(spots)
    contact = ContactMap.cast(vertices, scene.faces, scene.floor.level).darkness_at(points)
    light = (1 - 0.46 * shadow) * (1 - 0.55 * contact)
    return torch.lerp(torch.ones_like(light), light, floor.strength.expand(batch, -1, -1).flatten(1)).unflatten(
        1, scene.size
    )
