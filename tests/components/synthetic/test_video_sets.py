import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import InputError
from components.files.json_files import read_json_object
from components.synthetic.video_sets import CARD, Item, write_set


class Painter:
    """Items that note who was written and may be killed at one of them."""

    def __init__(self, count: int = 4, kill_at: int | None = None) -> None:
        self.written: list[int] = []
        self.kill_at = kill_at
        self.items = [Item([f"films/{index}", f"masks/{index}"], self._writer(index)) for index in range(count)]

    def _writer(self, index: int) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            for kind in ("films", "masks"):
                (folder / kind / str(index)).mkdir(parents=True)
                (folder / kind / str(index) / "0.txt").write_text(f"{kind} {index}")
                if index == self.kill_at:
                    raise KeyboardInterrupt
            self.written.append(index)

        return write


def content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    target = tmp_path / "new" / "set"
    cut = Painter(kill_at=2)
    with pytest.raises(KeyboardInterrupt):
        write_set(target, "dots", {"seed": 0}, cut.items)
    assert cut.written == [0, 1]
    assert not target.exists()
    # As after a kill that nothing could clean up behind: an item half painted, another moved by half.
    partial = target.parent / ".set.partial"
    for left in (".item.0123", "films/2"):
        (partial / left).mkdir(parents=True)
        (partial / left / "old.txt").write_text("half")
    rest = Painter()
    told: list[int] = []

    class Bar:
        def __init__(self, title: str, total: int) -> None:
            assert total == 4

        def __enter__(self) -> Callable[[int], None]:
            return told.append

        def __exit__(self, *_: object) -> None:
            return None

    assert write_set(target, "dots", {"seed": 0}, rest.items, progress=Bar)
    assert rest.written == [2, 3]
    assert told == [1, 1, 1, 1]
    whole = Painter()
    write_set(tmp_path / "whole", "dots", {"seed": 0}, whole.items)
    assert content(target) == content(tmp_path / "whole")
    assert [path.name for path in target.parent.iterdir()] == ["set"]


def test_a_set_is_written_once_and_again_for_other_settings(tmp_path: Path) -> None:
    target = tmp_path / "set"
    assert write_set(target, "dots", {"seed": 0}, Painter().items)
    assert not write_set(target, "dots", {"seed": 0}, Painter(kill_at=0).items)
    assert write_set(target, "dots", {"seed": 0}, Painter().items, force=True)
    with pytest.raises(KeyboardInterrupt):
        write_set(target, "dots", {"seed": 1}, Painter(kill_at=1).items)
    assert (read_json_object(target / CARD) or {})["settings"] == {"seed": 0}  # still the old one, whole
    fewer = Painter(2)
    assert write_set(target, "dots", {"seed": 2}, fewer.items)
    assert fewer.written == [0, 1]  # nothing is taken over from a run with other settings
    assert sorted(path.name for path in (target / "films").iterdir()) == ["0", "1"]
    card = read_json_object(target / CARD) or {}
    assert card["settings"] == {"seed": 2}
    assert "ynthetic" in card["about"]


def test_what_was_not_written_here_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "film.mp4").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("mine", "file"):
        with pytest.raises(InputError, match="left alone"):
            write_set(tmp_path / name, "dots", {}, Painter().items, force=True)
    assert (tmp_path / "mine" / "film.mp4").read_text() == "precious"
    write_set(tmp_path / "set", "dots", {}, Painter().items)
    with pytest.raises(InputError, match="dataset=stripes"):
        write_set(tmp_path / "set", "stripes", {}, Painter().items)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"dataset\.folder"):
        write_set(tmp_path / "file" / "set", "dots", {}, Painter().items)


def test_two_writers_write_it_once(tmp_path: Path) -> None:
    painters = [Painter(30), Painter(30)]
    wrote: list[bool] = []

    def work(painter: Painter) -> None:
        wrote.append(write_set(tmp_path / "set", "dots", {}, painter.items))

    threads = [threading.Thread(target=work, args=(painter,)) for painter in painters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wrote) == [False, True]
    assert sorted(len(painter.written) for painter in painters) == [0, 30]
    assert len(content(tmp_path / "set")) == 61
