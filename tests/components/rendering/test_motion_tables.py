from pathlib import Path

import pytest
import torch
from PIL import Image

from components.body.loader import load_body
from components.body.motion_files import BodyMotion
from components.errors import InputError
from components.media import read_video
from components.rendering.motion_tables import MotionTable, draw_table, join_rows, write_table


def motion(frames: int) -> BodyMotion:
    poses = torch.linspace(0, 1, frames)[:, None] * torch.ones(72)
    return BodyMotion(poses, torch.zeros(frames, 3), 20.0, in_place=True)


def table(name: str = "walk") -> MotionTable:
    return MotionTable(name, "", [name], ["real", "made"], [[motion(2), motion(3)]], bar_after=1, outfits=[0])


@pytest.mark.parametrize("style", ["body", "stick"])
def test_a_table_is_drawn_and_written(tmp_path: Path, style: str) -> None:
    counted: list[int] = []
    drawn = draw_table(table(), load_body(), style, 32, advance=counted.append)  # type: ignore[arg-type]
    assert sum(counted) == table().frames == 5
    files = write_table(tmp_path, "walk", drawn, fps=20.0)
    assert [file.name for file in files] == ["walk.mp4", "walk.gif", "walk.png"]
    video = read_video(files[0])
    assert len(video.frames) == 3
    assert video.fps == 20
    with Image.open(files[1]) as gif:
        assert gif.n_frames == 3


def test_positions_are_stick_figures_alone() -> None:
    joints = torch.rand(2, 24, 3, generator=torch.Generator().manual_seed(0))
    positions = MotionTable("walk", "", ["walk"], ["real", "none"], [[joints, None]])
    drawn = draw_table(positions, load_body(), "stick", 32)
    assert drawn.films[0][1] is None
    assert tuple(drawn.films[0][0].shape) == (2, 32, 32, 3)  # type: ignore[union-attr]
    with pytest.raises(InputError, match="style=stick"):
        draw_table(positions, load_body(), "body", 32)


def test_first_rows_make_the_overview_and_large_ones_shrink(tmp_path: Path) -> None:
    drawn = draw_table(table(), load_body(), "stick", 64)
    overview = join_rows([drawn] * 40, [f"action {number}" for number in range(40)])
    assert overview.bar_after == 1
    (file,) = write_table(tmp_path, "overview", overview, 20.0, ["strip"])
    with Image.open(file) as picture:
        assert picture.height < 1700
