import numpy as np
import pytest

from components.media.overlays import object_color, overlay_joints, overlay_mask


def grey(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), 120, dtype=np.uint8)


def test_objects_are_tinted_and_outlined_in_their_colour() -> None:
    ids = np.zeros((40, 60), dtype=np.uint8)
    ids[10:30, 5:25], ids[10:30, 30:50] = 1, 2
    picture = grey()
    result = overlay_mask(picture, ids)
    assert (picture == 120).all()
    assert (result[ids == 0] == 120).all()
    assert result[20, 15].argmax() == np.argmax(object_color(1))
    assert result[20, 40].argmax() == np.argmax(object_color(2))
    assert not np.array_equal(result[20, 15], result[20, 40])
    assert not np.array_equal(result[10, 15], result[20, 15])  # the outline
    outline_only = overlay_mask(picture, ids, opacity=0.0)
    assert (outline_only[20, 15] == 120).all()
    assert not (outline_only[10, 15] == 120).all()


def test_no_objects_leave_the_frame_as_it_is() -> None:
    assert np.array_equal(overlay_mask(grey(), np.zeros((40, 60), dtype=np.uint8)), grey())
    with pytest.raises(ValueError, match="differ in size"):
        overlay_mask(grey(), np.zeros((60, 40), dtype=np.uint8))


def test_colours_of_the_first_thirty_objects_differ() -> None:
    assert len({object_color(index) for index in range(1, 31)}) == 30


def test_joints_are_drawn_where_they_are() -> None:
    joints = np.array([[10.0, 45.0, -1.0, np.nan], [20.0, 30.0, -1.0, 3.0]])
    result = overlay_joints(grey(), joints, radius=3)
    np.testing.assert_allclose(result[20, 10], object_color(1), atol=2)
    np.testing.assert_allclose(result[30, 45], object_color(2), atol=2)
    changed = (result != 120).any(-1)
    assert changed.sum() < 2 * 64
    assert not changed[25, 27]
    joined = overlay_joints(grey(), joints, limbs=[(0, 1), (1, 2)], radius=3)
    assert (joined[25, 27] > 200).all()
    assert np.array_equal(overlay_joints(grey(), joints[:, 2:]), grey())
