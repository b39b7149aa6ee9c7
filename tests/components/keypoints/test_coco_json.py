import json

import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.coco_json import read_coco_json
from tests.components.keypoints.keypoint_files import person, write_coco


def test_pictures_of_a_folder_are_a_clip_in_the_order_of_their_numbers(tmp_path):
    frames = [[person(10 + t)] for t in range(12)]
    clips = read_coco_json(write_coco(tmp_path / "k.json", {"walk/a": frames, "run/b": [[person(5)]]}))
    assert [clip.name for clip in clips] == ["run/b", "walk/a"]
    assert clips[1].img_shape == (240, 320)
    keypoint, score = clips[1].arrays()
    assert keypoint[0, :, 0, 0].tolist() == [10 + t for t in range(12)]
    np.testing.assert_allclose(score, 0.9)


def test_videos_by_id_frame_numbers_track_ids_and_visibility(tmp_path):
    joints = person(10)
    joints[:, 2] = [0, 1, 2] * 5 + [2, 2]
    other = person(200)
    other[:, 2] = 2
    images = [{"id": f"i{t}", "video_id": 7, "frame_id": 3 - t, "file_name": "x.jpg"} for t in range(3)]
    annotations = [
        {"image_id": f"i{t}", "keypoints": j.ravel().tolist(), "track_id": track}
        for t in range(3)
        for track, j in (("p", other), ("q", joints))
    ]
    path = tmp_path / "k.json"
    path.write_text(json.dumps({"videos": [{"id": 7, "name": "v"}], "images": images, "annotations": annotations}))
    (clip,) = read_coco_json(path)
    assert (clip.name, clip.img_shape, clip.frames) == ("v", None, ["i2", "i1", "i0"])
    keypoint, score = clip.arrays()
    assert sorted(keypoint[:, 0, 1, 0].tolist()) == [20, 210]
    hidden = score[np.argmin(keypoint[:, 0, 1, 0])]
    assert hidden[0].tolist() == [0, 1, 1] * 5 + [1, 1]


def test_broken_annotations_are_left_out_and_named(tmp_path):
    path = write_coco(tmp_path / "k.json", {"a": [[person(1)], [person(2)]]})
    content = json.loads(path.read_text())
    content["annotations"] += [{"id": 9, "image_id": 0, "keypoints": "x"}, {"image_id": 0}, {"image_id": "gone"}, 3]
    path.write_text(json.dumps(content))
    (clip,) = read_coco_json(path)
    assert clip.problems == ["annotation 9: keypoints are not numbers x, y, third"]
    assert clip.arrays()[0].shape == (1, 2, 17, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x", "cannot be read"),
        ("[]", "no list 'images'"),
        ('{"images": [], "annotations": []}', "no picture with an id"),
    ],
)
def test_files_of_another_form(content, message, tmp_path):
    path = tmp_path / "k.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_coco_json(path)


def test_clips_without_use(tmp_path):
    (clip,) = read_coco_json(write_coco(tmp_path / "k.json", {"a": [[], []]}))
    with pytest.raises(InputError, match="nobody is annotated in any of 2 frames"):
        clip.arrays()
    (clip,) = read_coco_json(write_coco(tmp_path / "k.json", {"a": [[person(1)], [person(1)[:9]]]}))
    with pytest.raises(InputError, match="9 and 17 joints"):
        clip.arrays()
