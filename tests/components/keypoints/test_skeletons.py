"""Skeletons: joints, limbs and sides fit together, or the message says which entry does not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import InputError
from components.keypoints.skeletons import SKELETONS, check_joints, load_skeleton

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "jhmdb_pyskl"


@pytest.mark.parametrize("name", SKELETONS)
def test_names_of_sides_agree_with_the_paired_lists(name):
    skeleton = load_skeleton(name)
    for left, right in zip(skeleton.left_kp, skeleton.right_kp, strict=True):
        assert skeleton.joints[left].replace("left", "right") == skeleton.joints[right]
    sided = {number for number, joint in enumerate(skeleton.joints) if joint.startswith(("left", "right"))}
    assert sided == {*skeleton.left_kp, *skeleton.right_kp}


@pytest.mark.parametrize(("name", "joints", "limbs"), [("coco17", 17, 17), ("jhmdb15", 15, 14), ("ntu25", 25, 24)])
def test_mirroring_twice_changes_nothing(name, joints, limbs):
    skeleton = load_skeleton(name)
    assert (skeleton.num_joints, skeleton.num_limbs) == (joints, limbs)
    for mirror in (skeleton.joint_mirror, skeleton.limb_mirror):
        assert [mirror[mirror[place]] for place in range(len(mirror))] == list(range(len(mirror)))
    # Every joint hangs on the body.
    reached = {skeleton.limbs[0][0]}
    for _ in skeleton.limbs:
        reached |= {joint for limb in skeleton.limbs if reached & set(limb) for joint in limb}
    assert len(reached) == joints


def test_coco_is_as_published():
    coco = load_skeleton("coco17")
    assert coco.limbs[0] == (0, 1)
    assert coco.limbs[16] == (11, 12)
    assert coco.limb_mirror[16] == 16
    assert (coco.limb_mirror[0], coco.limb_mirror[15]) == (1, 12)


def as_json(tmp_path: Path, **changes: object) -> Path:
    skeleton = SKELETONS["jhmdb15"]
    content = {key: getattr(skeleton, key) for key in ("limbs", "left_kp", "right_kp", "left_limb", "right_limb")}
    path = tmp_path / "skeleton.json"
    path.write_text(json.dumps({"joint_names": skeleton.joints, "class_names": ["run"], **content, **changes}))
    return path


def test_a_json_file_is_read_and_other_keys_are_left_alone(tmp_path):
    path = as_json(tmp_path)
    assert load_skeleton(path) == replace(SKELETONS["jhmdb15"], name=str(path))
    assert load_skeleton(as_json(tmp_path, limbs=[], left_limb=[], right_limb=[])).num_limbs == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left_kp": [4, 6, 8]}, "left_kp has 3 entries and right_kp 6"),
        ({"left_limb": [5]}, "left_limb has 1 entries and right_limb 6"),
        ({"left_kp": [4, 6, 8, 10, 12, 15]}, "left_kp names joint 15; there are 15"),
        ({"left_kp": [3, 6, 8, 10, 12, 14]}, "joint 3 is listed twice"),
        ({"left_limb": [6, 5, 7, 11, 12, 13]}, "not its mirror image"),
        ({"limbs": [[0, 15]]}, r"limb 0 is \[0, 15\]"),
        ({"limbs": [[2, 2]]}, r"limb 0 is \[2, 2\]"),
        ({"limbs": [[0, 1], [1, 0]], "left_limb": [], "right_limb": []}, r"limb \[0, 1\] is listed twice"),
        ({"limbs": [0, 1]}, "list of pairs"),
        ({"right_kp": ["a"]}, "right_kp must be a list of whole numbers"),
        ({"joint_names": ["a", "a"]}, "two joints are called 'a'"),
        ({"joint_names": 3}, "expected a json object"),
    ],
)
def test_lists_that_do_not_fit_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        load_skeleton(as_json(tmp_path, **changes))


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(InputError, match=r"no skeleton 'coco18' \(did you mean 'coco17'\?\)"):
        load_skeleton("coco18")
    with pytest.raises(InputError, match="cannot read the skeleton"):
        load_skeleton(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="cannot read the skeleton"):
        load_skeleton(tmp_path / "bad.json")


def test_a_joint_count_that_does_not_fit_names_a_skeleton_that_would():
    check_joints(SKELETONS["coco17"], 17, "the clip")
    with pytest.raises(InputError, match=r"the clip has 15 joints.*'coco17' has 17; data\.skeleton=jhmdb15"):
        check_joints(SKELETONS["coco17"], 15, "the clip")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: set TROUPE_DATA to the folder of real data")
def test_the_real_skeleton_file_is_the_one_that_is_built_in():
    path = DATA / "skeleton.json"
    assert load_skeleton(path) == replace(SKELETONS["jhmdb15"], name=str(path))
