import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from components.body.loader import load_body
from components.body.motion_files import read_motion
from components.errors import InputError
from components.media import read_video
from entrypoints.runs import load_run
from entrypoints.tasks.generate import Options, generate, perform
from tests.entrypoints.actor_run import write_run


@pytest.fixture(scope="module")
def pair_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_run(write_run(tmp_path_factory.mktemp("runs") / "pair", translation=True))


@pytest.fixture(scope="module")
def single_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_run(write_run(tmp_path_factory.mktemp("runs") / "single", conditioning="single"))


def test_every_format_holds_what_was_asked_for(pair_run: Any, tmp_path: Path) -> None:
    options = Options(
        actions=["walk+drink", "run"], duration=5, samples=2, size=48, fps=10.0, device="cpu",
        output=str(tmp_path / "out"),
    )  # fmt: skip
    folder = perform(pair_run, options)
    assert folder == tmp_path / "out"
    with np.load(folder / "motions" / "walk+drink_1.npz", allow_pickle=False) as file:
        one = {key: file[key] for key in file.files}
    assert one["poses"].shape == (5, 72)
    assert one["trans"].shape == (5, 3)
    assert one["betas"].shape == (10,)
    assert one["joints"].shape == (5, 24, 3)
    assert (str(one["action"]), str(one["second_action"])) == ("walk", "drink")
    assert one["mocap_framerate"] == one["fps"] == 10
    posed = read_motion(folder / "motions" / "walk+drink_1.npz").pose(load_body())
    np.testing.assert_allclose(posed.joints.numpy(), one["joints"], atol=1e-4)

    with np.load(folder / "generation.npz", allow_pickle=False) as file:
        assert file["names"].tolist() == ["walk+drink_0", "walk+drink_1", "run_0", "run_1"]
        assert file["poses"].shape == (4, 5, 72)
        np.testing.assert_array_equal(file["poses"][1], one["poses"])
        assert file["z"].shape == (4, 16)
    with (folder / "motions.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["walk+drink_0", "walk+drink_1", "run_0", "run_1"]
    assert rows[0]["seconds"] == "0.5"

    names = {file.name for file in (folder / "videos").iterdir()}
    assert names == {f"{stem}{end}" for stem in ("walk+drink", "run", "all") for end in (".mp4", ".gif", "_stick.mp4")}
    row = read_video(folder / "videos" / "run.mp4")
    assert len(row.frames) == 5
    assert row.fps == 10
    assert row.frames.shape[2] >= 2 * 48
    with Image.open(folder / "videos" / "run.gif") as gif:
        assert gif.n_frames == 5
    with Image.open(folder / "pictures" / "run.png") as picture:
        assert picture.width >= 4 * 48
        assert picture.height >= 2 * 48
    assert (folder / "pictures" / "all.png").is_file()
    assert "walk + drink  (2)" in (folder / "viewer.html").read_text()
    assert not list(tmp_path.glob(".*"))


def test_the_same_seed_gives_the_same_motions(pair_run: Any) -> None:
    options = Options(actions="walk", duration=6, samples=2)
    first, again = generate(pair_run, options), generate(pair_run, options)
    other = generate(pair_run, Options(actions="walk", duration=6, samples=2, seed=1))
    assert torch.equal(first[1].motion.poses, again[1].motion.poses)
    assert not torch.equal(first[1].motion.poses, other[1].motion.poses)
    assert not torch.equal(first[0].motion.poses, first[1].motion.poses)


def test_without_actions_the_whole_run_is_shown_at_its_length(single_run: Any) -> None:
    motions = generate(single_run, Options(samples=1))
    assert len(motions) == 12
    assert {len(each.motion.poses) for each in motions} == {20}
    assert motions[0].motion.fps == 20


def test_pairs_need_a_run_of_pairs(single_run: Any) -> None:
    with pytest.raises(InputError, match="experiment=actor_mix"):
        generate(single_run, Options(actions=["walk+drink"]))


def test_three_actions_at_once(pair_run: Any) -> None:
    with pytest.raises(InputError, match="names 3 actions at once"):
        generate(pair_run, Options(actions=["walk+run+drink"]))


def test_shape_of_the_body(pair_run: Any, tmp_path: Path) -> None:
    (motion,) = generate(pair_run, Options(actions="sit", duration=2, samples=1, betas=[0.5, -1.0]))
    assert motion.motion.betas is not None
    assert motion.motion.betas.tolist() == [0.5, -1.0] + [0.0] * 8


def test_options_out_of_range_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        Options(duration=[20, -3], samples=0, size=5, fps=0.0, formats=["npz", "avi"], actions=[], seed=-1, fact=-1.0)  # type: ignore[list-item]
    text = str(caught.value)
    assert text.startswith("ConfigError: 8 faults in task=generate")
    assert "duration=[20, -3]: every motion needs at least 1 frame" in text
    assert "samples=0: must lie in 1..1000" in text
    with pytest.raises(InputError, match=r"duration=\[\]"):
        Options(duration=[])
    with pytest.raises(InputError, match="more than 10"):
        Options(betas=[0.0] * 11)


def test_run_of_joint_positions_moves_no_body(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "xyz", pose_rep="xyz"))
    with pytest.raises(InputError, match="pose_rep=xyz"):
        generate(run, Options(actions="walk", duration=3))


