import numpy as np
import pytest

from components.errors import InputError
from components.keypoints.annotations import SkeletonClip, SkeletonSet, write_skeleton_set
from components.media.video import write_mp4
from datamodules.skeletonclip.sources import SourceOptions, open_source
from tests.components.keypoints.keypoint_files import estimator, person, write_coco, write_openpose


def npz(path, frames=3, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, keypoint=np.stack([person(10 + t)[:, :2] for t in range(frames)]), **more)
    return path


def names(source):
    return [item.name for item in source.items]


def test_npz_files_in_the_order_in_which_people_count(tmp_path):
    for clip in ("walk/10", "walk/9", "run/1"):
        npz(tmp_path / f"{clip}.npz", img_shape=[240, 320])
    npz(tmp_path / ".hidden" / "x.npz")
    source = open_source(tmp_path)
    assert (source.kind, names(source)) == ("npz", ["run/1", "walk/9", "walk/10"])
    clip = source.items[0].read().clip
    assert (clip.keypoint.shape, clip.img_shape) == ((1, 3, 17, 2), (240, 320))
    assert names(open_source(tmp_path / "walk" / "9.npz")) == ["9"]


def test_pictures_without_size_are_as_large_as_their_joints(tmp_path):
    npz(tmp_path / "a.npz")
    clip = open_source(tmp_path).items[0].read().clip
    assert clip.img_shape == (int(clip.keypoint[..., 1].max()) + 2, int(clip.keypoint[..., 0].max()) + 2)
    assert open_source(tmp_path, options=SourceOptions(img_shape=[50, 60])).items[0].read().clip.img_shape == (50, 60)


def test_openpose_folders_one_or_many(tmp_path):
    for clip in ("wave/a", "wave/b"):
        write_openpose(tmp_path / clip, [[person(10)], [person(11)]])
    source = open_source(tmp_path)
    assert (source.kind, names(source)) == ("openpose", ["wave/a", "wave/b"])
    assert source.items[0].slow
    assert names(open_source(tmp_path / "wave" / "a")) == ["a"]
    assert source.items[1].read().clip.total_frames == 2


def test_coco_pickles_and_videos(tmp_path):
    coco = open_source(write_coco(tmp_path / "k.json", {"walk/a": [[person(10)], [person(11)]]}))
    assert (coco.kind, names(coco)) == ("coco", ["walk/a"])
    assert coco.items[0].read().clip.img_shape == (240, 320)

    clips = [SkeletonClip(name, 1, np.ones((1, 2, 17, 2), np.float32), None, (9, 9), 2) for name in ("a", "b")]
    path = write_skeleton_set(tmp_path / "s.pkl", SkeletonSet(clips, {"test": ["b"]}))
    assert names(open_source(path)) == ["a", "b"]
    assert names(open_source(path, options=SourceOptions(split="test"))) == ["b"]
    with pytest.raises(InputError, match=r"no split 'tset' \(did you mean 'test'\?\)"):
        open_source(path, options=SourceOptions(split="tset"))

    write_mp4(tmp_path / "v" / "jump" / "x.mp4", np.full((3, 32, 48, 3), 20, np.uint8), 10)
    videos = open_source(tmp_path / "v", options=SourceOptions(pose=lambda: estimator(tmp_path)))
    assert (videos.kind, names(videos)) == ("videos", ["jump/x"])
    clip = videos.items[0].read().clip
    assert (clip.keypoint.shape, clip.img_shape) == ((1, 3, 17, 2), (32, 48))


def test_faults_are_named(tmp_path):
    with pytest.raises(InputError, match=r"source=.*gone: no such file"):
        open_source(tmp_path / "gone")
    with pytest.raises(InputError, match="holds no clips"):
        open_source(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(InputError, match=r"unknown file type '\.txt'; expected a \.pkl"):
        open_source(tmp_path / "a.txt")
    npz(tmp_path / "a.npz")
    (tmp_path / "b.mp4").touch()
    with pytest.raises(InputError, match="holds npz and videos; choose one with kind=npz"):
        open_source(tmp_path)
    with pytest.raises(InputError, match=r"kind='vidoes' .*did you mean 'videos'"):
        open_source(tmp_path, "vidoes")
    with pytest.raises(InputError, match="nothing of kind 'openpose'"):
        open_source(tmp_path, "openpose")
    for options, message in (({"max_persons": 0}, "max_persons=0"), ({"img_shape": [5]}, "img_shape")):
        with pytest.raises(InputError, match=message):
            SourceOptions(**options)
