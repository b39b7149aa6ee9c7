"""What tests of entry points share."""

from pathlib import Path

import pytest

from components.synthetic.actions import write_humanact12


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of HumanAct12Poses with three clips of each action; only read."""
    folder = tmp_path_factory.mktemp("data") / "humanact12"
    folder.mkdir()
    write_humanact12(folder, clips_per_action=3)
    return folder
