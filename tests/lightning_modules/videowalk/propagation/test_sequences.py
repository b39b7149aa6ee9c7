import numpy as np
import pytest
import torch
import torch.nn.functional as F

from components.errors import InputError
from lightning_modules.videowalk.propagation.features import stream_features
from lightning_modules.videowalk.propagation.joints import propagate_joints
from lightning_modules.videowalk.propagation.labels import one_hot, to_cells, upsample_ids
from lightning_modules.videowalk.propagation.masks import propagate_masks
from lightning_modules.videowalk.propagation.settings import PropagationSettings


class Film:
    """Two squares of different colours that move to the right over black, 4 pixels a frame."""

    name = "squares"
    size = (45, 70)

    def __init__(self, frames: int = 6) -> None:
        self.frames = frames

    def __len__(self) -> int:
        return self.frames

    def ids(self, index: int) -> np.ndarray:
        ids = np.zeros(self.size, dtype=np.uint8)
        ids[8:20, 8 + 4 * index : 24 + 4 * index] = 3
        ids[28:40, 4 + 4 * index : 20 + 4 * index] = 7
        return ids

    def read(self, index: int) -> np.ndarray:
        ids = self.ids(index)[..., None]
        return np.where(ids == 3, (200, 0, 50), np.where(ids == 7, (0, 200, 50), (0, 0, 90))).astype(np.uint8)


class Colours:
    """The mean colour of every cell as its feature."""

    stride = 4

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(images, self.stride, ceil_mode=True)


SETTINGS = PropagationSettings(context=3, topk=5, radius=4)


def test_objects_are_followed_by_their_ids() -> None:
    film, told = Film(), []
    masks = list(propagate_masks(Colours(), film, film.ids(0), SETTINGS, progress=told.append))
    assert len(masks) == 6
    assert told == [1] * 6
    assert np.array_equal(masks[0], film.ids(0))
    for index, mask in enumerate(masks):
        assert mask.dtype == np.uint8
        assert set(np.unique(mask)) == {0, 3, 7}
        assert (mask == film.ids(index)).mean() > 0.93


def test_joints_are_followed() -> None:
    film = Film()
    joints0 = torch.tensor([[16.0, 12.0, -1.0], [14.0, 34.0, 5.0]])
    found = torch.stack(list(propagate_joints(Colours(), film, joints0, PropagationSettings(3, 5, 4, 0.01))))
    assert found.shape == (6, 2, 3)
    assert torch.equal(found[:, :, 2], torch.full((6, 2), -1.0))
    assert torch.equal(found[0, :, :2], joints0[:, :2])
    for frame in range(1, 6):  # somewhere on their own square, which has one colour
        for joint, object_id in enumerate((3, 7)):
            x, y = found[frame, :, joint].round().long().tolist()
            assert film.ids(frame)[y, x] == object_id


class Places(Colours):
    """Every cell looks like itself in every frame, and like no other."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        grid = super().__call__(images).shape[-2:]
        return torch.eye(grid.numel()).view(-1, *grid).expand(len(images), -1, -1, -1)


def test_joints_beyond_the_frame_as_published() -> None:
    """Cells of 4 pixels: the Gaussian of a joint 3 pixels outside reaches into the frame, that of one far away not."""
    film, far = Film(3), -80.0
    joints0 = torch.tensor([[-3.0, 16.0, far], [14.0, 14.0, far]])
    found = torch.stack(list(propagate_joints(Places(), film, joints0, SETTINGS, outside=True)))
    assert torch.equal(found[0], joints0)
    assert (found[1:, 0, 0] < 4).all()
    assert (found[1:, :, 0] >= 0).all()
    assert torch.equal(found[1:, :, 2], torch.full((2, 2), -1.0))
    inside = torch.stack(list(propagate_joints(Places(), film, joints0, SETTINGS)))
    assert torch.equal(inside[:, :, 0], torch.full((3, 2), -1.0))
    none = list(propagate_joints(Places(), film, torch.full((2, 1), far), SETTINGS, outside=True))
    assert torch.equal(none[2], torch.full((2, 1), -1.0))


def test_frames_are_resized_and_read_in_small_pieces() -> None:
    film, seen = Film(7), []

    def extractor(images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        assert 0 <= images.min() <= images.max() <= 1
        return images

    maps = list(stream_features(extractor, film, PropagationSettings(size=[24, 32]), chunk=3))
    assert len(maps) == 7
    assert seen == [(3, 3, 24, 32), (3, 3, 24, 32), (1, 3, 24, 32)]
    whole = list(stream_features(lambda images: images, film, PropagationSettings()))
    assert torch.equal(whole[2], torch.from_numpy(film.read(2)).permute(2, 0, 1) / 255)


def test_labels_to_cells_and_back() -> None:
    ids = torch.zeros(16, 24, dtype=torch.uint8)
    ids[:8, 8:] = 9
    labels = one_hot(ids, [0, 9])
    cells = to_cells(labels, (2, 3))
    assert torch.equal(cells[1], torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    assert (upsample_ids(cells, (16, 24), [0, 9]) == ids).float().mean() > 0.95


def test_input_that_tells_nothing() -> None:
    film = Film()
    with pytest.raises(InputError, match="is empty: all pixels are 0"):
        next(propagate_masks(Colours(), film, np.zeros(film.size, np.uint8), SETTINGS))
    with pytest.raises(InputError, match="is 9 x 8 pixels, its frames are 70 x 45"):
        next(propagate_masks(Colours(), film, np.ones((8, 9), np.uint8), SETTINGS))
    with pytest.raises(InputError, match=r"shape \[3\]; expected \[2, joints\]"):
        next(propagate_joints(Colours(), film, torch.zeros(3), SETTINGS))
    with pytest.raises(InputError, match="none lies inside"):
        next(propagate_joints(Colours(), film, torch.tensor([[700.0], [10.0]]), SETTINGS))
