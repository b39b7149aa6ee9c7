"""UV texture lookup, and unwrapping: which face and where on it each texel lies.

UV coordinates are in [0, 1], u to the right, v up; row 0 of a texture is v = 1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.geometry.meshes import face_corners
from components.rendering.rasterizer import Rasters, rasterize
from components.rendering.shading import interpolate


def sample_texture(texture: Tensor, uv: Tensor, align_corners: bool = False, padding: str = "border") -> Tensor:
    """Bilinear lookup.

    Args:
        texture: `[B, C, H, W]` or `[1, C, H, W]` for all.
        uv: `[B, ..., 2]`.
        align_corners: False: u = 0 and 1 are the outer EDGES of the border texels, which fits the rasteriser's pixel
            centres (`unwrap`). True: they are the CENTRES of the border texels (grid sampling before torch 1.3).
        padding: `border`, `zeros` or `reflection` outside [0, 1].

    Returns:
        `[B, ..., C]`.
    """
    batch, middle = uv.shape[0], uv.shape[1:-1]
    grid = torch.stack([uv[..., 0] * 2 - 1, 1 - uv[..., 1] * 2], dim=-1).reshape(batch, 1, -1, 2)
    sampled = F.grid_sample(
        texture.expand(batch, -1, -1, -1), grid, mode="bilinear", padding_mode=padding, align_corners=align_corners
    )
    return sampled.squeeze(2).transpose(1, 2).reshape(batch, *middle, -1)


def paint_texture(
    rasters: Rasters, uv_corners: Tensor, texture: Tensor, align_corners: bool = False, background: float = 0.0
) -> Tensor:
    """Textured picture `[B, H, W, C]` of rasterised faces.

    Args:
        rasters: maps of `[B, H, W]`.
        uv_corners: `[F, 3, 2]` (or `[B, F, 3, 2]`) UV of each face's corners: `uv_coords[uv_faces]`.
        texture: `[B, C, H, W]` or `[1, C, H, W]`.
        align_corners: as in `sample_texture`.
        background: value of empty pixels.
    """
    colors = sample_texture(texture, interpolate(rasters, uv_corners), align_corners)
    return torch.where(rasters.mask[..., None], colors, torch.full_like(colors, background))


def unwrap(uv_coords: Tensor, uv_faces: Tensor, texture_size: int | tuple[int, int]) -> Rasters:
    """Rasterise a UV layout: the face and the weights of each texel, done once per mesh topology.

    Args:
        uv_coords: `[U, 2]`.
        uv_faces: `[F, 3]`; a face mirrored in the layout (clockwise) is drawn too.
        texture_size: texels, side or (height, width).

    Returns:
        Rasters with batch 1. Weights belong to the corners in the order of `uv_faces`.
    """
    corners = face_corners(uv_coords * 2 - 1, uv_faces)
    corners = torch.cat([corners, torch.ones_like(corners[..., :1])], dim=-1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    mirrored = (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) < 0
    corners = torch.where(mirrored[:, None, None], corners[:, [0, 2, 1]], corners)
    rasters = rasterize(corners[None], texture_size)
    swap = mirrored[rasters.face_index.clamp(min=0)] & rasters.mask
    weights = torch.where(swap[..., None], rasters.weights[..., [0, 2, 1]], rasters.weights)
    return Rasters(rasters.face_index, weights, rasters.depth)
