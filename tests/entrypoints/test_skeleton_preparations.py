"""`prepare dataset=skeletons` from files to a set."""

import json
import sys

import numpy as np
import pytest

from components.errors import InputError
from components.media.video import write_mp4
from entrypoints.prepare import full_keys
from entrypoints.skeleton_preparations import _chosen_splits, skeletons
from tests.components.keypoints.keypoint_files import estimator, person, write_coco


def test_a_set_with_report_and_next_command(tmp_path):
    clips = {f"{name}/{number}": [[person(number)]] * 3 for name in ("run", "sit") for number in (1, 2)}
    source = write_coco(tmp_path / "k.json", clips)
    done = skeletons(str(source), str(tmp_path / "out"), val_ratio=0.5)
    assert done.fresh
    assert done.lines[0].startswith("4 clips in splits (train 2, val 2), 12 frames, at most 1 persons, 2 classes")
    assert f"data=skeletons data.root={tmp_path / 'out'}" in done.next_step
    assert done.report is not None
    assert json.loads(done.report.read_text())["clips_per_class"] == {"run": 2, "sit": 2}
    assert not skeletons(str(source), str(tmp_path / "out"), val_ratio=0.5).fresh


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train", "val", "test"], ""),
        (["train", "test"], " data.val_split=test data.test_split=test"),
        (["train"], " data.val_split=train data.test_split=train"),
        (["test1", "train1", "test3"], " data.train_split=train1 data.val_split=test1 data.test_split=test1"),
        (["xsub_train", "xsub_val"], " data.train_split=xsub_train data.val_split=xsub_val data.test_split=xsub_val"),
    ],
)
def test_splits_of_the_next_command(names, expected):
    assert _chosen_splits(names) == expected


def test_videos_need_an_estimator(tmp_path):
    write_mp4(tmp_path / "v" / "jump" / "x.mp4", np.full((3, 32, 48, 3), 20, np.uint8), 10)
    (tmp_path / "v" / "jump" / "empty.mp4").touch()
    with pytest.raises(InputError, match=r"pose\.python=.*not there(.|\n)*pip install mediapipe==0\.10\.14"):
        skeletons(str(tmp_path / "v"), str(tmp_path / "out"), pose={"python": str(tmp_path / "bin" / "python")})
    done = skeletons(str(tmp_path / "v"), str(tmp_path / "out"), pose={"command": estimator(tmp_path)})
    assert done.lines[0].startswith("1 clips")
    assert done.problems[0].startswith("jump/empty: the file is empty")
    with pytest.raises(InputError, match=r"dataset\.pose\.pyhton: unknown key"):
        skeletons(str(tmp_path / "v"), str(tmp_path / "out"), pose={"pyhton": sys.executable})


def test_short_keys_of_the_command():
    line = ["dataset=skeletons", "source=a", "pose.python=b", "force=true", "paths.data=c"]
    assert full_keys(line) == ["dataset=skeletons", "dataset.source=a", "dataset.pose.python=b", *line[3:]]
