import json

import pytest

from components.errors import InputError
from datamodules.skeletonclip.ratio_splits import draw_splits, read_splits

LABELS = {f"c{label}/{n}": label for label in range(3) for n in range(10 * label + 1)}


def test_shares_are_drawn_within_classes_and_stay_put():
    splits = draw_splits(LABELS, 0.2, 0.1, 0)
    assert sorted(name for names in splits.values() for name in names) == sorted(LABELS)
    counts = {split: [sum(LABELS[n] == label for n in names) for label in range(3)] for split, names in splits.items()}
    assert counts == {"train": [1, 8, 15], "val": [0, 2, 4], "test": [0, 1, 2]}
    assert draw_splits(dict(reversed(LABELS.items())), 0.2, 0.1, 0) == splits
    assert draw_splits(LABELS, 0.2, 0.1, 1) != splits
    fewer = draw_splits({name: label for name, label in LABELS.items() if label < 2}, 0.2, 0.1, 0)
    assert set(fewer["val"]) == {name for name in splits["val"] if LABELS[name] < 2}
    assert list(draw_splits(LABELS, 0, 0, 0)) == ["train"]
    for val, test in ((-0.1, 0), (0.5, 0.5)):
        with pytest.raises(InputError, match="together below 1"):
            draw_splits(LABELS, val, test, 0)


def test_files_of_splits(tmp_path):
    names = ["a", "b", "c"]
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"train": ["a", "b"], "test": ["c", "cc"]}))
    splits, problems = read_splits(path, names)
    assert splits == {"train": ["a", "b"], "test": ["c"]}
    assert len(problems) == 1
    assert "'cc'" in problems[0]
    table = tmp_path / "s.csv"
    table.write_text("name,split\na,train\nb,test\n")
    assert read_splits(table, names)[0] == {"train": ["a"], "test": ["b"]}
    for text, message in (("name\na\n", "columns name,split"), ("name,split\nx,train\n", "names none of the 3 clips")):
        table.write_text(text)
        with pytest.raises(InputError, match=message):
            read_splits(table, names)
    for text in ("[]", '{"train": [1]}', "{"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"dataset\.splits="):
            read_splits(path, names)
