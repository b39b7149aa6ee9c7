import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.errors import InputError
from components.media.masks import davis_palette, read_mask, write_mask
from components.media.video import read_video, write_mp4
from entrypoints.predict import run_task
from entrypoints.tasks.propagate import Options
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from tests.entrypoints.videowalk_run import write_walk_run

SMALL: dict[str, Any] = {"context": 2, "topk": 3, "radius": 4, "device": "cpu", "sheet_frames": 3}
SIZE = (40, 64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_walk_run(tmp_path_factory.mktemp("runs") / "walk"))


def frame(index: int) -> np.ndarray:
    """Two discs of different colours over noise."""
    picture = np.random.default_rng(0).integers(0, 60, (*SIZE, 3)).astype(np.uint8)
    picture[ids(index) == 1] = (250, 40, 40)
    picture[ids(index) == 4] = (40, 90, 250)
    return picture


def ids(index: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    result = np.zeros(SIZE, dtype=np.uint8)
    result[(y - 13) ** 2 + (x - 16 - 2 * index) ** 2 < 81] = 1
    result[(y - 28) ** 2 + (x - 48 + 2 * index) ** 2 < 81] = 4
    return result


def write_film(folder: Path, frames: int = 4) -> Path:
    folder.mkdir(parents=True)
    for index in range(frames):
        Image.fromarray(frame(index)).save(folder / f"{index:05d}.png")
    return folder


def write_set(root: Path, names: tuple[str, ...] = ("a", "b"), frames: int = 3) -> Path:
    """A data set in the layout of DAVIS with masks of all frames."""
    for name in names:
        write_film(root / "JPEGImages" / "480p" / name, frames)
        for index in range(frames):
            write_mask(root / "Annotations" / "480p" / name / f"{index:05d}.png", ids(index))
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("\n".join(names) + "\n")
    return root


@pytest.fixture
def film(tmp_path: Path) -> dict[str, Any]:
    write_mask(tmp_path / "first.png", ids(0))
    return SMALL | {"video": str(write_film(tmp_path / "film")), "mask": str(tmp_path / "first.png")}


def fault(run: str, options: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        run_task("propagate", run, options)
    assert len(str(caught.value).splitlines()) <= 4
    return str(caught.value)


def test_masks_of_a_folder_of_frames(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    palette = davis_palette()[::-1].copy()
    write_mask(tmp_path / "first.png", ids(0), palette)
    folder = run_task("propagate", run, film | {"output": str(tmp_path / "out"), "size": 160}) / "film"
    assert sorted(path.name for path in folder.iterdir()) == [
        "contact_sheet.png", "masks", "overlay.mp4", "propagation.json",
    ]  # fmt: skip
    assert [path.name for path in sorted((folder / "masks").iterdir())] == [f"{index:05d}.png" for index in range(4)]
    for index in range(4):
        mask = read_mask(folder / "masks" / f"{index:05d}.png", SIZE)
        assert mask.palette is not None
        assert np.array_equal(mask.palette, palette)
        assert set(np.unique(mask.ids)) <= {0, 1, 4}
        for object_id in (1, 4):
            found, true = mask.ids == object_id, ids(index) == object_id
            assert (found & true).sum() / (found | true).sum() > 0.5
    assert np.array_equal(read_mask(folder / "masks" / "00000.png").ids, ids(0))
    assert read_video(folder / "overlay.mp4").frames.shape == (4, *SIZE, 3)


def test_a_finished_film_is_left_as_it_is(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    options = film | {"output": str(tmp_path / "out")}
    first = run_task("propagate", run, options) / "film" / "overlay.mp4"
    before = first.stat().st_mtime_ns
    run_task("propagate", run, options)
    assert first.stat().st_mtime_ns == before
    assert "holds results of other settings or inputs" in fault(run, options | {"topk": 2})
    run_task("propagate", run, options | {"topk": 2, "force": True})
    assert first.stat().st_mtime_ns != before
    assert json.loads((first.parent / "propagation.json").read_text())["options"]["topk"] == 2
    (first.parent / "propagation.json").unlink()
    assert "holds files of something else" in fault(run, options)


def test_without_output_the_same_job_goes_on_in_the_run(film: dict[str, Any], tmp_path: Path) -> None:
    own = str(write_walk_run(tmp_path / "run"))
    folder = run_task("propagate", own, film)
    assert folder.parent == tmp_path / "run" / "propagated"
    before = (folder / "film" / "overlay.mp4").stat().st_mtime_ns
    assert run_task("propagate", own, film) == folder
    assert (folder / "film" / "overlay.mp4").stat().st_mtime_ns == before
    assert run_task("propagate", own, film | {"temperature": 0.1}) != folder


def test_video_file_with_joints(run: str, tmp_path: Path) -> None:
    write_mp4(tmp_path / "clip.mp4", np.stack([frame(index) for index in range(6)]), fps=10)
    (tmp_path / "joints.csv").write_text('name,x,y\n"left, ""hand""",16,13\nfoot,48,28\nhidden,-1,-1\n')
    options = SMALL | {"video": str(tmp_path / "clip.mp4"), "joints": str(tmp_path / "joints.csv"), "size": 80}
    folder = run_task("propagate", run, options | {"output": str(tmp_path / "out"), "storage": "float16"}) / "clip"
    with np.load(folder / "joints.npz", allow_pickle=False) as file:
        assert file["joints"].shape == (6, 2, 3)
        assert np.array_equal(file["joints"][0, :, :2], [[16, 48], [13, 28]])
        assert (file["joints"][:, :, 2] == -1).all()
        assert (file["joints"][:, :, :2] >= 0).all()
        assert file["names"].tolist() == ['left, "hand"', "foot", "hidden"]
        assert file["fps"] == 10
        np.savez(tmp_path / "again.npz", joints=file["joints"][0], names=file["names"])
    assert (folder / "joints.csv").read_text().splitlines()[1] == '0,"left, ""hand""",16.00,13.00'
    video = read_video(folder / "overlay.mp4")
    assert len(video.frames) == 6
    assert video.fps == pytest.approx(10)
    again = options | {"joints": str(tmp_path / "again.npz"), "output": str(tmp_path / "again")}
    assert (run_task("propagate", run, again) / "clip" / "joints.npz").is_file()


def test_adapted_to_the_film(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    options = film | {"output": str(tmp_path / "out"), "adapt_steps": 1, "adapt_lr": 0.01}
    folder = run_task("propagate", run, options) / "film"
    plain = run_task("propagate", run, film | {"output": str(tmp_path / "plain")}) / "film"
    masks = [read_mask(place / "masks" / "00003.png").ids for place in (folder, plain)]
    assert not np.array_equal(*masks)
    assert json.loads((folder / "propagation.json").read_text())["options"]["adapt_steps"] == 1


def test_films_of_a_data_set(run: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_set(tmp_path / "set")
    late = ids(2)
    late[:5, :5] = 9
    write_mask(root / "Annotations" / "480p" / "b" / "00002.png", late)
    options = SMALL | {"video": str(root), "output": str(tmp_path / "out")}
    with caplog.at_level(logging.INFO):
        folder = run_task("propagate", run, options)
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert "b: ids that the first mask does not have are ignored: 9 (from 00002.png on)" in caplog.text
    assert 9 not in read_mask(folder / "b" / "masks" / "00002.png").ids
    only = run_task("propagate", run, options | {"sequences": ["b"], "output": str(tmp_path / "only")})
    assert [path.name for path in only.iterdir()] == ["b"]
    assert "'c' is not in the list" in fault(run, options | {"sequences": ["c"]})
    assert "is a data set with masks of its own" in fault(
        run, options | {"mask": str(root / "Annotations/480p/a/00000.png")}
    )
    assert "ImageSets/2017/train.txt is missing" in fault(run, options | {"split": "train"})
    assert "JPEGImages/1080p is missing" in fault(run, options | {"resolution": "1080p"})


def test_black_and_white_masks_and_void(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    Image.fromarray((ids(0) == 1).astype(np.uint8) * 255).save(tmp_path / "first.png")
    folder = run_task("propagate", run, film | {"output": str(tmp_path / "out")}) / "film"
    assert np.array_equal(read_mask(folder / "masks" / "00000.png").ids, ids(0) == 1)
    write_mask(tmp_path / "first.png", np.where(ids(0) == 4, 255, ids(0)).astype(np.uint8))
    folder = run_task("propagate", run, film | {"output": str(tmp_path / "void")}) / "film"
    assert np.array_equal(read_mask(folder / "masks" / "00000.png").ids, ids(0) == 1)


def test_objects_too_small_to_be_followed_are_named(
    run: str, film: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marked = ids(0)
    marked[0, :2] = 7
    write_mask(tmp_path / "first.png", marked)
    with caplog.at_level(logging.INFO):
        run_task("propagate", run, film | {"output": str(tmp_path / "out")})
    assert "film: objects [7] are smaller than a cell of the features (8 pixels at 64 x 40)" in caplog.text
    caplog.clear()
    run_task("propagate", run, film | {"output": str(tmp_path / "large"), "size": 640})
    assert "will be lost" not in caplog.text


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((40, 64, 3), np.uint8), "is a colour (RGB) picture; expected an indexed PNG"),
        (np.ones((40, 64), np.uint16), "is a 16-bit or float picture; expected an indexed PNG"),
        (np.ones((20, 64), np.uint8), "is 64 x 20 pixels, the frames are 64 x 40"),
        (np.zeros((40, 64), np.uint8), "is empty, all pixels are background"),
    ],
)
def test_masks_that_cannot_be_followed(run: str, film: dict[str, Any], tmp_path: Path, mask, message: str) -> None:
    Image.fromarray(mask).save(tmp_path / "first.png")
    assert message in fault(run, film | {"output": str(tmp_path / "out")})
    assert not (tmp_path / "out").exists()


def test_films_that_cannot_be_read(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    assert "no such file or folder" in fault(run, film | {"video": str(tmp_path / "none")})
    (tmp_path / "text.mp4").write_text("no film")
    assert "cannot be opened" in fault(run, film | {"video": str(tmp_path / "text.mp4")})
    (tmp_path / "empty").mkdir()
    assert "no pictures in it" in fault(run, film | {"video": str(tmp_path / "empty")})
    write_film(tmp_path / "other")
    (tmp_path / "other" / "00001.png").rename(tmp_path / "other" / "tree.png")
    assert "tree.png without a number in the name" in fault(run, film | {"video": str(tmp_path / "other")})


def test_joints_that_cannot_be_read(run: str, film: dict[str, Any], tmp_path: Path) -> None:
    options = film | {"mask": None, "joints": str(tmp_path / "joints.csv")}
    assert "no such file" in fault(run, options)
    (tmp_path / "joints.csv").write_text("x\n1\n")
    assert "cannot be read ('y')" in fault(run, options)
    (tmp_path / "joints.csv").write_text("x,y\n")
    assert "has shape [2, 0]" in fault(run, options)
    (tmp_path / "joints.npz").write_bytes(b"PK no archive")
    assert "Expected a csv" in fault(run, options | {"joints": str(tmp_path / "joints.npz")})
    (tmp_path / "joints.csv").write_text("x,y\n999,5\n")
    assert "none lies inside of the first frame" in fault(run, options)
    assert not list(tmp_path.glob("propagated/*"))


def test_what_to_follow_must_be_said_once(run: str, film: dict[str, Any]) -> None:
    assert "expected one of them" in fault(run, film | {"mask": None})
    assert "expected one of them" in fault(run, film | {"joints": "joints.csv"})
    assert "sequences=['a'] chooses films of a data set" in fault(run, film | {"sequences": ["a"]})


def test_the_published_settings_reach_the_propagation() -> None:
    options = Options(video="x", long_memory=[0, 3], published_long_memory=True, normalize=False, norm_mask=True)
    assert options.settings() == PropagationSettings(
        long_memory=(0, 3), published_long_memory=True, normalize=False, norm_mask=True
    )


def test_values_out_of_range_are_reported_together(run: str) -> None:
    with pytest.raises(InputError) as caught:
        run_task("propagate", run, {"radius": 0, "topk": 0, "opacity": 2.0, "size": 3, "split": "../x"})
    text = str(caught.value)
    assert text.startswith("ConfigError: 6 faults in task=propagate")
    assert "radius=0: no source cell is nearer than that; expected cells above 0" in text
    assert "video=None: missing" in text
