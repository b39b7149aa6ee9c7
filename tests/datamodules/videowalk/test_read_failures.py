"""Counting of clips that could not be read."""

import json

import pytest

from components.errors import InputError
from datamodules.videowalk.read_failures import ReadFailures

TORN = [("a.mp4", "torn")]


def test_counts_clips_and_paths():
    failures = ReadFailures(0.5, expected=10)
    failures.record([[], TORN, [*TORN, ("b.mp4", "empty")]])
    facts = failures.facts()
    assert (facts["count"], facts["asked"], facts["videos"]) == (2, 3, 2)
    assert facts["samples"][0] == {"path": "a.mp4", "count": 2, "reason": "torn"}


def test_share_is_judged_of_an_epoch_at_least():
    failures = ReadFailures(0.05, expected=40)
    failures.record([TORN, TORN])
    with pytest.raises(InputError, match=r"3 of 3 clips could not be read \(a\.mp4 \(3x\): torn\)") as caught:
        failures.record([TORN])
    assert "data.max_fail_ratio=0.05 admits 2:" in str(caught.value)


def test_long_trainings_admit_more():
    failures = ReadFailures(0.1, expected=10)
    for _ in range(5):
        failures.record([TORN, *([[]] * 9)])
    assert failures.failed == 5


def test_list_is_written_worst_first(tmp_path):
    failures = ReadFailures(1.0)
    failures.record([[("b.mp4", "empty")], TORN, TORN])
    content = json.loads(failures.write(tmp_path).read_text())
    assert [row["path"] for row in content["videos"]] == ["a.mp4", "b.mp4"]
    assert (content["clips_asked"], content["clips_failed"]) == (3, 3)


def test_processes_add_up():
    first, second = ReadFailures(0.5, 10), ReadFailures(0.5, 10)
    first.record([TORN, []])
    second.record([TORN, [("b.mp4", "empty")], []])
    total = ReadFailures.together([first, second])
    assert (total.asked, total.failed, total.expected) == (5, 3, 20)
    assert {path: failure.count for path, failure in total.by_path.items()} == {"a.mp4": 2, "b.mp4": 1}
