"""Reading HumanAct12Poses: what is refused, what is skipped, and the converted arrays."""

import json
import os
import pickle
import threading

import numpy as np
import pytest
import torch

from components.body.pose_format import encode_rotations
from components.errors import InputError
from components.synthetic.actions import ACTIONS
from datamodules.actor.humanact12 import HUMANACT12_ACTIONS, action_names, open_humanact12
from lightning_modules.actor.upstream import ACTION_NAMES
from tests.datamodules.actor.humanact12_folder import samples, write_folder


def test_published_names_agree_wherever_they_stand():
    assert tuple(ACTIONS) == ACTION_NAMES["humanact12"] == HUMANACT12_ACTIONS


def test_arrays_hold_the_pickle(tmp_path):
    content = samples()
    clips = open_humanact12(write_folder(tmp_path / "d", content), num_classes=3)
    assert clips.labels.tolist() == content["y"]
    for clip, (start, length) in enumerate(zip(clips.starts, clips.lengths)):
        rows = slice(start, start + length)
        np.testing.assert_array_equal(clips.poses[rows], content["poses"][clip])
        np.testing.assert_array_equal(clips.joints[rows], content["joints3D"][clip])
        expected = encode_rotations(torch.from_numpy(content["poses"][clip]).view(-1, 24, 3), "rot6d")
        torch.testing.assert_close(torch.tensor(clips.rot6d[rows]), expected)


def test_conversion_happens_once(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "d")
    first = open_humanact12(folder, 3)
    monkeypatch.setattr("datamodules.actor.humanact12._convert", lambda *_: pytest.fail("converted again"))
    assert open_humanact12(folder, 3).folder == first.folder
    assert first.folder.parent == folder / ".troupe_cache"


def test_changed_pickle_is_converted_anew(tmp_path):
    folder = write_folder(tmp_path / "d")
    first = open_humanact12(folder, 3)
    write_folder(folder, samples((1, 1, 1)))
    os.utime(folder / "humanact12poses.pkl", ns=(1, 1))
    second = open_humanact12(folder, 3)
    assert second.folder != first.folder
    assert len(second) == 3


def test_read_only_folder_uses_the_cache_folder(tmp_path):
    folder = write_folder(tmp_path / "d")
    folder.chmod(0o555)
    try:
        clips = open_humanact12(folder, 3, cache_dir=str(tmp_path / "cache"))
    finally:
        folder.chmod(0o755)
    assert clips.folder.parent == tmp_path / "cache"
    assert sorted(path.name for path in folder.iterdir()) == ["actions.json", "humanact12poses.pkl"]


def test_unwritable_cache(tmp_path):
    folder = write_folder(tmp_path / "d")
    (tmp_path / "file").write_text("")
    folder.chmod(0o555)
    try:
        with pytest.raises(InputError, match=r"data\.cache_dir"):
            open_humanact12(folder, 3, cache_dir=str(tmp_path / "file" / "cache"))
    finally:
        folder.chmod(0o755)


