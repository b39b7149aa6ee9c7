"""From a folder of motion files to a training, on the command line."""

import json
import pickle

import numpy as np
import pytest

from components.body import load_body
from components.geometry.rotations import matrix_to_axis_angle
from entrypoints import prepare
from tests.components.body.bvh_files import smooth_motion, write_smpl_bvh
from tests.process.command_line import only_run, run


def write_source(folder, kind):
    folder.mkdir()
    for number, name in enumerate(("walk_1", "walk_2", "walk_3", "wave_1", "wave_2", "wave_3")):
        rotations, root = smooth_motion(100, number)
        content = {"poses": matrix_to_axis_angle(rotations).flatten(1).numpy(), "trans": root.numpy()}
        if kind == "bvh":
            write_smpl_bvh(folder / f"{name}.bvh", rotations, root, load_body().rest_joints)
        elif kind == "npz":
            np.savez(folder / f"{name}.npz", mocap_framerate=30.0, betas=np.zeros(16), **content)
        else:
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(content | {"fps": 30}))


def command(tmp_path, kind):
    write_source(tmp_path / "in", kind)
    (tmp_path / "in" / f"broken.{kind}").write_text("nothing")
    return ["dataset=motion", f"dataset.source={tmp_path / 'in'}", f"dataset.output={tmp_path / 'set'}",
            f"paths.output_dir={tmp_path / 'runs'}", f"paths.data={tmp_path}"]  # fmt: skip


@pytest.mark.slow
def test_prepare_and_train(tmp_path):
    arguments = command(tmp_path, "bvh")
    text = run("prepare", *arguments)
    assert "6 clips, 402 frames, 2 classes; 6 files read" in text
    assert "broken.bvh, line 1" in text
    (following,) = [line for line in text.splitlines() if "next: python -m entrypoints.train" in line]
    options = following.split("entrypoints.train ")[1].split()
    run("train", *options, "debug=fast", "trainer=cpu", *arguments[-2:])
    facts = json.loads((only_run(tmp_path / "runs") / "run.json").read_text())["facts"]
    assert facts["action_names"] == ["walk", "wave"]
    assert "every recording on one side" in facts["splits"]["kind"]


@pytest.mark.parametrize("kind", ["npz", "pkl"])
def test_other_kinds(tmp_path, kind, monkeypatch, capsys):
    """The same command line without a process of its own."""
    monkeypatch.setattr("sys.argv", ["prepare", *command(tmp_path, kind)])
    for message in ("6 clips, 402 frames, 2 classes; 6 files read", "up to date"):
        prepare.main()
        printed = capsys.readouterr()
        assert message in printed.out + printed.err
        assert f"broken.{kind}" in printed.out + printed.err
    assert json.loads((tmp_path / "set" / "actions.json").read_text()) == {"0": "walk", "1": "wave"}
