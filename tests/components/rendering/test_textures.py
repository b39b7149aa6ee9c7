import pytest
import torch

from components.geometry.meshes import face_corners
from components.rendering.rasterizer import rasterize
from components.rendering.shading import interpolate
from components.rendering.textures import paint_texture, sample_texture, unwrap

QUAD = torch.tensor([[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [1.0, 1.0, 2.0], [-1.0, 1.0, 2.0]])
UV = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])


def test_a_quad_that_fills_the_picture_shows_the_texture_itself() -> None:
    """Pixel centres and texel centres coincide without aligned corners; with them the edges shift."""
    texture = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(0))
    rasters = rasterize(face_corners(QUAD, FACES)[None], (12, 20))
    picture = paint_texture(rasters, UV[FACES], texture)
    torch.testing.assert_close(picture.permute(0, 3, 1, 2), texture, atol=1e-5, rtol=0)
    aligned = paint_texture(rasters, UV[FACES], texture, align_corners=True)
    assert (aligned.permute(0, 3, 1, 2) - texture).abs().max() > 0.05


def test_corner_texels_with_aligned_corners() -> None:
    texture = torch.arange(6.0).view(1, 1, 2, 3)
    uv = torch.tensor([[[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.5, 0.5]]])
    sampled = sample_texture(texture, uv, align_corners=True)
    torch.testing.assert_close(sampled[0, :, 0], torch.tensor([0.0, 2.0, 3.0, 5.0, 2.5]))


def test_background_of_a_painted_picture() -> None:
    rasters = rasterize(face_corners(QUAD * torch.tensor([0.5, 0.5, 1.0]), FACES)[None], 8)
    picture = paint_texture(rasters, UV[FACES], torch.zeros(1, 2, 4, 4), background=1.0)
    assert picture.shape == (1, 8, 8, 2)
    assert torch.equal(picture[..., 0] == 1, ~rasters.mask)


@pytest.mark.parametrize("mirror", [False, True])
def test_unwrapping_gives_each_texel_its_point_on_the_surface(mirror: bool) -> None:
    uv_faces = FACES[:, [0, 2, 1]] if mirror else FACES
    rasters = unwrap(UV, uv_faces, (6, 10))
    assert rasters.mask.all()
    uv = interpolate(rasters, UV[uv_faces])[0]
    torch.testing.assert_close(uv[..., 0], ((torch.arange(10) + 0.5) / 10).expand(6, 10), atol=1e-5, rtol=0)
    torch.testing.assert_close(uv[:, 0, 1], 1 - (torch.arange(6) + 0.5) / 6, atol=1e-5, rtol=0)
