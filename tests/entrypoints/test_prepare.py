import json
import logging
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from components.errors import InputError, MissingPackageError
from datamodules.actor.humanact12 import PICKLE
from entrypoints import prepare
from entrypoints.preparations import body, humanact12, ntu13, synthetic_humanact12, uestc
from tests.datamodules.actor.vibe_files import motion, write_ntu13, write_uestc
from tests.process.command_line import run


def write_pickle(folder: Path, labels: list[int], break_sample: dict[int, str] | None = None) -> Path:
    """A small data set; broken samples have NaN frames or too few joints."""
    rng = np.random.default_rng(0)
    content: dict[str, list] = {"poses": [], "joints3D": [], "y": [], "oldposes": []}
    for index, label in enumerate(labels):
        joints = 23 if (break_sample or {}).get(index) == "joints" else 24
        poses = rng.normal(size=(5 + index, 72)).astype(np.float32)
        if (break_sample or {}).get(index) == "nan":
            poses[2] = np.nan
        content["poses"].append(poses)
        content["joints3D"].append(rng.normal(size=(5 + index, joints, 3)).astype(np.float32))
        content["y"].append(label)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICKLE).write_bytes(pickle.dumps(content))
    (folder / "actions.json").write_text(json.dumps({"0": "walk", "1": "run", "2": "bow"}))
    return folder


def test_broken_samples_are_listed_by_number(tmp_path: Path) -> None:
    root = write_pickle(tmp_path, [0, 0, 1, 1, 2, 2], {1: "nan", 4: "joints"})
    done = humanact12(str(root))
    assert done.fresh
    assert done.lines[0] == "4 clips, 30 frames, 3 classes"
    assert done.problems[0].startswith("sample 1: poses has NaN")
    assert done.problems[1].startswith("sample 4: joints3D has shape [9, 23, 3]")
    assert "class 0 (walk): clips: 1" in done.problems[2]
    assert "data.num_classes=3 data.on_error=skip" in done.next_step
    assert done.report is not None
    assert json.loads(done.report.read_text())["problems"] == done.problems


def test_policy_raise(tmp_path: Path) -> None:
    root = write_pickle(tmp_path, [0, 0, 1, 1, 2, 2], {1: "nan"})
    with pytest.raises(InputError, match="sample 1"):
        humanact12(str(root), on_error="raise")


def test_a_second_call_does_nothing_and_force_does_it_again(tmp_path: Path) -> None:
    root = write_pickle(tmp_path, [0, 0, 1, 1, 2, 2])
    place = humanact12(str(root)).place
    long_ago = 1_600_000_000
    os.utime(place / "index.json", (long_ago, long_ago))
    assert not humanact12(str(root)).fresh
    assert humanact12(str(root), force=True).fresh
    assert (place / "index.json").stat().st_mtime > long_ago


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.root=.*humanact12poses\.pkl"):
        humanact12(str(tmp_path))
    root = write_pickle(tmp_path, [0, 0])
    whole = (root / PICKLE).read_bytes()
    (root / PICKLE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=PICKLE):
        humanact12(str(root))


def test_synthetic_data_are_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "synthetic"
    assert synthetic_humanact12(str(folder), clips_per_action=1).fresh
    stamp = (folder / PICKLE).stat().st_mtime_ns
    assert not synthetic_humanact12(str(folder), clips_per_action=1).fresh
    assert (folder / PICKLE).stat().st_mtime_ns == stamp
    assert humanact12(str(folder)).lines[0].startswith("12 clips")
    assert synthetic_humanact12(str(folder), clips_per_action=1, seed=1).fresh


def test_synthetic_data_never_replace_the_users(tmp_path: Path) -> None:
    root = write_pickle(tmp_path, [0, 0])
    before = (root / PICKLE).read_bytes()
    with pytest.raises(InputError, match="left alone"):
        synthetic_humanact12(str(root), force=True)
    assert (root / PICKLE).read_bytes() == before


