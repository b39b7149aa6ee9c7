import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from components.errors import InputError
from components.media import read_video
from entrypoints.predict import run_task
from entrypoints.tasks.gallery import Options
from tests.entrypoints.actor_run import NAMES, write_compositional, write_run

SMALL: dict[str, Any] = {
    "actions": ["walk", "drink"], "samples": 1, "durations": [3, 5], "steps": 2, "latents": 1, "style": "stick",
    "size": 32, "device": "cpu",
}  # fmt: skip


def gallery(run: Path, **options: Any) -> Path:
    return run_task("gallery", str(run), SMALL | options)


@pytest.mark.slow
def test_the_whole_gallery(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data))
    folder = gallery(run, actions=["walk", "drink", "walk+drink"], samples=2)
    assert folder.parent == run / "gallery"
    ends = (".gif", ".mp4", ".png")
    assert {file.name for file in (folder / "actions").iterdir()} == {
        name + end for name in ("walk", "drink", "walk+drink") for end in ends
    }
    tests = ("diffaction", "diffduration", "interpolate_latent", "interpolate_action", "pairs")
    assert {file.name for file in (folder / "tests").iterdir()} == {name + end for name in tests for end in ends}
    film = read_video(folder / "overview.mp4")
    assert (len(film.frames), film.fps) == (20, 20)
    assert len(read_video(folder / "tests" / "diffduration.mp4").frames) == 5
    with Image.open(folder / "overview.gif") as gif:
        assert gif.n_frames == 20

    page = (folder / "index.html").read_text()
    links = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert "overview.mp4" in links
    assert all((folder / link.replace("%2B", "+")).is_file() for link in links)

    with (folder / "latent" / "clips.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["split"] for row in rows} == {"evaluation", "training"}
    assert {row["action"] for row in rows} == set(NAMES)
    assert len(rows) == 36
    with (folder / "latent" / "dimensions.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 16
    assert (folder / "latent" / "latent_space.png").is_file()
    settings = json.loads((folder / "settings.json").read_text())
    assert settings["actions"] == ["walk", "drink", "walk+drink"]

    # Again, and of one action alone: the same seed shows the same.
    again = gallery(run, actions=["drink"], samples=2, tests=[], latent_space=False, output=str(tmp_path / "again"))
    assert (again / "actions" / "drink.png").read_bytes() == (folder / "actions" / "drink.png").read_bytes()
    assert not (again / "tests").exists()
    other = gallery(run, tests=[], latent_space=False, formats="strip", seed=1, output=str(tmp_path / "other"))
    assert (other / "actions" / "drink.png").read_bytes() != (folder / "actions" / "drink.png").read_bytes()
    assert not list(other.rglob("*.mp4"))


def test_runs_of_single_actions_and_imported_ones_need_data(data: Path, tmp_path: Path) -> None:
    file = write_run(tmp_path / "run", conditioning="single") / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    layout = {"pose_rep": "rot6d", "translation": False, "num_frames": 20}
    checkpoint["troupe"]["config"]["data"] = layout
    checkpoint["troupe"]["facts"] = {"imported_from": "x"}
    torch.save(checkpoint, tmp_path / "imported.ckpt")
    quick: dict[str, Any] = {"actions": ["action_0"], "formats": ["strip"], "latent_space": False}
    with pytest.raises(InputError, match=r"data\.root=<folder>"):
        gallery(tmp_path / "imported.ckpt", **quick)
    folder = gallery(tmp_path / "imported.ckpt", data={"root": str(data), "batch_size": None}, **quick)
    assert folder.parent == tmp_path / "gallery"
    assert not (folder / "tests" / "pairs.png").exists()
    assert (folder / "tests" / "interpolate_action.png").is_file()
    with pytest.raises(InputError, match="experiment=actor_mix"):
        gallery(tmp_path / "imported.ckpt", data={"root": str(data)}, tests=["pairs"], **quick)


def test_runs_with_pairs_as_classes_and_autoencoders(data: Path, tmp_path: Path) -> None:
    quick: dict[str, Any] = {"actions": ["run+phone"], "formats": ["strip"], "tests": ["diffaction"]}
    run = write_compositional(tmp_path / "run", str(data))
    folder = gallery(run, **quick)
    assert (folder / "actions" / "run+phone.png").is_file()
    with (folder / "latent" / "clips.csv").open(newline="") as stream:
        assert "run+phone" in {row["action"] for row in csv.DictReader(stream)}
    # Latents of an autoencoder are points: nothing is said of their distribution.
    file = run / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    model = checkpoint["troupe"]["config"]["model"]
    model["net"]["_target_"] = "lightning_modules.actor.networks.cvae.ActorCAE"
    model["losses"]["_target_"] = "lightning_modules.actor.losses.AutoencoderLosses"
    torch.save(checkpoint, file)
    points = gallery(run, output=str(tmp_path / "points"), **quick)
    assert (points / "latent" / "dimensions.csv").read_text().splitlines()[0] == "dimension,std"
    with (
        Image.open(points / "latent" / "latent_space.png") as one,
        Image.open(folder / "latent" / "latent_space.png") as two,
    ):
        assert one.width < two.width


def test_positions_are_shown_as_stick_figures(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(data), pose_rep="xyz")
    options: dict[str, Any] = {"actions": "walk", "formats": ["strip"], "tests": "diffaction", "latent_space": False}
    assert (gallery(run, output=str(tmp_path / "out"), **options) / "actions" / "walk.png").is_file()
    with pytest.raises(InputError, match="style=stick"):
        gallery(run, style="body", **options)
    assert not list((run / "gallery").iterdir())


def test_missing_data_and_other_data_leave_nothing_behind(data: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="nowhere"):
        gallery(run)
    dances = tmp_path / "dances"
    dances.mkdir()
    (dances / "humanact12poses.pkl").write_bytes((data / "humanact12poses.pkl").read_bytes())
    (dances / "actions.json").write_text(json.dumps({str(label): f"dance_{label}" for label in range(12)}))
    with pytest.raises(InputError, match="dance_0"):
        gallery(run, data={"root": str(dances)})
    assert not list((run / "gallery").iterdir())


def test_options_out_of_range_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        Options(
            actions=[], clips=0, samples=0, seed=-1, tests=["dance"], durations=[0], steps=1, latents=0, size=5,  # type: ignore[list-item]
            fps=0.0, formats=[], data={"rot": 1}, train_clips=-1, test_actions=[],
        )  # fmt: skip
    text = str(caught.value)
    assert text.startswith("ConfigError: 14 faults in task=gallery")
    assert "tests=['dance']: expected some of diffaction" in text
    assert "durations=[0]: expected lengths of 1 to 2000 frames" in text


def test_the_command_line_composes() -> None:
    from dataclasses import fields

    from entrypoints.config_check import check

    config = check("predict", ["task=gallery", "run=somewhere", "data.root=elsewhere"])
    assert config.data.root == "elsewhere"
    keys = set(config) - {"run", "paths", "hydra", "task"}
    assert keys == {field.name for field in fields(Options)}
