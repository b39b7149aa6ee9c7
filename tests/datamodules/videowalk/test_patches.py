import pytest

from components.errors import InputError
from components.media.normalization import CRW_TRAINING, IMAGENET
from components.media.patches import PatchGrid, WholeFrame
from datamodules.videowalk.patches import node_transform


def test_names_choose_the_transform() -> None:
    grid = node_transform(["grid", "cj"], 32, 0.25, "imagenet")
    assert isinstance(grid, PatchGrid)
    assert (grid.patch_size, grid.stride, grid.normalization, grid.flip) == (32, 8, IMAGENET, False)
    assert grid.colour_jitter is not None
    for names in ("none", [], ["flip"]):
        frame = node_transform(names)
        assert isinstance(frame, WholeFrame)
        assert frame.normalization is CRW_TRAINING
        assert frame.flip == ("flip" in names)


def test_unknown_and_contradictory_names() -> None:
    with pytest.raises(InputError, match=r"data\.frame_aug: unknown 'gird' \(did you mean 'grid'\?\)"):
        node_transform("gird")
    with pytest.raises(InputError, match="exclude each other"):
        node_transform(["grid", "none"])