def test_body_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anny", None)
    with pytest.raises(MissingPackageError, match="body-builder"):
        body(str(tmp_path / "body.npz"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["humanact12", "synthetic_humanact12"])
def test_the_job_reports(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    arguments: dict[str, Any] = {"force": False}
    if name == "humanact12":
        arguments |= {"root": str(write_pickle(tmp_path, [0, 0, 1, 1, 2, 2], {3: "nan"}))}
    else:
        arguments |= {"folder": str(tmp_path), "clips_per_action": 1}
    with caplog.at_level(logging.INFO):
        prepare.job(OmegaConf.create({"dataset": {"_target_": f"entrypoints.preparations.{name}", **arguments}}))
    text = caplog.text
    assert f"written: {tmp_path}" in text
    assert "next: python -m entrypoints.train" in text
    assert ("sample 3: poses has NaN" in text) == (name == "humanact12")


def test_input_errors_pass_hydra_unwrapped(tmp_path: Path) -> None:
    config = {"dataset": {"_target_": "entrypoints.preparations.humanact12", "root": str(tmp_path)}}
    with pytest.raises(InputError):
        prepare.job(OmegaConf.create(config))


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    places = (f"paths.data={tmp_path}", f"paths.output_dir={tmp_path}")
    assert "did you mean 'humanact12'" in run("prepare", "dataset=humanact13", *places, code=2)
    assert "dataset.root" in run("prepare", "dataset=humanact12", *places, code=2)
    missing = run("prepare", "dataset=humanact12", f"dataset.root={tmp_path}", *places, code=2)
    assert "humanact12poses.pkl" in missing
    assert "Traceback" not in missing
    root = write_pickle(tmp_path / "mine", [0, 0, 1, 1, 2, 2], {1: "nan"})
    assert "sample 1: poses has NaN" in run("prepare", "dataset=humanact12", f"dataset.root={root}", *places)
    assert list(Path.cwd().glob(".hydra")) == []


def test_keys_of_the_data_set_may_stand_alone() -> None:
    given = ["dataset=motion", "source=clips", "output=set", "force=true", "paths.data=x"]
    full = ["dataset=motion", "dataset.source=clips", "dataset.output=set", "force=true", "paths.data=x"]
    assert prepare.full_keys(given) == full
    assert prepare.full_keys(["dataset=body", "source=x"]) == ["dataset=body", "source=x"]  # it has no such key
    assert prepare.full_keys(["dataset=nothing", "source=x"]) == ["dataset=nothing", "source=x"]
    assert prepare.full_keys(["--help"]) == ["--help"]


def test_ntu13_is_converted_and_reported(tmp_path: Path) -> None:
    root = write_ntu13(
        tmp_path / "ntu13",
        {
            "a/S001C001P001R001A006.pkl": {1: motion(0, 20)},
            "a/S001C001P002R001A006.pkl": {1: motion(1, 30)},
            "a/S001C001P002R001A007.pkl": {2: motion(2, 30)},
        },
    )
    (root / "a" / "S001C001P002R001A006.pkl").unlink()
    done = ntu13(str(root))
    assert done.fresh
    assert done.lines[:2] == ["1 clips, 20 frames, 13 classes", "1 left out as published: they have no tracked person"]
    assert any("P002R001A006" in line for line in done.problems)
    assert done.next_step.endswith(f"experiment=actor_ntu13 data.root={root} data.on_error=skip")
    os.utime(done.place / "index.json", (0, 0))
    assert not ntu13(str(root)).fresh
    assert ntu13(str(root), force=True).fresh
    with pytest.raises(InputError, match="problems, all in"):
        ntu13(str(root), on_error="raise")


def test_uestc_is_converted_and_reported(tmp_path: Path) -> None:
    root = write_uestc(tmp_path / "uestc")
    done = uestc(str(root), num_classes=2)
    assert "2 classes" in done.lines[0]
    assert "punching and kicking" in done.lines[1]
    assert done.next_step == f"python -m entrypoints.train experiment=actor_uestc data.root={root} data.num_classes=2"
    assert "data.dataset.view=frontview" in uestc(str(root), "frontview", 2).next_step
    with pytest.raises(InputError, match=r"names 2 actions, but data\.num_classes=40"):
        uestc(str(root))
