"""task=propagate killed in the middle of a film goes on where it was."""

import logging
from pathlib import Path
from typing import Any

import pytest

from components.media.masks import read_mask
from entrypoints.predict import run_task
from tests.entrypoints.tasks.test_propagate import write_set
from tests.entrypoints.videowalk_run import write_walk_run
from tests.process.command_line import run_until_killed

pytestmark = pytest.mark.slow
FRAMES = 3


def test_killed_and_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, out = write_walk_run(tmp_path / "run"), tmp_path / "out"
    root = write_set(tmp_path / "set", ("a", "b", "c"), frames=FRAMES)
    arguments = (
        f"run={folder}",
        "task=propagate",
        f"video={root}",
        f"output={out}",
        "radius=6",
        "device=cpu",
    )
    # After the second of the masks of b
    run_until_killed("predict", *arguments, dies=f"components.media.masks:write_mask@{FRAMES + 2}")
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == ["a"]
    assert len(list(out.glob(".b.*/masks/*.png"))) == 2
    assert len(list((out / "a" / "masks").iterdir())) == FRAMES
    before = (out / "a" / "overlay.mp4").stat().st_mtime_ns
    options: dict[str, Any] = {"video": str(root), "output": str(out), "radius": 6, "device": "cpu"}
    with caplog.at_level(logging.INFO):
        run_task("propagate", str(folder), options)
    assert "1 of 3 films are finished already" in caplog.text
    assert f"c: {FRAMES} frames (film 2 of 2)" in caplog.text
    assert (out / "a" / "overlay.mp4").stat().st_mtime_ns == before
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", "c"]  # nothing is left of the killed one
    for name in "abc":
        masks = sorted((out / name / "masks").iterdir())
        assert len(masks) == FRAMES
        assert all(read_mask(path).ids.shape == (40, 64) for path in masks)
        assert {path.name for path in (out / name).iterdir()} == {
            "masks", "overlay.mp4", "contact_sheet.png", "propagation.json",
        }  # fmt: skip
