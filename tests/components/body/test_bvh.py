"""Reading BVH files, whole and broken."""

import math

import pytest
import torch

from components.body.bvh import read_bvh
from components.errors import InputError

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Chest {
    OFFSET 0 10 0
    CHANNELS 3 Yrotation Xrotation Zrotation
    End Site
    {
      OFFSET 0 5 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.05
1 2 3 90 0 0 0 0 0
1 2 4 0 0 90 0 90 0
"""


def write(path, text):
    path.write_text(text)
    return path


def test_positions_and_rotations(tmp_path):
    motion = read_bvh(write(tmp_path / "m.bvh", SMALL))
    assert (motion.names, motion.parents, motion.fps, len(motion)) == (("Hips", "Chest"), (-1, 0), 20.0, 2)
    assert motion.ends[1].tolist() == [0, 5, 0]
    positions, rotations = motion.world()
    # A quarter turn about z lays the bone along -x.
    torch.testing.assert_close(positions[0], torch.tensor([[1.0, 2, 3], [-9, 2, 3]]).double())
    # Hips about y, then the chest about x.
    tip = rotations[1, 1] @ motion.ends[1]
    torch.testing.assert_close(tip, torch.tensor([5.0, 0, 0]).double())


def test_line_ends_and_case(tmp_path):
    path = tmp_path / "m.bvh"
    path.write_bytes(
        SMALL.replace("Frame Time", "FRAME TIME").replace("End Site", "end site").replace("\n", "\r\n").encode()
    )
    assert len(read_bvh(path)) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("HIERARCHY", "HIERARCHIE", "line 1: found 'HIERARCHIE'"), ("ROOT Hips", "ROOT", "line 2: expected one ROOT"),
        ("OFFSET 0 10 0", "OFFSET 0 10", "line 7: found '0 10', expected OFFSET with three numbers"),
        ("OFFSET 0 10 0", "OFFSET 0 nan 0", "line 7"), ("OFFSET 0 5 0", "POSITION 0 5 0", "line 11: found 'POSITION"),
        ("CHANNELS 3 Y", "CHANNELS 4 Y", "line 8: found 'CHANNELS 4"),
        ("Yrotation Xrotation Zrotation\n    End", "Yrotation Wrotation Zrotation\n    End", "line 8"),
        ("CHANNELS 3 Yrotation Xrotation", "CHANNELS 3 Yrotation yrotation", "line 8"),
        ("JOINT Chest", "ROOT Chest", "line 6"), ("Frames: 2", "Frames: two", "line 16: found 'two'"),
        ("Frames: 2", "Frames: 0", "line 16: it states 0 frames"), ("Frames: 2", "Frames: 3", "2 of the 3 frames"),
        ("Frame Time: 0.05", "Frame Time: 0", "line 17: its frame time"),
        ("1 2 3 90 0 0 0 0 0", "1 2 3 90 0 0 0 0", "line 18: 8 numbers in frame 0, expected 9"),
        ("1 2 3 90 0 0 0 0 0", "1 2 3 x 0 0 0 0 0", "line 18: something that is no number"),
        ("1 2 3 90", "1 2 inf 90", "line 18: frame 0 holds NaN"),
    ],
)  # fmt: skip
def test_faults_name_the_line(tmp_path, old, new, message):
    assert old in SMALL
    with pytest.raises(InputError, match=rf"m\.bvh, .*{message}"):
        read_bvh(write(tmp_path / "m.bvh", SMALL.replace(old, new)))


def test_truncated_anywhere(tmp_path):
    for kept in range(0, len(SMALL) - 12, 7):
        with pytest.raises(InputError, match=r"m\.bvh, line \d+"):
            read_bvh(write(tmp_path / "m.bvh", SMALL[:kept]))
    assert math.isclose(read_bvh(write(tmp_path / "m.bvh", SMALL.rstrip())).fps, 20)


def test_no_text_and_no_file(tmp_path):
    (tmp_path / "m.bvh").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="line 1"):
        read_bvh(tmp_path / "m.bvh")
    with pytest.raises(InputError, match="cannot read"):
        read_bvh(tmp_path / "absent.bvh")
