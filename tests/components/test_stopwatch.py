import time

from components.stopwatch import Stopwatch


def test_seconds_add_up_by_stage_even_after_errors():
    calls = []
    watch = Stopwatch(lambda: calls.append(None))
    for _ in range(2):
        with watch("read"):
            time.sleep(0.005)
    try:
        with watch("fail"):
            raise KeyError
    except KeyError:
        pass
    assert list(watch.seconds) == ["read", "fail"]
    assert 0.01 <= watch.seconds["read"] <= watch.total
    assert watch.per_item(2)["read"] == 500 * watch.seconds["read"]
    assert len(calls) == 6
