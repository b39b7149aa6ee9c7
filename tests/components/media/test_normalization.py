import pytest
import torch

from components.errors import InputError
from components.media.normalization import CRW_TRAINING, GRAY_LAB, IMAGENET, Normalization, named_normalization


@pytest.mark.parametrize("normalization", [CRW_TRAINING, IMAGENET])
def test_colours_are_shifted_and_scaled_and_come_back(normalization: Normalization) -> None:
    images = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ready = normalization.apply(images)
    for colour in range(3):
        expected = (images[:, colour] - normalization.mean[colour]) / normalization.std[colour]
        torch.testing.assert_close(ready[:, colour], expected)
    torch.testing.assert_close(normalization.undo(ready), images)


def test_lightness_of_known_colours() -> None:
    # L of 8-bit Lab by the definition: black 0, white 255, pure red 136 (L* = 53.24), mid grey 118/255 about 127.
    colours = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, 0, 0], [0.02, 0.02, 0.02]]).reshape(4, 3, 1, 1)
    lightness = (GRAY_LAB.apply(colours)[:, 0, 0, 0] * 128 + 128).tolist()
    assert lightness[0] == pytest.approx(0, abs=1e-3)
    assert lightness[1] == pytest.approx(255, abs=0.1)
    assert lightness[2] == pytest.approx(53.24 * 2.55, abs=0.1)
    assert lightness[3] == pytest.approx(0.02 / 12.92 * 903.3 * 2.55, abs=0.01)


def test_lightness_is_in_all_channels_and_greys_come_back() -> None:
    grey = torch.linspace(0, 1, 11).reshape(11, 1, 1, 1).expand(11, 3, 1, 1)
    ready = GRAY_LAB.apply(grey)
    assert torch.equal(ready, ready[:, :1].expand_as(ready))
    torch.testing.assert_close(GRAY_LAB.undo(ready), grey, atol=1e-4, rtol=0)


def test_bytes_and_other_channel_counts_are_refused() -> None:
    for wrong in (torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(4, 4, 3), torch.zeros(3, 4)):
        with pytest.raises(ValueError, match="floating point"):
            IMAGENET.apply(wrong)


def test_unknown_name_lists_the_known_ones() -> None:
    assert named_normalization("imagenet", "data.normalization") is IMAGENET
    with pytest.raises(InputError, match=r"data\.normalization=imagnet: expected one of crw_training, imagenet"):
        named_normalization("imagnet", "data.normalization")
