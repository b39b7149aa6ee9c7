"""Files and folders that appear whole or not at all."""

import json

import pytest

from components.errors import InputError
from components.files.atomic import atomic_path, check_writable, staging_folder, write_json


def hidden(folder):
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def _write_half(path):
    path.write_text("half")
    raise ZeroDivisionError


def test_an_error_leaves_the_old_file(tmp_path):
    target = tmp_path / "deep" / "file.json"
    write_json(target, {"a": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        _write_half(temporary)
    assert json.loads(target.read_text()) == {"a": 1}
    assert hidden(target.parent) == []


def test_unwritable_places_are_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_json(tmp_path / "file" / "x.json", {})
    with pytest.raises(InputError, match=r"paths\.data=.*cannot write"):
        check_writable(tmp_path / "file" / "folder", "paths.data")


def test_staging_folder_becomes_the_target(tmp_path):
    target = tmp_path / "deep" / "target"
    with staging_folder(target) as staging:
        (staging / "a").write_text("1")
        assert not target.exists()
        staging.rename(target)
    assert (target / "a").read_text() == "1"
    assert hidden(target.parent) == []


def test_staging_folder_is_removed_on_errors(tmp_path):
    with pytest.raises(FileNotFoundError), staging_folder(tmp_path / "target") as staging:
        (staging / "absent").rename(staging / "a")
    assert list(tmp_path.iterdir()) == []
