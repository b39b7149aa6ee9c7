import pytest

from components.errors import InputError
from datamodules.actor.motion_labels import Segment, label_files, read_labels


def test_names_and_folders_give_labels():
    names = ["walk_01.bvh", "Slow Walk-2.bvh", "007.bvh"]
    segments, problems = label_files(names)
    assert segments == {names[0]: [Segment("walk")], names[1]: [Segment("slow_walk")]}
    assert problems == ["007.bvh: no label, left out"]
    folders = ["Walk Fast/a.bvh", "sit/walk_1.bvh"]
    assert label_files(folders)[0] == {folders[0]: [Segment("walk_fast")], folders[1]: [Segment("sit")]}
    assert label_files(folders, label_from="name")[0][folders[1]] == [Segment("walk")]
    # One file outside of any folder: names decide for all.
    assert label_files([*folders, "run.bvh"])[0][folders[1]] == [Segment("walk")]
    assert label_files(folders, actions=["sit"]) == ({folders[1]: [Segment("sit")]}, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "columns are a, b"), ("file,action\nabsent,walk\n", "line 2: 'absent' is no motion file"),
        ("file,action\nwalk_01,\n", "line 2: no action"), ("file,action,start,end\nwalk_01,a,x,\n", "must be seconds"),
        ("file,action,start,end\nwalk_01,a,2,1\n", "from 2 to 1"), ("file,action\ntwice,a\n", "names 2 files"),
    ],
)  # fmt: skip
def test_malformed_tables(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / "labels.csv", ["walk_01.bvh", "a/twice.bvh", "b/twice.bvh"])
    with pytest.raises(InputError, match="cannot read"):
        read_labels(tmp_path / "absent.csv", [])
