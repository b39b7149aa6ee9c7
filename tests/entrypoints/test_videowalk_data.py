"""The data configs of walks compose, and their faults are found before anything is imported."""

import pytest

from entrypoints.config_check import ConfigError, check


def test_shards_instead_of_painted_films():
    data = check("train", ["experiment=videowalk", "data=shard_clips", "data.root=x"]).data
    assert (data.kind, data.root, data.synthetic, data.shuffle_buffer) == ("shards", "x", None, 5000)
    assert data.img_size == 128  # the experiment's


def test_published_values():
    data = check("train", ["experiment=videowalk_kinetics400", "data.root=x"]).data
    assert (data.clip_len, data.frame_rate, data.clips_per_video, data.step) == (4, 8.0, 5, 1)
    assert (data.img_size, data.patch_size, data.patch_stride) == (256, 64, 0.5)
    assert (list(data.frame_aug), list(data.frame_transforms), data.normalization) == (
        ["grid"],
        ["crop"],
        "crw_training",
    )


def test_faults_are_found_early():
    with pytest.raises(ConfigError) as caught:
        check("train", ["experiment=videowalk", "data.augment_on=gpu", "data.frame_gab=3"])
    assert "data.augment_on" in str(caught.value)
    assert "data.frame_gab" in str(caught.value)