def test_several_at_once(tmp_path):
    folder, results = write_folder(tmp_path / "d"), []
    threads = [threading.Thread(target=lambda: results.append(len(open_humanact12(folder, 3)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [8] * 4
    assert [path.name[0] for path in (folder / ".troupe_cache").iterdir()] != ["."]
    assert len(list((folder / ".troupe_cache").iterdir())) == 1


def test_damaged_cache_names_the_folder(tmp_path):
    folder = write_folder(tmp_path / "d")
    clips = open_humanact12(folder, 3)
    (clips.folder / "poses.npy").write_bytes(b"nothing")
    with pytest.raises(InputError, match="delete that folder"):
        open_humanact12(folder, 3)


def test_missing_pickle(tmp_path):
    with pytest.raises(InputError, match=r"data\.root=.* has no 'humanact12poses.pkl'"):
        open_humanact12(tmp_path)


def test_truncated_pickle(tmp_path):
    path = write_folder(tmp_path / "d") / "humanact12poses.pkl"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="truncated"):
        open_humanact12(tmp_path / "d", 3)


class Hostile:
    def __reduce__(self):
        return os.system, ("exit 3",)


def test_hostile_pickle(tmp_path):
    content = samples()
    content["poses"][1] = Hostile()
    with pytest.raises(InputError, match=r"system"):
        open_humanact12(write_folder(tmp_path / "d", content), 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list"),
        ({"poses": []}, "lacks joints3D, y"),
        ({"poses": [1], "joints3D": [], "y": []}, "equal length"),
        ({"poses": {}, "joints3D": [], "y": []}, "no list"),
        ({"poses": [], "joints3D": [], "y": []}, "no usable sample"),
    ],
)
def test_wrong_layout(tmp_path, content, message):
    (tmp_path / "humanact12poses.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=message):
        open_humanact12(tmp_path)


def broken(kind):
    content = samples()
    poses, joints, labels = content["poses"], content["joints3D"], content["y"]
    if kind == "joint count":
        joints[2] = joints[2][:, :21]
    elif kind == "pose width":
        poses[2] = poses[2][:, :66]
    elif kind == "nan":
        poses[2][7, 5] = np.nan
    elif kind == "infinite joints":
        joints[2][3:5] = np.inf
    elif kind == "frames":
        joints[2] = joints[2][:-1]
    elif kind == "empty":
        poses[2], joints[2] = poses[2][:0], joints[2][:0]
    elif kind == "label":
        labels[2] = 3
    elif kind == "negative label":
        labels[2] = -1
    elif kind == "label type":
        labels[2] = "walk"
    elif kind == "text":
        poses[2] = "nothing"
    return content


FAULTS = {
    "joint count": r"sample 2: joints3D has shape \[\d+, 21, 3\], expected \[frames, 24, 3\]",
    "pose width": r"sample 2: poses has shape \[\d+, 66\].*24 joints",
    "nan": r"sample 2: poses has NaN or infinity in 1 frame\(s\), first in frame 7",
    "infinite joints": r"sample 2: joints3D has NaN or infinity in 2 frame\(s\), first in frame 3",
    "frames": r"sample 2: poses has \d+ frames, joints3D \d+",
    "empty": "sample 2: it has no frames",
    "label": r"sample 2: its label 3 lies outside 0\.\.2",
    "negative label": r"sample 2: its label -1 lies outside 0\.\.2",
    "label type": "sample 2: its label 'walk' is no whole number",
    "text": "sample 2: poses is no array",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_broken_sample_is_named_or_skipped(tmp_path, kind, caplog):
    folder = write_folder(tmp_path / "d", broken(kind))
    with pytest.raises(InputError, match=FAULTS[kind]) as caught:
        open_humanact12(folder, 3)
    assert "data.on_error=skip" in str(caught.value)
    assert str(caught.value).count("\n") <= 2
    clips = open_humanact12(folder, 3, on_error="skip")
    assert clips.sources.tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert [entry["sample"] for entry in clips.skipped] == [2]
    assert "sample 2" in caplog.text


def test_nothing_left(tmp_path):
    content = samples()
    content["y"] = [9] * len(content["y"])
    with pytest.raises(InputError, match=r"no usable sample: sample 0.*and 5 more"):
        open_humanact12(write_folder(tmp_path / "d", content), 3, on_error="skip")


def test_action_names(tmp_path):
    assert action_names(tmp_path, 12) == HUMANACT12_ACTIONS
    with pytest.raises(InputError, match=r"data\.num_classes=5 needs"):
        action_names(tmp_path, 5)
    write_folder(tmp_path / "d")
    assert action_names(tmp_path / "d", 3) == ("walk", "drink", "flap")
    with pytest.raises(InputError, match=r"names 3 actions, but data.num_classes=12"):
        action_names(tmp_path / "d", 12)


@pytest.mark.parametrize("content", ['["walk"]', '{"1": "walk"}', '{"0": "a", "1": "a"}', '{"0": 3}', "{"])
def test_malformed_action_names(tmp_path, content):
    (tmp_path / "actions.json").write_text(content)
    with pytest.raises(InputError, match=r"actions\.json"):
        action_names(tmp_path, len(json.loads(content)) if content != "{" else 1)
