"""Class texts: the shipped lists, files of the user's own, templates, and labels without text."""

import os
from pathlib import Path

import numpy as np
import pytest

from components.errors import InputError
from datamodules.skeletonclip.texts import ClassTexts, check_labels, load_class_texts, read_class_texts

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "jhmdb_pyskl"


@pytest.mark.parametrize(
    ("name", "wordings", "count"),
    [
        ("ntu60", ["corrected", "published", "infinitive"], 60),
        ("ntu120", ["corrected", "published"], 120),
        ("hmdb51", ["corrected", "published"], 51),
        ("ucf101", ["corrected", "published"], 101),
    ],
)
def test_the_shipped_lists_are_whole(name, wordings, count):
    for wording in wordings:
        assert len(load_class_texts(name, wording)) == count
    with pytest.raises(InputError, match=f"the texts of {name} come as {', '.join(wordings)}"):
        load_class_texts(name, "shouted")


def test_slips_of_the_published_wording_are_mended_by_default():
    assert load_class_texts("ntu60").names[30] == "pointing to something with finger"
    assert load_class_texts("ntu60", "published").names[30] == "pointting to something with finger"
    assert load_class_texts("ntu60", "infinitive").names[0] == "drink water"
    assert load_class_texts("ucf101").names[8] == "basketball dunk"
    assert load_class_texts("ucf101", "published").names[8] == "basketball bunk"
    right, published = load_class_texts("hmdb51").names, load_class_texts("hmdb51", "published").names
    assert [right[i] for i in (20, 21, 44, 45)] == ["kick", "kick ball", "sword", "sword exercise"]
    assert [published[i] for i in (20, 21, 44, 45)] == ["kick ball", "kick", "sword exercise", "sword"]
    assert load_class_texts("ntu120").names[66] == "hush (quiet)"


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_users_file(tmp_path):
    content = '\ufeffindex,text,note\n1,run,x\n0,"sit, then stand",y\n1,jog\n'
    texts = load_class_texts(written(tmp_path, content))
    assert texts.texts == (("sit, then stand",), ("run", "jog"))
    assert texts.names == ["sit, then stand", "run"]
    assert texts.flat == ["sit, then stand", "run", "jog"]
    assert texts.label("JOG") == texts.label(1) == 1
    assert texts.take([1]).flat == ["run", "jog"]


def test_templates(tmp_path):
    texts = load_class_texts(written(tmp_path, "id,name\n0,run\n1,sit\n"), templates=["a person: {}", "{} again"])
    assert texts.texts == (("a person: run", "run again"), ("a person: sit", "sit again"))
    for wrong in ("a person", "{} {}", "{0}"):
        with pytest.raises(InputError, match=r"data\.templates: .* exactly one \{\}"):
            texts.in_sentences([wrong])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,name\n0,run\n2,sit\n", "no text for class 1, but one for class 2"),
        ("id,name\n0,run\n1,\n", "line 3: class 1 has no text"),
        ("id,name\n0,run\n1\n", "line 3: class 1 has no text"),
        ("id,name\n0,run\none,sit\n", "line 3: 'one' is no class number"),
        ("id,name\n-1,run\n", "'-1' is no class number"),
        ("id,name\n0,run\n1,Run\n", "'Run' stands for the classes 0 and 1"),
        ("id,name\n0,run\n0,run\n", "'run' stands for class 0 twice"),
        ("id,name\n0,sit, then stand\n", "line 2: a text with a comma"),
        ("id,name\n", "no class texts below its header"),
        ("label,words\n0,run\n", "its columns are label, words"),
        ("", "its columns are none"),
    ],
)
def test_files_with_faults(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        load_class_texts(written(tmp_path, content))


def test_names_and_files_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"data\.label_file=ntu6 .*did you mean 'ntu60'"):
        load_class_texts("ntu6")
    with pytest.raises(InputError, match=r"cannot read class texts from .*none\.csv: No such file"):
        load_class_texts(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"id,name\n0,caf\xe9\n")
    with pytest.raises(InputError, match="cannot read class texts"):
        read_class_texts(tmp_path / "latin.csv")


def test_a_label_without_text_names_clip_and_list():
    texts = ClassTexts((("run",), ("sit",)), "labels.csv")
    check_labels(np.array([0, 1]), ["a", "b"], texts)
    with pytest.raises(
        InputError, match=r"clip 'b' has label 2 \(and 1 more\), but labels\.csv has 2 classes \(0\.\.1\)"
    ):
        check_labels(np.array([0, 2, 5]), ["a", "b", "c"], texts)
    with pytest.raises(InputError, match="clip 'a' has no label"):
        check_labels(np.array([-1]), ["a"], texts)
    with pytest.raises(InputError, match=r"no class 'runn' \(did you mean 'run'\?\)"):
        texts.label("runn")
    with pytest.raises(InputError, match="no class 2"):
        texts.label(2)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: set TROUPE_DATA to the folder of real data")
def test_the_real_file():
    texts = load_class_texts(DATA / "labels.csv")
    assert len(texts) == 14
    assert texts.names[5] == "pour a drink"