def test_a_chain_is_one_long_motion_in_every_format(pair_run: Any, tmp_path: Path) -> None:
    options = Options(
        chain=["walk:30", "sit", "walk+drink: 12"], overlap=4, samples=2, candidates=2, size=48, device="cpu",
        formats=["npz", "strip", "html", "gltf", "bvh", "obj"], output=str(tmp_path / "out"),
    )  # fmt: skip
    folder = perform(pair_run, options)
    names = [f"walk-sit-walk+drink_{sample}" for sample in range(2)]
    labels = ["walk"] * 30 + ["sit"] * 20 + ["walk"] * 12  # sit is as long as in training
    with np.load(folder / "generation.npz", allow_pickle=False) as file:
        assert file["names"].tolist() == names
        assert file["poses"].shape == (2, 62, 72)
        assert file["frame_action"][1].tolist() == labels
        assert file["z"].shape == (2, 4, 16)
        joints = file["joints"]
    one = read_motion(folder / "motions" / f"{names[0]}.npz")
    assert [first for first, _ in one.frame_actions] == labels
    assert one.frame_actions[-1] == ("walk", "drink")
    assert abs(float(joints[0, :26, :, 1].min())) < 0.01  # the first window's lowest joint is on the ground
    assert (folder / "pictures" / f"{names[0][:-2]}.png").is_file()
    assert (folder / "viewer.html").is_file()
    for name in names:
        assert (folder / "gltf" / f"{name}.glb").read_bytes()[:4] == b"glTF"
        assert "Frames: 62" in (folder / "bvh" / f"{name}.bvh").read_text()
        assert len(list((folder / "obj" / name).iterdir())) == 62


def test_faults_of_a_chain() -> None:
    with pytest.raises(InputError) as caught:
        Options(chain=["walk:60", "sit:x", ":5"], duration=10, noise_same_action="same", overlap=-1)
    text = str(caught.value)
    assert text.startswith("ConfigError: 5 faults")
    assert "chain: 'sit:x': expected action:frames such as walk:60" in text
    assert "duration: says nothing about a chain" in text
    with pytest.raises(InputError, match=r"chain=\[\]"):
        Options(chain=[])


def test_options_without_effect_are_faults() -> None:
    with pytest.raises(InputError) as caught:
        Options(candidates=4, align=False, interpolate="latents", noise_same_action="same")
    text = str(caught.value)
    assert "3 faults" in text
    assert "candidates: belongs to chain=[...]" in text
    assert "noise_same_action: interpolate=latents decides" in text


def test_too_short_a_part_of_a_chain(pair_run: Any) -> None:
    with pytest.raises(InputError, match="overlap=8"):
        generate(pair_run, Options(chain=["walk:20", "sit:3", "walk:20"]))


def test_missing_body_file(pair_run: Any, tmp_path: Path) -> None:
    options = Options(actions="walk", duration=2, body=str(tmp_path / "SMPL.npz"), output=str(tmp_path / "out"))
    with pytest.raises(InputError, match="does not exist"):
        perform(pair_run, options)
    assert list(tmp_path.iterdir()) == []
