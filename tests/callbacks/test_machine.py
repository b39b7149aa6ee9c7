import json
import subprocess
from pathlib import Path

import torch

from callbacks.machine import collect_devices, collect_versions, git_state


def test_versions_and_devices_are_plain() -> None:
    versions = collect_versions()
    assert versions["torch"] == torch.__version__
    devices = collect_devices()
    assert devices["cpu_cores"] >= 1
    assert json.loads(json.dumps([versions, devices])) == [versions, devices]


def test_git_state(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None

    def git(*arguments: str) -> None:
        name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *name, *arguments], check=True, capture_output=True)

    git("init", "-b", "main")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-m", "first")
    state = git_state(tmp_path)
    assert state is not None
    assert (len(state["commit"]), state["branch"], state["dirty"]) == (40, "main", False)
    (tmp_path / "file").write_text("2")
    assert git_state(tmp_path)["dirty"] is True  # type: ignore[index]
