from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.files.mat_writer import write_mat
from components.media.mask_sequences import fingerprint
from components.media.masks import write_mask
from datamodules.videowalk.davis import is_davis, read_davis
from datamodules.videowalk.jhmdb import is_jhmdb, read_jhmdb
from datamodules.videowalk.vip import is_vip, read_vip

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "davis_mini"


def write_frames(folder: Path, names: list[str], size: tuple[int, int] = (12, 16)) -> None:
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(np.full((*size, 3), 90, dtype=np.uint8)).save(folder / name)


def write_davis(root: Path, sequences: list[str]) -> Path:
    for name in sequences:
        write_frames(root / "JPEGImages" / "480p" / name, [f"{at:05d}.jpg" for at in range(3)])
        for at in range(3):
            ids = np.zeros((12, 16), dtype=np.uint8)
            ids[2:5, 2 + at : 6 + at], ids[0, 0] = 1, 255
            write_mask(root / "Annotations" / "480p" / name / f"{at:05d}.png", ids)
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("\n".join(sequences))
    return root


def write_jhmdb(root: Path, frames: int = 4) -> Path:
    for name, mark in (("throw_1", 2), ("throw_2", 1)):
        write_frames(root / "Rename_Images" / "throw" / name, [f"{at + 1:05d}.png" for at in range(frames)])
        write_mat(
            root / "joint_positions" / "throw" / name / "joint_positions.mat", "pos_img", np.full((2, 15, 3), 5.0)
        )
        (root / "splits").mkdir(exist_ok=True)
        with (root / "splits" / "throw_test_split1.txt").open("a") as file:
            file.write(f"{name}.avi {mark}\n")
    return root


def write_vip(root: Path) -> Path:
    write_frames(root / "Images" / "videos1", [f"{at:012d}.jpg" for at in range(1, 5)])
    for at in (1, 3):
        write_mask(
            root / "Annotations" / "Category_ids" / "videos1" / f"{at:012d}.png", np.full((12, 16), at, np.uint8)
        )
    (root / "lists").mkdir()
    (root / "lists" / "val_videos.txt").write_text("videos1\n")
    return root


def test_davis(tmp_path: Path) -> None:
    root = write_davis(tmp_path, ["b", "a"])
    assert is_davis(root)
    assert not is_jhmdb(root)
    assert not is_vip(root)
    found = read_davis(root)
    assert [sequence.name for sequence in found] == ["b", "a"]  # in the order of the list
    assert len(found[0]) == 3
    assert found[0].ids(1)[2, 3] == 1
    assert found[0].ids(0).max() == 255
    assert found[0].first_ids().max() == 1
    assert [sequence.name for sequence in read_davis(root, sequences=["a"])] == ["a"]
    files = (*found[0].frames.frames, *found[0].masks)
    before = fingerprint(files)
    write_mask(found[0].masks[1] or root, np.zeros((12, 16), dtype=np.uint8))
    assert fingerprint(files) != before


def test_faults_of_davis(tmp_path: Path) -> None:
    root = write_davis(tmp_path, ["bear"])
    with pytest.raises(InputError, match="did you mean 'bear'"):
        read_davis(root, sequences=["beer"])
    (root / "Annotations" / "480p" / "bear" / "00001.png").unlink()
    with pytest.raises(InputError, match=r"no mask for 1 of 3 frames, the first is 00001\.png"):
        read_davis(root)
    (root / "ImageSets" / "2017" / "val.txt").write_text("../other\n")
    with pytest.raises(InputError, match="leads out"):
        read_davis(root)
    with pytest.raises(InputError, match="JPEGImages/480p is missing"):
        read_davis(tmp_path / "nowhere")


@pytest.mark.skipif(not REAL.is_dir(), reason="davis_mini is not in the shared folder")
def test_real_davis_sequences() -> None:
    found = {sequence.name: sequence for sequence in read_davis(REAL)}
    assert {name: len(sequence) for name, sequence in found.items()} == {
        "car-shadow": 40, "libby": 49, "motocross-jump": 40,
    }  # fmt: skip
    assert found["libby"].frames.size == found["libby"].first_ids().shape == (480, 854)
    assert found["libby"].first_ids().max() == 1


def test_jhmdb(tmp_path: Path) -> None:
    root = write_jhmdb(tmp_path)
    assert is_jhmdb(root)
    (test,) = read_jhmdb(root)
    assert test.name == "throw_1"
    assert len(test) == 3  # what is annotated
    assert test.joints.shape == (2, 15, 3)
    assert (test.joints == 4).all()  # from 0
    assert [video.name for video in read_jhmdb(root, "train")] == ["throw_2"]
    write_mat(test.file, "pos_world", np.zeros((2, 15, 3)))
    with pytest.raises(InputError, match="no variable 'pos_img' in it; it has pos_world"):
        read_jhmdb(root)
    write_mat(test.file, "pos_img", np.zeros((2, 14, 3)))
    with pytest.raises(InputError, match=r"\[2, 14, 3\]"):
        read_jhmdb(root)
    with pytest.raises(InputError, match="no <action>_test_split2"):
        read_jhmdb(root, number=2)
    (root / "joint_positions").rename(root / "joints")
    with pytest.raises(InputError, match="joint_positions is missing"):
        read_jhmdb(root)


def test_vip(tmp_path: Path) -> None:
    write_vip(tmp_path / "VIP_Fine")
    assert is_vip(tmp_path)
    (video,) = read_vip(tmp_path)
    assert len(video) == 4
    assert video.annotated() == [0, 2]
    assert video.ids(2)[0, 0] == 3
    with pytest.raises(InputError, match=r"2\.jpg has no mask"):
        video.ids(1)
    (tmp_path / "VIP_Fine" / "Annotations" / "Category_ids" / "videos1" / "000000000001.png").unlink()
    with pytest.raises(InputError, match="first frame"):
        read_vip(tmp_path)
