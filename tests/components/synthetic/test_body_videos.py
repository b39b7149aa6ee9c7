from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.masks import read_mask
from components.synthetic.body_videos import (
    _JHMDB_STREAM,
    _VIP_STREAM,
    JHMDB_ACTIONS,
    jhmdb_scene,
    vip_film,
    write_jhmdb,
    write_vip,
)
from datamodules.videowalk.jhmdb import read_jhmdb
from datamodules.videowalk.vip import read_vip

TINY: dict[str, Any] = dict(frames=3, height=64, width=96)


def test_layout_of_jhmdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.synthetic.body_videos.JHMDB_ACTIONS", JHMDB_ACTIONS[:1])
    assert write_jhmdb(tmp_path / "a", videos_per_action=3, **TINY)
    assert not write_jhmdb(tmp_path / "a", videos_per_action=3, **TINY)
    assert (tmp_path / "a" / "splits" / "jump_test_split1.txt").read_text() == (
        "jump_000.avi 2\njump_001.avi 2\njump_002.avi 1\n"
    )
    first, second = read_jhmdb(tmp_path / "a")
    assert [first.name, second.name] == ["jump_000", "jump_001"]
    scene = jhmdb_scene((0, _JHMDB_STREAM, 0, 1), "jump", (64, 96), 3)
    np.testing.assert_allclose(second.joints, scene.people[0].jhmdb_joints().permute(2, 1, 0).numpy(), atol=1e-4)
    assert (second.joints[:, :, 0] >= 0).all()
    film = scene.render()
    for at in range(3):
        np.testing.assert_array_equal(second.frames.read(at), film.images[at].numpy())


def test_layout_of_vip(tmp_path: Path) -> None:
    write_vip(tmp_path / "a", videos=2, **TINY)
    videos = read_vip(tmp_path / "a")
    assert [video.name for video in videos] == ["videos1", "videos2"]
    for index, video in enumerate(videos):
        film = vip_film((0, _VIP_STREAM, index), (64, 96), 3)
        assert len(film.ids.unique()) == index + 2  # one person, then two
        for at in range(3):
            file = tmp_path / "a" / "Annotations" / "Category_ids" / video.name / f"{at + 1:012d}.png"
            np.testing.assert_array_equal(read_mask(file).ids, film.parts[at].numpy())
            with Image.open(file) as picture:
                assert picture.mode == "L"
        assert len(film.parts.unique()) >= 7  # head to shoes


def test_numbers_out_of_range_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^videos_per_action=0"):
        write_jhmdb(tmp_path / "a", videos_per_action=0)
    with pytest.raises(InputError, match=r"^frames=1"):
        write_vip(tmp_path / "a", frames=1)
