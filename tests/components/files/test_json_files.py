"""Json objects from files that may be missing or damaged."""

import pytest

from components.files.json_files import read_json_object


def test_reads_an_object(tmp_path):
    (tmp_path / "card.json").write_text('{"a": [1, null]}')
    assert read_json_object(tmp_path / "card.json") == {"a": [1, None]}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"[1, 2]", b"null", b"\xff\xfe{}", b'{"a": ' + b"[" * 100_000])
def test_anything_else_is_none(tmp_path, content):
    (tmp_path / "card.json").write_bytes(content)
    assert read_json_object(tmp_path / "card.json") is None


def test_no_file_is_none(tmp_path):
    assert read_json_object(tmp_path / "absent.json") is None
    assert read_json_object(tmp_path) is None
