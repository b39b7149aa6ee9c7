from pathlib import Path

import pytest
import torch
from PIL import Image

from components.body.loader import load_body
from components.body.motion_files import BodyMotion
from components.errors import InputError
from components.media import read_video
from components.rendering.motion_gallery import (
    GalleryItem,
    gallery_frames,
    looks_of,
    sheet_layout,
    write_gallery,
    write_still_rows,
)


def item(group: str, frames: int = 2) -> GalleryItem:
    poses = torch.linspace(0, 1, frames)[:, None] * torch.ones(72)
    return GalleryItem(group, group, BodyMotion(poses, torch.zeros(frames, 3), 20.0, in_place=True))


def test_one_group_has_no_sheet_and_shorter_motions_hold_their_last_frame(tmp_path: Path) -> None:
    items = [item("walk", 2), item("walk", 3)]
    drawn: list[int] = []
    files = write_gallery(tmp_path, items, load_body(), ["mp4", "stick"], size=32, advance=drawn.append)
    assert files == [tmp_path / "videos" / "walk.mp4", tmp_path / "videos" / "walk_stick.mp4"]
    assert all(len(read_video(file).frames) == 3 for file in files)
    assert sum(drawn) == gallery_frames(items, ["mp4", "stick"]) == 10


def test_several_groups_have_a_sheet(tmp_path: Path) -> None:
    files = write_gallery(tmp_path, [item("walk"), item("run"), item("sit")], load_body(), ["gif", "strip"], size=32)
    assert {file.name for file in files} == {
        f"{name}{end}" for name in ("walk", "run", "sit", "all") for end in (".gif", ".png")
    }
    with Image.open(tmp_path / "videos" / "all.gif") as sheet:
        assert sheet.n_frames == 2


@pytest.mark.parametrize(
    ("items", "groups", "size", "columns"),
    [(1, 1, 256, 1), (4, 2, 256, 2), (24, 8, 256, 6), (36, 12, 256, 6), (100, 1, 64, 6), (360, 120, 256, 24)],
)
def test_the_sheet_keeps_groups_whole_and_fits_a_screen(items: int, groups: int, size: int, columns: int) -> None:
    found, factor = sheet_layout(items, groups, size)
    assert found == columns
    rows = -(-items // found)
    assert found * (size // factor) <= 1920
    assert rows * (size // factor) <= 1280


def test_bodies_with_parts_are_dressed() -> None:
    body = load_body()
    colors = looks_of(body, 0)
    assert isinstance(colors, torch.Tensor)
    assert colors.shape == (body.num_vertices, 3)
    body.face_parts = None
    assert looks_of(body, 7) == looks_of(body, 1)


def test_still_rows(tmp_path: Path) -> None:
    write_still_rows(tmp_path / "rows.png", [item("walk"), item("run")], load_body(), height=40)
    with Image.open(tmp_path / "rows.png") as picture:
        assert picture.width >= 192
        assert picture.height >= 80


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_gallery(tmp_path / "file", [item("walk")], load_body(), ["strip"], size=32)
