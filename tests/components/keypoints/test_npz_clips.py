import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.npz_clips import read_npz_clip

KEYPOINT = np.arange(2 * 3 * 4 * 3, dtype=np.float64).reshape(2, 3, 4, 3)


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_arrays_of_all_forms(tmp_path):
    path = tmp_path / "a.npz"
    one = read_npz_clip(
        write(path, keypoint=KEYPOINT[0, ..., :2], label=3, img_shape=[240, 320], score=np.ones((3, 4)))
    )
    assert one.keypoint.shape == (1, 3, 4, 2)
    assert one.keypoint.dtype == np.float32
    assert one.score is not None
    assert one.score.shape == (1, 3, 4)
    assert (one.label, one.img_shape) == (3, (240, 320))
    deep = read_npz_clip(write(path, keypoint=KEYPOINT, label="wave"))
    assert (deep.keypoint.shape, deep.score, deep.label) == ((2, 3, 4, 3), None, "wave")
    scored = read_npz_clip(path, third="score")
    assert scored.score is not None
    np.testing.assert_array_equal(scored.score, KEYPOINT[..., 2])
    np.testing.assert_array_equal(scored.keypoint, KEYPOINT[..., :2])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"points": KEYPOINT}, "no array 'keypoint'; it holds points"),
        ({"keypoint": KEYPOINT[0, 0]}, r"keypoint is \[4, 3\], expected \[M, T, V, 2 or 3\]"),
        ({"keypoint": np.array(["a"])}, "expected numbers"),
        ({"keypoint": KEYPOINT + np.inf}, "infinite"),
        ({"keypoint": KEYPOINT, "score": np.ones((2, 9, 4))}, r"score is \[2, 9, 4\], expected \[2, 3, 4\]"),
        ({"keypoint": KEYPOINT, "label": 1.5}, "expected one whole number"),
        ({"keypoint": KEYPOINT, "label": -1}, "from 0 on"),
        ({"keypoint": KEYPOINT, "img_shape": [0, 5]}, r"expected \(height, width\)"),
    ],
)
def test_broken_files_are_named(arrays, message, tmp_path):
    path = write(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=rf"bad\.npz: .*{message}"):
        read_npz_clip(path)


def test_hostile_and_damaged_files(tmp_path):
    path = write(tmp_path / "bad.npz", keypoint=np.array([print], dtype=object))
    with pytest.raises(InputError, match="it holds objects, which are refused"):
        read_npz_clip(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match="is no npz file, or a truncated one"):
        read_npz_clip(path)
    with pytest.raises(InputError, match="cannot be read as npz"):
        read_npz_clip(tmp_path / "gone.npz")
