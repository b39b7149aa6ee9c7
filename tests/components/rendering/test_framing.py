import pytest
import torch

from components.rendering.framing import VIEWS, frame_points, smooth_path, viewing_direction


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize("aspect", [0.5, 1.0, 3.0])
def test_all_points_are_in_the_picture_and_fill_it(view: str, aspect: float) -> None:
    points = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 2.0, 0.5]) + 3
    seen = frame_points(points, view, aspect, fill=0.8).to_raster(points)
    assert (seen[:, 2] > 0).all()
    assert float(seen[:, :2].abs().max()) == pytest.approx(0.8, abs=1e-3)


def test_views_look_from_where_they_say() -> None:
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.7, 0.0], [0.3, 1.0, 0.2]])
    left_hand = torch.tensor([[0.6, 1.0, 0.0]])
    middle = torch.tensor([[0.0, 1.0, 0.0]])

    def shift(view: str) -> float:
        camera = frame_points(points, view)
        return float(camera.to_raster(left_hand)[0, 0] - camera.to_raster(middle)[0, 0])

    assert shift("front") > 0.05
    assert shift("back") < -0.05
    assert frame_points(points, "side").eye[0] < -1
    assert viewing_direction("front")[1] > 0
    with pytest.raises(ValueError, match="three_quarter"):
        viewing_direction("below")


def test_smooth_path_keeps_a_constant_and_calms_noise() -> None:
    still = torch.full((30, 3), 2.5)
    torch.testing.assert_close(smooth_path(still, 4.0), still)
    noise = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    assert smooth_path(noise, 5.0).diff(dim=0).std() < 0.1 * noise.diff(dim=0).std()
