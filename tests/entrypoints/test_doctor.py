import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from entrypoints import checkup, doctor
from entrypoints.checkup import (
    as_data,
    check_all,
    check_encoder,
    check_extra,
    check_file,
    check_folder,
    check_package,
    check_pose,
    requirements,
)

FILES = {"smpl": {"places": ["nowhere/a.npz", "nowhere/b.pkl"], "purpose": "SMPL", "use": "model.body.source=<file>"}}


def config(folder: Path, **more: Any) -> Any:
    paths = {"output_dir": str(folder / "outputs"), "data": str(folder / "data")}
    return OmegaConf.create({"paths": paths, "json": False, "free_gib": 0.0, "files": FILES} | more)


def test_a_healthy_machine(tmp_path: Path) -> None:
    checks = check_all(str(tmp_path / "outputs"), str(tmp_path / "data"), FILES, free_gib=0.0)
    assert [check.name for check in checks if check.fault] == []
    names = {check.name for check in checks}
    assert {
        "python",
        "torch",
        "lightning",
        "hydra-core",
        "av",
        "cpu",
        "mp4 encoder",
        "outputs",
        "data",
        "smpl",
    } <= names
    assert {"sweeps", "tensorboard", "body-builder"} <= names
    assert "dev" not in names
    assert list(tmp_path.iterdir()) == []  # looking leaves no trace


def test_packages() -> None:
    assert check_package("torch>=2").state == "ok"
    old = check_package("torch>=99")
    assert old.fault
    assert "expected >=99" in old.found
    absent = check_package("no-such-package>=1")
    assert absent.fault
    assert absent.remedy == "pip install 'no-such-package>=1'"


def test_extras_say_what_to_install() -> None:
    extra = check_extra("mine", ["torch>=2", "no-such-package==1.2"])
    assert (extra.state, extra.fault) == ("missing", False)
    assert extra.remedy == "pip install 'no-such-package==1.2'"
    assert check_extra("mine", ["torch>=2"]).state == "ok"


def test_the_installed_package_tells_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the checkout's pyproject.toml the metadata are read."""
    lines = ["torch>=2.6", "av>=14", 'anny==0.6.2; extra == "body-builder"']
    monkeypatch.setattr(checkup, "PROJECT", tmp_path)
    monkeypatch.setattr(checkup.importlib.metadata, "requires", lambda name: lines)
    assert requirements() == (["torch>=2.6", "av>=14"], {"body-builder": ["anny==0.6.2"]})


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_folder("data", str(tmp_path / "a" / "b"), "paths.data", 0.0).state == "ok"
    assert check_folder("data", str(tmp_path), "paths.data", 1e9).state == "warning"
    (tmp_path / "file").write_text("")
    blocked = check_folder("data", str(tmp_path / "file" / "x"), "paths.data", 0.0)
    assert blocked.fault
    assert "paths.data=<folder>" in blocked.remedy

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkup.tempfile, "TemporaryFile", refuse)
    assert "Permission denied" in check_folder("data", str(tmp_path), "paths.data", 0.0).found


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert check_folder("data", str(tmp_path / "x"), "paths.data", 0.0).fault
    tmp_path.chmod(0o700)


def test_optional_files(tmp_path: Path) -> None:
    places = [str(tmp_path / "a.npz"), str(tmp_path / "b.pkl")]
    absent = check_file("smpl", places, "SMPL", "key=<file>")
    assert (absent.state, absent.fault) == ("missing", False)
    assert all(place in absent.remedy for place in places)
    (tmp_path / "b.pkl").write_text("")
    assert check_file("smpl", places, "SMPL", "key=<file>").found == f"{places[1]}; key=<file>"
    assert check_file("videos", [str(tmp_path)], "videos", "data.root=<folder>").state == "ok"


def test_a_broken_video_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def broken(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "av":
            raise ImportError("libavcodec.so.61: cannot open shared object file")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    found = check_encoder()
    assert found.fault
    assert "libavcodec" in found.found


def test_exit_code_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.job(config(tmp_path))
    printed = capsys.readouterr().out
    assert "Nothing needed is missing." in printed
    assert "model.body.source=<file>" in printed
    (tmp_path / "outputs").write_text("a file where a folder should be")
    with pytest.raises(SystemExit) as ended:
        doctor.job(config(tmp_path))
    assert ended.value.code == 1
    assert "1 needed thing(s) missing." in capsys.readouterr().out


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.job(config(tmp_path, json=True))
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert report["devices"]["cpu_cores"] >= 1
    assert {"group", "name", "state", "found", "remedy", "needed"} == set(report["checks"][0])
    assert as_data([check_package("no-such-package")])["ok"] is False


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "entrypoints.doctor", "json=true", f"paths.output_dir={tmp_path}", "free_gib=0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr
    wrong = subprocess.run([*command[:3], "jason=true"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "did you mean 'json'" in wrong.stderr


def test_the_environment_of_the_pose_estimator(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    absent = check_pose(str(python))
    assert (absent.state, absent.fault) == ("missing", False)
    assert absent.remedy == f"python -m venv {tmp_path / 'env'} && {python} -m pip install mediapipe==0.10.14"
    assert "has no mediapipe" in check_pose(sys.executable).found
    python.parent.mkdir(parents=True)
    for version, state in (("0.10.14", "ok"), ("0.10.21", "warning")):
        python.write_text(f"#!/bin/sh\necho {version}\n")
        python.chmod(0o755)
        assert check_pose(str(python)).state == state
    assert "pose" in {check.name for check in check_all(str(tmp_path), str(tmp_path), {}, 0.0, str(python))}
    assert check_extra("text", ["no-such-package==1"]).remedy == "pip install --no-deps 'no-such-package==1'"
