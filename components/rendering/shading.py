"""What is painted on rasterised pixels: interpolated attributes, normals, light, silhouettes.

Colours are linear light in [0, 1] unless a function says otherwise; `encode_gamma` makes picture values of them.
"""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from components.rendering.rasterizer import Fragments, Rasters


def interpolate(rasters: Rasters, attributes: Tensor, background: float = 0.0) -> Tensor:
    """Blend the corner values of the visible face at each pixel.

    Args:
        rasters: maps of `[B, H, W]`.
        attributes: `[B, F, 3, C]` or, the same for all images, `[F, 3, C]`.
        background: value of empty pixels.

    Returns:
        `[B, H, W, C]`, differentiable with respect to the attributes (and to the weights, if they have a gradient).
    """
    batch, height, width = rasters.face_index.shape
    flat = rasters.face_index.reshape(-1)
    pixel = (flat >= 0).nonzero().squeeze(1)
    face = flat.index_select(0, pixel)
    if attributes.dim() == 4:
        face = face + torch.div(pixel, height * width, rounding_mode="floor") * attributes.shape[1]
        attributes = attributes.flatten(0, 1)
    values = blend_corners(attributes.index_select(0, face), rasters.weights.reshape(-1, 3).index_select(0, pixel))
    dense = values.new_full((flat.numel(), values.shape[-1]), background).index_copy(0, pixel, values)
    return dense.view(batch, height, width, -1)


def blend_corners(corners: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of three corner values: `[K, 3, C]` and `[K, 3]` to `[K, C]`."""
    return corners[:, 0] * weights[:, :1] + corners[:, 1] * weights[:, 1:2] + corners[:, 2] * weights[:, 2:]


def gather_vertices(values: Tensor, faces: Tensor, fragments: Fragments) -> Tensor:
    """Vertex values at fragments: `[B, V, C]` (or `[V, C]`) and `[F, 3]` to `[K, C]`."""
    corners = faces.index_select(0, fragments.face % faces.shape[0])
    if values.dim() == 3:
        corners = corners + torch.div(fragments.face, faces.shape[0], rounding_mode="floor")[:, None] * values.shape[1]
        values = values.flatten(0, 1)
    total = values.index_select(0, corners[:, 0]) * fragments.weights[:, :1]
    for corner in (1, 2):
        total = total + values.index_select(0, corners[:, corner]) * fragments.weights[:, corner : corner + 1]
    return total


def perspective_weights(weights: Tensor, corner_depth: Tensor) -> Tensor:
    """Screen-space weights `[..., 3]` to the weights on the face in space, from the corners' depths `[..., 3]`.

    The rasteriser's weights are linear in the picture; large textured faces under a perspective camera want these.
    """
    over_z = weights / corner_depth
    return over_z / over_z.sum(-1, keepdim=True)


def silhouette(rasters: Rasters) -> Tensor:
    """Covered pixels as float `[B, H, W]`."""
    return rasters.mask.to(rasters.weights.dtype)


def lambert(normals: Tensor, direction: Tensor, wrap: float = 0.0) -> Tensor:
    """Diffuse light in [0, 1]: `max(0, (n.l + wrap) / (1 + wrap))`.

    Args:
        normals: `[..., 3]`, unit length.
        direction: `[3]` towards the light, unit length.
        wrap: 0 is Lambert's law; larger values let light bleed round the edge, as on skin and cloth.

    Returns:
        `[...]`.
    """
    return ((normals @ direction + wrap) / (1.0 + wrap)).clamp(min=0)


@dataclass(frozen=True)
class Lights:
    """A warm key light, a cool fill light, light from sky and floor, and a rim that lifts the outline.

    Directions point towards the light, y up, for a camera on the +z side; `turned` takes them round with the camera.
    They need not have unit length.
    """

    key: tuple[float, float, float] = (-0.55, 1.15, 0.60)
    fill: tuple[float, float, float] = (0.9, 0.35, 0.6)
    key_color: tuple[float, float, float] = (0.92, 0.88, 0.82)
    fill_color: tuple[float, float, float] = (0.13, 0.15, 0.18)
    sky_color: tuple[float, float, float] = (0.36, 0.38, 0.42)
    floor_color: tuple[float, float, float] = (0.20, 0.19, 0.18)
    rim: float = 0.10
    shine: float = 0.07

    def turned(self, degrees: float) -> "Lights":
        """The same lights for a camera at that azimuth (positive towards +x)."""
        cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        key, fill = ((cosine * x + sine * z, y, cosine * z - sine * x) for x, y, z in (self.key, self.fill))
        return replace(self, key=key, fill=fill)

    def key_direction(self, like: Tensor) -> Tensor:
        """Unit vector towards the key light, in the dtype and on the device of `like`."""
        return F.normalize(like.new_tensor(self.key), dim=0)

    def shade(self, color: Tensor, normals: Tensor, towards_eye: Tensor, lit: Tensor | None = None) -> Tensor:
        """Colour of lit points.

        Args:
            color: `[K, 3]` or `[3]` own colour, linear.
            normals: `[K, 3]`, unit length.
            towards_eye: `[K, 3]`, unit length.
            lit: `[K]` share of the key light that arrives (1 = no shadow); None = 1.

        Returns:
            `[K, 3]`, may exceed 1.
        """
        key = self.key_direction(normals)
        fill = F.normalize(normals.new_tensor(self.fill), dim=0)
        direct = lambert(normals, key, wrap=0.04)
        half = F.normalize(towards_eye + key, dim=-1)
        gloss = ((normals * half).sum(-1)).clamp(min=0).pow(24) * self.shine
        if lit is not None:
            direct, gloss = direct * lit, gloss * lit
        upward = (0.5 + 0.5 * normals[:, 1])[:, None]
        ambient = normals.new_tensor(self.floor_color).lerp(normals.new_tensor(self.sky_color), upward)
        light = (
            ambient
            + direct[:, None] * normals.new_tensor(self.key_color)
            + lambert(normals, fill, wrap=0.4)[:, None] * normals.new_tensor(self.fill_color)
        )
        facing = (normals * towards_eye).sum(-1).clamp(0, 1)
        edge = (1 - facing).square().square() * self.rim * (0.4 + 0.6 * upward[:, 0])
        return color * light + (gloss + edge)[:, None]


def encode_gamma(linear: Tensor) -> Tensor:
    """Linear light to picture values with gamma 2 (a square root, close to sRGB and quick)."""
    return linear.clamp(0, 1).sqrt()


def decode_gamma(values: Tensor) -> Tensor:
    """Picture values to linear light; inverse of `encode_gamma`."""
    return values.square()
