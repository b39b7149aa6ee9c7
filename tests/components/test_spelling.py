"""Nearest names for messages."""

from components.spelling import did_you_mean


def test_the_nearest_name_is_offered():
    assert did_you_mean("wlak", ["run", "walk", "talk"]) == " (did you mean 'walk'?)"
    assert did_you_mean(1.5, [15, 1.0, 1.25]) == " (did you mean '1.25'?)"


def test_nothing_is_offered_where_nothing_is_close():
    assert did_you_mean("zzz", ["run", "walk"]) == ""
    assert did_you_mean("walk", []) == ""
    assert did_you_mean("wxyk", ["walk"], cutoff=0.9) == ""
