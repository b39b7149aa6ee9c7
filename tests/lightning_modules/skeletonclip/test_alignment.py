import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from lightning_modules.skeletonclip.alignment import Alignment, align, frame_weights


@pytest.mark.parametrize("weighting", ["softmax", "sigmoid"])
@pytest.mark.parametrize("apply_to", ["raw", "normalised"])
def test_each_pair_is_weighted_on_its_own(weighting: str, apply_to: str) -> None:
    frames, texts = torch.randn(2, 5, 4), torch.randn(3, 4)
    alignment = Alignment(weighting, 3.0, apply_to)  # type: ignore[arg-type]
    found = align(frames, texts, alignment)
    for b in range(2):
        for k in range(3):
            scaled = 3.0 * F.cosine_similarity(frames[b], texts[k], dim=-1)
            weights = scaled.softmax(0) if weighting == "softmax" else scaled.sigmoid()
            summed = frames[b] if apply_to == "raw" else F.normalize(frames[b], dim=-1)
            torch.testing.assert_close(found[b, k], weights @ summed)
    own = align(frames, texts[:2], alignment, own=True)
    torch.testing.assert_close(own, torch.stack([found[0, 0], found[1, 1]]))


def test_one_frame_and_one_clip_keep_their_dimensions() -> None:
    weights = frame_weights(torch.randn(1, 1, 4), torch.randn(1, 4), Alignment(), own=True)
    assert weights.shape == (1, 1)
    torch.testing.assert_close(weights, torch.ones(1, 1))


def test_weights_are_float32_under_autocast() -> None:
    frames, texts = torch.randn(2, 5, 4), torch.randn(3, 4)
    expected = align(frames, texts, Alignment("sigmoid", 10.0))
    with torch.autocast("cpu", torch.bfloat16):
        found = align(frames, texts, Alignment("sigmoid", 10.0))
        assert align(frames.bfloat16(), texts.bfloat16(), Alignment()).dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize(("key", "value"), [("weighting", "mean"), ("apply_to", "all"), ("scale", 0.0)])
def test_values_out_of_range(key: str, value: object) -> None:
    with pytest.raises(InputError, match=f"model.alignment.{key}={value!r}"):
        Alignment(**{key: value})  # type: ignore[arg-type]
