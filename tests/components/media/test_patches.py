import pytest
import torch

from components.errors import InputError
from components.media.normalization import GRAY_LAB, IMAGENET, Normalization
from components.media.patches import PatchGrid, WholeFrame


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_published_grid_has_49_nodes() -> None:
    grid = PatchGrid()
    assert (grid.patch_size, grid.stride) == (64, 32)
    windows = grid.windows(256, 256)
    assert (windows.rows, windows.columns, grid.num_nodes(256, 256)) == (7, 7, 49)


def test_channels_are_node_times_three_plus_colour() -> None:
    # The value of a pixel tells its colour and the window it is in.
    frame = torch.zeros(3, 8, 12)
    for colour in range(3):
        for row in range(2):
            for column in range(3):
                frame[colour, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = (
                    3 * (3 * row + column) + colour
                ) / 20
    grid = PatchGrid(4, 1.0, normalization=IMAGENET)
    patches = grid(frame, seeded(0))
    assert patches.shape == (18, 4, 4)
    colours = IMAGENET.undo(patches.view(6, 3, 4, 4)).flatten(0, 1)
    expected = torch.arange(18).view(18, 1, 1).expand(18, 4, 4) / 20
    torch.testing.assert_close(colours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "options", [{}, {"colour_jitter": True}, {"flip": True}, {"colour_jitter": True, "flip": True}]
)
@pytest.mark.parametrize("kind", [PatchGrid, WholeFrame])
def test_a_clip_is_the_same_alone_and_in_a_batch(kind: type, options: dict[str, bool]) -> None:
    transform = PatchGrid(6, **options) if kind is PatchGrid else WholeFrame(**options)
    clips = torch.randint(0, 256, (3, 2, 3, 12, 15), dtype=torch.uint8, generator=seeded(1))
    batch = transform(clips, [seeded(seed) for seed in (5, 6, 7)])
    alone = torch.stack([transform(clip, seeded(seed)) for clip, seed in zip(clips, (5, 6, 7), strict=True)])
    torch.testing.assert_close(batch, alone, atol=1e-6, rtol=0)
    again = transform(clips[0], seeded(5))
    assert torch.equal(again, transform(clips[0], seeded(5)))
    if kind is PatchGrid or options:
        assert not all(torch.equal(again, transform(clips[0], seeded(seed))) for seed in range(50, 60))


def test_chance_comes_from_the_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    clips = torch.rand(2, 3, 12, 12)
    before = torch.random.get_rng_state()
    PatchGrid(6, colour_jitter=True, flip=True)(clips, seeded(1))
    WholeFrame(True, True)(clips, seeded(1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_flips_mirror_about_half_of_the_nodes() -> None:
    frames = torch.rand(40, 3, 8, 8, generator=seeded(2))
    crops = torch.tensor([[0, 0, 8, 8]])
    plain = PatchGrid(8)(frames, seeded(3), crops)
    flipped = PatchGrid(8, flip=True)(frames, seeded(3), crops)
    same = (plain - flipped).abs().amax((1, 2, 3)) < 1e-6
    mirrored = (plain.flip(-1) - flipped).abs().amax((1, 2, 3)) < 1e-5
    assert (same ^ mirrored).all()
    assert 8 < mirrored.sum() < 32


def test_bytes_and_floats_give_the_same() -> None:
    clip = torch.randint(0, 256, (2, 3, 9, 9), dtype=torch.uint8, generator=seeded(4))
    for transform in (PatchGrid(4), WholeFrame()):
        torch.testing.assert_close(transform(clip, seeded(1)), transform(clip / 255, seeded(1)))


def test_lightness_is_taken_of_the_patches() -> None:
    # It is not linear: of resampled pixels it differs from resampled lightness.
    frames = torch.rand(2, 3, 8, 8, generator=seeded(5))
    unit = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    expected = GRAY_LAB.apply(PatchGrid(4, normalization=unit)(frames, seeded(1)).view(2, -1, 3, 4, 4))
    ours = PatchGrid(4, normalization=GRAY_LAB)(frames, seeded(1)).view(2, -1, 3, 4, 4)
    torch.testing.assert_close(ours, expected)


def test_frames_smaller_than_a_patch() -> None:
    with pytest.raises(InputError, match="32 x 200 pixels are smaller than a patch: patch_size=64"):
        PatchGrid()(torch.rand(3, 32, 200))


def test_generators_that_do_not_fit_the_clips() -> None:
    with pytest.raises(ValueError, match="2 generators for 3 pictures"):
        PatchGrid(4)(torch.rand(3, 3, 8, 8), [seeded(0), seeded(1)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patch_size": 0}, "patch_size=0"),
        ({"patch_stride": 0.0}, "patch_stride"),
        ({"patch_size": 3, "patch_stride": 0.1}, "patch_stride"),
        ({"scale": (0.9, 0.7)}, "scale"),
        ({"ratio": (0.0, 1.0)}, "ratio"),
    ],
)
def test_values_out_of_range(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PatchGrid(**values)
