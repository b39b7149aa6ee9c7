"""Two CPU processes, alone and inside sweeps."""

import json
from pathlib import Path

import pytest

from tests.process.command_line import ROOT, only_run, run

pytestmark = pytest.mark.slow


def ranks(folder: Path) -> dict[str, tuple[float, int, str]]:
    """What each rank wrote at the end: job_rank -> (learning rate, world size, digest of its weights)."""
    found = {}
    for file in folder.glob("rank_*"):
        rate, world, digest = file.read_text().split()
        found[file.name.removeprefix("rank_")] = (float(rate), int(world), digest)
    return found


def test_ddp_run_of_two_processes(tmp_path: Path) -> None:
    run("train", "experiment=tiny", "trainer=ddp_cpu", "trainer.max_epochs=2",
        f"paths.output_dir={tmp_path / 'out'}", f"model.ranks_file={tmp_path / 'rank'}")  # fmt: skip
    (first, second) = ranks(tmp_path).values()
    assert first == second
    assert first[1] == 2
    card = json.loads((only_run(tmp_path / "out") / "run.json").read_text())
    assert card["status"] == "finished"
    assert card["effective_batch"] == 16


def test_a_failing_rank_ends_the_run(tmp_path: Path) -> None:
    text = run("train", "experiment=tiny", "trainer=ddp_cpu", "model.fail=true", f"paths.output_dir={tmp_path}", code=1)
    assert "made to fail on purpose" in text
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["status"] == "failed"


def test_bad_input_inside_a_rank_is_bad_input(tmp_path: Path) -> None:
    text = run("train", "experiment=tiny_user", "trainer=ddp_cpu", "trainer.max_epochs=1",
               f"paths.output_dir={tmp_path}", "data.root=/no/such/folder", code=2)  # fmt: skip
    assert "data.root=/no/such/folder does not exist" in text


def test_sweep_file_with_ddp_gives_every_rank_its_jobs_values(tmp_path: Path) -> None:
    run("train", "sweep=tiny_lr", "trainer=ddp_cpu", "trainer.max_epochs=1",
        f"paths.output_dir={tmp_path / 'out'}", f"model.ranks_file={tmp_path / 'rank'}")  # fmt: skip
    found = ranks(tmp_path)
    assert {name: value[:2] for name, value in found.items()} == {
        "0_0": (0.01, 2), "0_1": (0.01, 2), "1_0": (0.02, 2), "1_1": (0.02, 2),
    }  # fmt: skip
    assert found["0_0"][2] == found["0_1"][2] != found["1_0"][2]
    (table,) = (tmp_path / "out").rglob("table.csv")
    assert len(table.read_text().strip().splitlines()) == 3


def test_random_sweeper_with_ddp_draws_once_per_job(tmp_path: Path) -> None:
    run("train", "-m", "experiment=tiny", "trainer=ddp_cpu", "trainer.max_epochs=1",
        f"paths.output_dir={tmp_path / 'out'}", f"model.ranks_file={tmp_path / 'rank'}",
        "hydra.sweeper._target_=hydra_plugins.random_sweeper.RandomSweeper",
        extra_path=str(ROOT / "tests" / "process" / "plugins"))  # fmt: skip
    found = ranks(tmp_path)
    assert len(found) == 4
    assert found["0_0"] == found["0_1"]
    assert found["1_0"] == found["1_1"]
    assert found["0_0"][0] != found["1_0"][0]


def test_multirun_with_a_failing_job_lists_it(tmp_path: Path) -> None:
    run("train", "-m", "experiment=tiny", "trainer.max_epochs=1", "model.fail=false,true",
        f"paths.output_dir={tmp_path}", code=1)  # fmt: skip
    (table,) = tmp_path.rglob("table.md")
    text = table.read_text()
    assert "finished" in text
    assert "failed" in text
    assert "made to fail on purpose" in text


def test_joblib_launcher_runs_jobs_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra 'sweeps'")
    run("train", "-m", "experiment=tiny", "trainer.max_epochs=1", "hydra/launcher=joblib", "optimizer.lr=0.01,0.02",
        f"paths.output_dir={tmp_path}")  # fmt: skip
    cards = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert [card["status"] for card in cards] == ["finished", "finished"]


def test_submitit_local_launcher(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs the extra 'sweeps'")
    run("train", "-m", "experiment=tiny", "trainer.max_epochs=1", "hydra/launcher=submitit_local",
        "optimizer.lr=0.01,0.02", f"paths.output_dir={tmp_path}")  # fmt: skip
    cards = [json.loads(file.read_text()) for file in tmp_path.rglob("run.json")]
    assert [card["status"] for card in cards] == ["finished", "finished"]


def test_a_repeated_sweep_trains_only_what_is_not_finished(tmp_path: Path) -> None:
    arguments = ("-m", "experiment=tiny", "trainer.max_epochs=1", "optimizer.lr=0.01,0.02", "resume=auto",
                 f"paths.output_dir={tmp_path}", f"hydra.sweep.dir={tmp_path / 'sweep'}")  # fmt: skip
    run("train", *arguments)
    cards = {file: file.read_text() for file in tmp_path.rglob("run.json")}
    assert len(cards) == 2
    output = run("train", *arguments)
    assert output.count("is finished already") == 2
    assert "starting a new one" not in output
    assert {file: file.read_text() for file in tmp_path.rglob("run.json")} == cards
