from pathlib import Path

import pytest

from components.errors import InputError
from entrypoints.config_check import available, check
from entrypoints.evaluate import EVALUATIONS
from entrypoints.protocols import keys_for_help, protocol_of_run, system_of_run
from entrypoints.runs import load_checkpoint
from tests.entrypoints.actor_run import write_run
from tests.entrypoints.videowalk_run import write_walk_run
from tests.process.command_line import run as run_command


def test_every_evaluation_has_its_keys() -> None:
    assert available("protocol") == sorted(EVALUATIONS)


def test_the_run_chooses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write_run(tmp_path / "run of mine")
    assert protocol_of_run([f"run='{run}'", "samples=3"]) == ["protocol=actor"]
    assert protocol_of_run([f"run={run}".replace(" ", "\\ "), "-m"]) == ["protocol=actor"]
    assert protocol_of_run([f"run='{run}'", "protocol=videowalk"]) == []
    assert protocol_of_run(["samples=3"]) == []
    with pytest.raises(InputError, match="nowhere does not exist"):
        protocol_of_run(["run=nowhere"])
    # The config beside a checkpoint says it without the checkpoint being read.
    (run / ".hydra").mkdir()
    (run / ".hydra" / "config.yaml").write_text(
        "model:\n  _target_: lightning_modules.videowalk.module.VideoWalkModule\n"
    )
    monkeypatch.setattr("entrypoints.protocols.load_checkpoint", lambda path: pytest.fail("read"))
    assert system_of_run(run) == system_of_run(run / "checkpoints" / "best.ckpt") == "videowalk"
    monkeypatch.setattr("entrypoints.protocols.load_checkpoint", load_checkpoint)
    (run / ".hydra" / "config.yaml").write_text("model: [")
    assert system_of_run(run) == "actor"
    monkeypatch.setattr("entrypoints.protocols.system_of_run", lambda run: "impersonator")
    known = "actor, skeletonclip, videowalk"
    with pytest.raises(InputError, match=f"no evaluation of 'impersonator' yet; there is one for {known}"):
        protocol_of_run([f"run='{run}'"])


def test_keys_of_another_system_are_unknown() -> None:
    with pytest.raises(InputError) as caught:
        check("evaluate", ["run=x", "protocol=videowalk", "samples=3", "contxt=3"])
    assert "contxt: unknown key (did you mean 'context'?)" in str(caught.value)
    assert "samples: unknown key" in str(caught.value)
    with pytest.raises(InputError, match="topk: unknown key"):
        check("evaluate", ["run=x", "topk=3"])


def test_help_shows_the_keys_of_all_systems() -> None:
    shown = run_command("evaluate", "--help")
    for name in EVALUATIONS:
        for line in keys_for_help(name).replace("$$", "$").splitlines():
            if line and not line.startswith(("#", " ")):
                assert line.split(":")[0] + ":" in shown
    assert "synthetic: ${paths.data}/synthetic" in shown


def test_the_config_that_is_shown_is_that_of_the_run(tmp_path: Path) -> None:
    run = write_walk_run(tmp_path / "run")
    shown = run_command("evaluate", f"run={run}", "topk=3", "--cfg", "job")
    assert "topk: 3" in shown
    assert "recognizer" not in shown
