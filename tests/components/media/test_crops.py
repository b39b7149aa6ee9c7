import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from components.media.crops import Windows, random_crops, resample_windows, sample_by_grid, sample_by_rows


def slow_reference(images: torch.Tensor, windows: Windows, crops: torch.Tensor) -> torch.Tensor:
    """Crop by crop, with torch's own resizing."""
    patches = []
    for image, image_crops in zip(images, crops.tolist(), strict=True):
        for (y, x), (top, left, height, width) in zip(windows.corners().tolist(), image_crops, strict=True):
            part = image[None, :, y + top : y + top + height, x + left : x + left + width]
            size = (windows.side, windows.side)
            patches.append(F.interpolate(part, size=size, mode="bilinear", align_corners=False)[0])
    return torch.stack(patches).view(len(images), windows.count, -1, windows.side, windows.side)


@st.composite
def problems(draw: st.DrawFn) -> tuple[torch.Tensor, Windows, torch.Tensor]:
    side = draw(st.integers(1, 9))
    stride = draw(st.integers(1, side))
    rows, columns = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    # The image may be larger than what the windows cover.
    height = side + (rows - 1) * stride + draw(st.integers(0, stride - 1))
    width = side + (columns - 1) * stride + draw(st.integers(0, stride - 1))
    images = torch.rand(draw(st.integers(1, 3)), draw(st.integers(1, 3)), height, width, generator=generator)
    windows = Windows(side, stride, rows, columns)
    crops = random_crops(len(images) * windows.count, side, side, (0.1, 1.0), (0.5, 2.0), generator)
    return images.double(), windows, crops.view(len(images), windows.count, 4)


@settings(max_examples=40, deadline=None)
@given(problems())
def test_all_windows_at_once_equal_the_slow_way(problem: tuple[torch.Tensor, Windows, torch.Tensor]) -> None:
    images, windows, crops = problem
    patches = resample_windows(images, windows, crops)
    torch.testing.assert_close(patches, slow_reference(images, windows, crops), atol=1e-12, rtol=0)
    assert patches.is_contiguous()
    mirrored = (torch.arange(crops.shape[0] * crops.shape[1]) % 2 == 0).view(crops.shape[:2])
    flipped = resample_windows(images, windows, crops, mirrored)
    torch.testing.assert_close(flipped[mirrored], patches[mirrored].flip(-1))
    torch.testing.assert_close(flipped[~mirrored], patches[~mirrored])


@settings(max_examples=20, deadline=None)
@given(problems())
def test_both_ways_of_sampling_agree(problem: tuple[torch.Tensor, Windows, torch.Tensor]) -> None:
    images, windows, crops = problem
    places = torch.rand(2, *crops.shape[:2], windows.side, dtype=images.dtype) * (windows.side - 1)
    rows, columns = places
    expected = sample_by_grid(images, windows, rows, columns)
    torch.testing.assert_close(sample_by_rows(images, windows, rows, columns), expected, atol=1e-10, rtol=0)


def test_gradients_reach_the_images() -> None:
    images = torch.rand(2, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    windows = Windows(4, 2, 1, 2)
    crops = random_crops(4, 4, 4, (0.5, 0.9), (0.75, 1.33)).view(2, 2, 4)
    assert torch.autograd.gradcheck(lambda x: resample_windows(x, windows, crops), (images,))


@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.2, 5), st.floats(0.2, 5)
)
@settings(max_examples=60, deadline=None)
def test_crops_lie_inside(height: int, width: int, s0: float, s1: float, r0: float, r1: float) -> None:
    generator = torch.Generator().manual_seed(1)
    crops = random_crops(50, height, width, (min(s0, s1), max(s0, s1)), (min(r0, r1), max(r0, r1)), generator)
    top, left, rows, columns = crops.unbind(1)
    assert (rows >= 1).all()
    assert (columns >= 1).all()
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + rows <= height).all()
    assert (left + columns <= width).all()


def test_areas_and_aspects_are_as_asked() -> None:
    crops = random_crops(4000, 640, 640, (0.7, 0.9), (0.75, 4 / 3), torch.Generator().manual_seed(0)).double()
    area, aspect = crops[:, 2] * crops[:, 3] / 640**2, crops[:, 3] / crops[:, 2]
    assert area.min() > 0.695
    assert area.max() < 0.905
    assert aspect.min() > 0.745
    assert aspect.max() < 1.34
    assert aspect.log().mean().item() == pytest.approx(0, abs=0.01)
    # Places are uniform over what is left free.
    free = 640 - crops[:, 2]
    assert (crops[:, 0] / free.clamp_min(1)).mean().item() == pytest.approx(0.5, abs=0.02)


def test_where_no_aspect_fits_the_middle_is_taken() -> None:
    crops = random_crops(3, 4, 400, (0.9, 1.0), (0.75, 4 / 3), torch.Generator().manual_seed(0))
    assert crops.tolist() == [[0, 197, 4, 5]] * 3
