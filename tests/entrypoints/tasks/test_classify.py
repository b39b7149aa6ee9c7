"""task=classify from files to tables and pictures."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.video import write_mp4
from entrypoints import predict
from entrypoints.predict import run_task
from entrypoints.tasks.classify import Options
from entrypoints.tasks.classify_report import safe_name
from entrypoints.tasks.classify_texts import wanted_texts
from tests.components.keypoints.keypoint_files import estimator, person, write_openpose
from tests.entrypoints.skeleton_run import NAMES, classifier_config, clip_config, write_clips, write_skeleton_run


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    return write_clips(tmp_path_factory.mktemp("data") / "clips", per_class=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    # Where the data of the training were does not matter.
    return write_skeleton_run(tmp_path_factory.mktemp("runs") / "clip", "/gone")


def classify(run, source, output, **options):
    folder = run_task("classify", str(run), {"input": str(source), "output": str(output), "device": "cpu", **options})
    return json.loads((folder / "predictions.json").read_text())


def test_tables_pictures_and_times_of_a_pickle(run, clips, tmp_path):
    found = classify(run, clips / "clips.pkl", tmp_path / "o", split="test", attention=2, top_k=3)
    assert found["classes"] == NAMES
    assert len(found["clips"]) == 4
    best = found["clips"][0]["top"]
    assert len(best) == 3
    assert best[0]["probability"] >= best[1]["probability"]
    header, *rows = (tmp_path / "o" / "predictions.csv").read_text().splitlines()
    assert header == "clip,frames,top 1,p 1,top 2,p 2,top 3,p 3"
    assert len(rows) == 4
    assert (tmp_path / "o" / "predictions.md").is_file()
    assert len(list((tmp_path / "o" / "attention").iterdir())) == 2
    with Image.open(tmp_path / "o" / found["clips"][0]["picture"]) as picture:
        assert picture.width > picture.height
    times = json.loads((tmp_path / "o" / "timing.json").read_text())
    assert times["clips"] == 4
    assert {"read", "pipeline", "heatmaps", "video encoder", "text encoder", "scores"} <= set(
        times["ms_per_clip_by_stage"]
    )


def test_any_texts_and_several_per_class(run, clips, tmp_path):
    texts = ["crawl|crawling", "fly"]
    found = classify(run, clips / "clips.pkl", tmp_path / "o", texts=texts, templates=["one can {}", "{}"])
    assert found["classes"] == ["crawl", "fly"]
    assert found["texts"] == [["one can crawl", "crawl", "one can crawling", "crawling"], ["one can fly", "fly"]]
    total = sum(entry["probability"] for entry in found["clips"][0]["top"])
    assert total == pytest.approx(1, abs=1e-5)
    (tmp_path / "t.txt").write_text("crawl | crawling\n\nfly\n")
    from_file = classify(run, clips / "clips.pkl", tmp_path / "p", texts=str(tmp_path / "t.txt"))
    assert from_file["texts"] == [["crawl", "crawling"], ["fly"]]
    plain = classify(run, clips / "clips.pkl", tmp_path / "q", texts=str(tmp_path / "t.txt"), calibrated=False)
    assert plain["clips"][0]["top"][0]["probability"] <= from_file["clips"][0]["top"][0]["probability"]


def test_a_killed_job_goes_on_with_the_clips_that_are_missing(run, clips, tmp_path):
    whole = classify(run, clips / "clips.pkl", tmp_path / "o", attention=0)
    journal = tmp_path / "o" / "clips.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:4]) + "\n" + lines[4][:20])
    again = classify(run, clips / "clips.pkl", tmp_path / "o", attention=0)
    assert json.loads((tmp_path / "o" / "timing.json").read_text())["clips"] == len(lines) - 4
    assert [clip["name"] for clip in again["clips"]] == [clip["name"] for clip in whole["clips"]]
    for first, second in zip(whole["clips"], again["clips"], strict=True):
        assert first["top"][0]["class"] == second["top"][0]["class"]
        assert first["top"][0]["similarity"] == pytest.approx(second["top"][0]["similarity"], abs=1e-4)
    with pytest.raises(InputError, match=r"answers of other settings(.|\n)*force=true"):
        classify(run, clips / "clips.pkl", tmp_path / "o", texts=["fly", "swim"])
    classify(run, clips / "clips.pkl", tmp_path / "o", texts=["fly", "swim"], force=True, attention=0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "x.txt").touch()
    with pytest.raises(InputError, match="holds files already"):
        classify(run, clips / "clips.pkl", tmp_path / "mine")


def test_videos_and_folders_of_openpose(run, tmp_path):
    write_mp4(tmp_path / "v" / "x.mp4", np.full((5, 32, 48, 3), 9, np.uint8), 10)
    command = {"python": None, "command": estimator(tmp_path)}
    found = classify(run, tmp_path / "v" / "x.mp4", tmp_path / "o", pose=command)
    assert [clip["name"] for clip in found["clips"]] == ["x"]
    write_openpose(tmp_path / "p" / "a/b", [[person(10 + t), person(80)] for t in range(5)])
    (tmp_path / "p" / "c").mkdir()
    (tmp_path / "p" / "c" / "c_0.json").write_text("{}")
    found = classify(run, tmp_path / "p", tmp_path / "q")
    assert [(clip["name"], clip["persons"]) for clip in found["clips"]] == [("a/b", 2)]
    assert found["clips"][0]["picture"] == f"attention/{safe_name('a/b')}.png"
    assert len(found["problems"]) == 1
    assert found["problems"][0].startswith("c: ")
    with pytest.raises(InputError, match="on_error=skip"):
        classify(run, tmp_path / "p", tmp_path / "r", on_error="raise")
    with pytest.raises(InputError, match=r"pose\.python=.*not there(.|\n)*pip install mediapipe"):
        classify(run, tmp_path / "v", tmp_path / "s", pose={"python": str(tmp_path / "bin" / "python")})


def test_models_that_weigh_no_frames_and_classifiers(clips, tmp_path):
    mean = write_skeleton_run(tmp_path / "mean", "/gone", clip_config("mean_then_embed"))
    found = classify(mean, clips / "clips.pkl", tmp_path / "o")
    assert "picture" not in found["clips"][0]
    baseline = write_skeleton_run(tmp_path / "baseline", "/gone", classifier_config())
    assert classify(baseline, clips / "clips.pkl", tmp_path / "p")["classes"] == NAMES
    with pytest.raises(InputError, match="is a classifier, which knows the classes of its training alone"):
        classify(baseline, clips / "clips.pkl", tmp_path / "q", texts=["fly"])


def test_bad_input_is_named(run, clips, tmp_path):
    for texts, message in (
        (["a very long text with far more words than anybody allows"], "tokenizer.max_length is 10"),
        ([], "asks for nothing"),
        (["wave", "Wave"], "'Wave' stands for the classes 0 and 1"),
        (str(tmp_path / "gone.csv"), "cannot read class texts"),
        (str(tmp_path / "gone.txt"), "cannot be read"),
    ):
        with pytest.raises(InputError, match=message):
            classify(run, clips / "clips.pkl", tmp_path / "o", texts=texts)
    with pytest.raises(InputError, match="holds no clips"):
        classify(run, tmp_path, tmp_path / "o")
    (tmp_path / "a.doc").touch()
    with pytest.raises(InputError, match=r"unknown file type '\.doc'"):
        classify(run, tmp_path / "a.doc", tmp_path / "o")
    np.savez(tmp_path / "a.npz", keypoint=np.ones((4, 15, 2)))
    with pytest.raises(InputError, match=r"none of 1 clips can be used(.|\n)*15 joints, but skeleton 'coco17' has 17"):
        classify(run, tmp_path / "a.npz", tmp_path / "o")
    with pytest.raises(InputError, match="templates: 'no slot' must have exactly one"):
        wanted_texts(["fly"], ["no slot"])
    with pytest.raises(InputError, match=r"(?s)source=missing|source.*missing"):
        Options()
    with pytest.raises(InputError, match=r"(?s)top_k=0.*clip_chunk=0.*unknown key 'pyhton'"):
        Options(input="x", top_k=0, clip_chunk=0, pose={"pyhton": 1})


def test_source_is_the_key_on_the_command_line(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["predict", "task=classify", "source=a.pkl", "run=r"])
    monkeypatch.setattr(predict.cli, "run", lambda *_, **__: seen.append(list(sys.argv)))
    predict.main()
    assert seen == [["predict", "task=classify", "input=a.pkl", "run=r"]]


def test_names_of_files_never_leave_the_folder():
    assert safe_name("walk-1") == "walk-1"
    for name in ("../x", "a/b", "..", "a b", "C:\\x", "x" * 300):
        safe = safe_name(name)
        assert "/" not in safe
        assert "\\" not in safe
        assert not safe.startswith(".")
        assert len(safe) < 100
    assert safe_name("a/b") != safe_name("a b")
