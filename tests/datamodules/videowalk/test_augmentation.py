import numpy as np
import pytest
import torch
from PIL import Image

from components.errors import InputError
from components.media.crops import random_crops, resized
from datamodules.videowalk.augmentation import FrameTransform


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(length: int = 4, height: int = 40, width: int = 52, still: bool = False) -> torch.Tensor:
    """Smooth pictures: noise enlarged; `still` repeats the first."""
    noise = torch.rand(length, 3, height // 4, width // 4, generator=seeded(0))
    frames = (torch.nn.functional.interpolate(noise, (height, width), mode="bilinear") * 255).byte()
    return frames[:1].expand_as(frames) if still else frames


def test_crops_are_those_of_pillow() -> None:
    frames = clip()
    result = FrameTransform(24)(frames, seeded(7))
    crops = random_crops(4, 40, 52, (0.8, 0.95), (0.7, 1.3), seeded(7)).tolist()
    for frame, ours, (top, left, height, width) in zip(frames, result, crops, strict=True):
        picture = Image.fromarray(frame.permute(1, 2, 0).numpy()).crop((left, top, left + width, top + height))
        theirs = np.asarray(picture.resize((24, 24), Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - theirs).max() <= 1


def test_published_draws_differ_between_frames_and_consistent_ones_do_not() -> None:
    still = clip(still=True)
    names = ["crop", "cj", "flip"]
    own = FrameTransform(24, names)(still, seeded(1))
    assert not torch.equal(own[0], own[1])
    shared = FrameTransform(24, names, consistent=True)(still, seeded(1))
    assert torch.equal(shared, shared[:1].expand_as(shared))
    assert not torch.equal(shared, FrameTransform(24, names, consistent=True)(still, seeded(2)))


@pytest.mark.parametrize("consistent", [False, True])
def test_a_clip_is_the_same_alone_and_in_a_batch(consistent: bool) -> None:
    transform = FrameTransform(16, ["crop", "cj", "flip"], consistent)
    clips = torch.stack([clip(), clip().flip(0)])
    batch = transform(clips, [seeded(3), seeded(4)])
    assert batch.dtype == torch.uint8
    assert batch.shape == (2, 4, 3, 16, 16)
    for row, seed in enumerate((3, 4)):
        difference = (batch[row].int() - transform(clips[row], seeded(seed)).int()).abs()
        assert difference.max() <= 1  # a last bit of the mean colour
    floats = transform(clips / 255, [seeded(3), seeded(4)])
    assert (floats * 255 - batch).abs().max() <= 2.5


def test_without_crop_the_whole_frame_is_squeezed() -> None:
    frames = clip()
    assert torch.equal(FrameTransform(20, [])(frames), resized(frames, 20))
    assert torch.equal(FrameTransform(40, [])(frames[..., :40]), frames[..., :40])


def test_bad_values() -> None:
    with pytest.raises(InputError, match=r"data\.frame_transforms: unknown 'corp' \(did you mean 'crop'\?\)"):
        FrameTransform(20, ["corp"])
    with pytest.raises(InputError, match=r"data\.img_size=0"):
        FrameTransform(0)
    with pytest.raises(ValueError, match="clips must be"):
        FrameTransform(8)(torch.zeros(3, 8, 8))
