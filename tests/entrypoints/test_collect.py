import csv
import io
import json
import math
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from components.errors import InputError
from entrypoints import collect
from entrypoints.collect import collect_folder
from entrypoints.result_table import spread
from entrypoints.sweep_results import find_runs, read_results, settings_of
from entrypoints.table_formats import to_csv, to_latex
from tests.process.command_line import run


def make_run(
    folder: Path,
    overrides: list[str],
    value: float | None = None,
    status: str = "finished",
    test: dict[str, float] | None = None,
    **card: Any,
) -> None:
    """A run folder as `train` leaves it."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {text}\n" for text in overrides))
    monitor = {"name": "val/loss", "mode": "min", "value": value}
    content = {"status": status, "error": None, "monitor": monitor, "seconds": 90.0, "overrides": overrides} | card
    (folder / "run.json").write_text(json.dumps(content))
    if value is not None:
        metrics = {"val/loss": value + 1, "train/loss": 0.1} | (test or {"test/rc": value * 2})
        (folder / "metrics.json").write_text(json.dumps(metrics))


def seed_sweep(folder: Path) -> Path:
    """Two learning rates with three seeds; one job failed, one was killed, one never began."""
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    scores = {("0.001", 1): 0.5, ("0.001", 2): 0.7, ("0.0001", 1): 0.2, ("0.0001", 2): 0.3}
    for job, (lr, seed) in enumerate((lr, seed) for lr in ("0.001", "0.0001") for seed in (1, 2, 3)):
        overrides = ["experiment=tiny", f"optimizer.lr={lr}", f"seed={seed}"]
        if (lr, seed) == ("0.001", 3):
            make_run(folder / str(job), overrides, status="failed", error="TrainingDiverged: loss | is_nan")
        elif (lr, seed) in scores:
            make_run(folder / str(job), overrides, scores[lr, seed])
    multirun = {
        "hydra": {
            "sweeper": {
                "_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
                "params": {"optimizer.lr": "1e-3,1e-4"},
            },
            "overrides": {"task": ["experiment=tiny", "seed=1,2,3"]},
        }
    }  # fmt: skip
    (folder / "multirun.yaml").write_text(json.dumps(multirun))
    make_run(
        folder / "6", ["experiment=tiny", "optimizer.lr=0.0001", "seed=4"],
        status="running", pid=gone.pid, host=platform.node(),
    )  # fmt: skip
    return folder


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def test_seeds_make_one_row_with_mean_std_and_n(tmp_path: Path) -> None:
    collect_folder(seed_sweep(tmp_path))
    rows = rows_of(tmp_path / "table.csv")
    best = rows[0]
    assert best["optimizer.lr"] == "0.0001"
    assert float(best["val/loss_mean"]) == pytest.approx(0.25)
    assert float(best["val/loss_std"]) == pytest.approx(statistics.stdev([0.2, 0.3]))
    assert float(best["test/rc_mean"]) == pytest.approx(0.5)
    assert (best["n"], best["best"], best["status"], best["run"]) == ("2", "yes", "finished", "3 4")
    assert [row["best"] for row in rows[1:]] == [""] * 4
    assert "seed" not in best
    jobs = rows_of(tmp_path / "jobs.csv")
    assert [job["seed"] for job in jobs] == ["1", "2", "1", "2", "3", "4", "3"]


def test_unfinished_jobs_are_listed_with_their_reason(tmp_path: Path) -> None:
    collect_folder(seed_sweep(tmp_path))
    rows = rows_of(tmp_path / "table.csv")
    unfinished = {row["run"]: (row["status"], row["reason"]) for row in rows if row["n"] == "0"}
    assert unfinished["2"] == ("failed", "TrainingDiverged: loss | is_nan")
    assert unfinished["6"][0] == "killed"
    assert unfinished["5"][0] == "not started"
    markdown = (tmp_path / "table.md").read_text()
    assert "3 of 7 runs did not finish" in markdown
    assert "- 2: failed, TrainingDiverged" in markdown
    assert "loss \\| is_nan" not in markdown.split("did not finish")[1]
    latex = (tmp_path / "table.tex").read_text()
    assert r"failed: TrainingDiverged: loss | is\_nan" in latex


def test_markdown_is_a_table_with_the_best_in_bold(tmp_path: Path) -> None:
    collect_folder(seed_sweep(tmp_path))
    lines = [line for line in (tmp_path / "table.md").read_text().splitlines() if line.startswith("|")]
    assert lines[0] == "| run | optimizer.lr | val/loss | test/rc | n | status | min |"
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "**0.25 ± 0.071**" in lines[2]
    assert "`experiment=tiny`" in (tmp_path / "table.md").read_text()


def test_latex_compiles_in_principle(tmp_path: Path) -> None:
    collect_folder(seed_sweep(tmp_path))
    text = (tmp_path / "table.tex").read_text()
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    columns = len(text.split("\\begin{tabular}{")[1].split("}")[0])
    for line in body:
        spanned = int(line.split("\\multicolumn{")[1].split("}")[0]) - 1 if "\\multicolumn" in line else 0
        assert line.replace(r"\&", "").count("&") + 1 + spanned == columns
    assert text.count("{") == text.count("}")
    assert r"\textbf{0.25 $\pm$ 0.071}" in text


def test_without_seeds_every_run_is_a_row(tmp_path: Path) -> None:
    for job, value in enumerate([0.3, 0.1, 0.2]):
        make_run(tmp_path / str(job), [f"lr={job}"], value)
    collect_folder(tmp_path)
    rows = rows_of(tmp_path / "table.csv")
    assert [row["val/loss"] for row in rows] == ["0.1", "0.2", "0.3"]
    assert "n" not in rows[0]
    assert not (tmp_path / "jobs.csv").exists()


def test_experiment_folders_work_too(tmp_path: Path) -> None:
    make_run(tmp_path / "2026-01-01_10-00-00", ["experiment=tiny"], 0.3)
    make_run(tmp_path / "2026-01-02_10-00-00", ["experiment=tiny", "+extra=1"], 0.1)
    table, _ = collect_folder(tmp_path, output=tmp_path / "elsewhere")
    assert table.settings == ("extra",)
    assert (tmp_path / "elsewhere" / "table.md").is_file()
    single, _ = collect_folder(tmp_path / "2026-01-01_10-00-00")
    assert [row.runs for row in single.rows] == [("2026-01-01_10-00-00",)]


@pytest.mark.parametrize(
    ("sort", "descending", "order"),
    [
        ("monitor", None, ["1", "2", "0", "10"]),
        ("monitor", True, ["0", "2", "1", "10"]),
        ("job", None, ["0", "1", "2", "10"]),
        ("job", True, ["2", "1", "0", "10"]),
        ("lr", None, ["2", "0", "1", "10"]),
        ("test/rc", True, ["2", "1", "0", "10"]),
        ("minutes", None, ["0", "1", "2", "10"]),
    ],
)
def test_sorting_keeps_failures_last(tmp_path: Path, sort: str, descending: bool | None, order: list[str]) -> None:
    for job, (lr, value) in enumerate([("10", 0.3), ("1e3", 0.1), ("9", 0.2)]):
        make_run(tmp_path / str(job), [f"lr={lr}"], value, test={"test/rc": float(job)}, seconds=60.0 * job)
    make_run(tmp_path / "10", ["lr=0"], status="failed", error="boom")
    table, _ = collect_folder(tmp_path, sort=sort, descending=descending)
    assert [row.runs[0] for row in table.rows] == order


def test_a_maximised_metric(tmp_path: Path) -> None:
    for job, value in enumerate([0.3, 0.9, 0.2]):
        make_run(tmp_path / str(job), [f"lr={job}"], value, monitor={"name": "val/acc", "mode": "max", "value": value})
    table, _ = collect_folder(tmp_path)
    assert [row.runs[0] for row in table.rows if row.best] == ["1"]
    assert table.rows[0].best


def test_columns_are_chosen_and_named(tmp_path: Path) -> None:
    for job in range(2):
        make_run(tmp_path / str(job), [f"lr={job}"], 0.5, test={"test/rc": 1.0, "test/kl": 2.0})
    table, _ = collect_folder(tmp_path, columns={"test/kl": "KL", "lr": "learning_rate"})
    assert table.metrics == ("test/kl",)
    assert to_csv(table).splitlines()[0] == "run,learning_rate,KL,best,status,minutes,reason"
    assert r"learning\_rate" in to_latex(table, "x")
    with pytest.raises(InputError, match=r"did you mean 'test/kl'"):
        collect_folder(tmp_path, columns=["test/kll"])
    with pytest.raises(InputError, match="sort: no column 'lrr'"):
        collect_folder(tmp_path, sort="lrr")


def test_odd_folders(tmp_path: Path) -> None:
    make_run(tmp_path / "a", ["x=1"], 0.5)
    make_run(tmp_path / "b", ["x=2"], None)  # finished without metrics
    (tmp_path / "c" / ".hydra").mkdir(parents=True)
    (tmp_path / "c" / ".hydra" / "overrides.yaml").write_text("- x=3\n")
    make_run(tmp_path / "d", ["x=4"], 0.1)
    (tmp_path / "d" / "metrics.json").write_text('{"test/rc": 0.')
    make_run(tmp_path / "e", ["x=5"], status="running", host="elsewhere", pid=1, epochs=3, max_epochs=9)
    results = {result.settings["x"]: result for result in read_results(tmp_path)}
    assert [results[str(x)].status for x in range(1, 6)] == ["finished", "incomplete", "failed", "finished", "running"]
    assert "run.json" in str(results["3"].reason)
    assert results["4"].metrics == {"val/loss": 0.1}
    assert results["5"].reason == "epoch 3 of 9 on elsewhere"


def test_nothing_to_collect(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run in it"):
        read_results(tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        read_results(tmp_path / "nowhere")


def test_jobs_are_in_numerical_order_and_runs_are_not_searched(tmp_path: Path) -> None:
    for job in (10, 9, 0):
        make_run(tmp_path / str(job), [], 0.1)
    make_run(tmp_path / "0" / "checkpoints" / "inner", [], 0.1)
    assert [path.name for path in find_runs(tmp_path)] == ["0", "9", "10"]


def test_settings() -> None:
    texts = ["+a=1", "++b=x=y", "~c", "resume=auto", "hydra.sweep.dir=x"]
    assert settings_of(texts) == {"a": "1", "b": "x=y", "~c": ""}


def test_spread() -> None:
    assert spread([2.0]).std is None
    assert spread([1.0, 3.0]).mean == 2.0
    assert spread([1.0, 3.0]).std == pytest.approx(math.sqrt(2))


def test_the_job_prints_markdown_in_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"dir": str(seed_sweep(tmp_path)), "sort": "monitor", "descending": None, "columns": ["test/rc"],
              "group_seeds": True, "output": None}  # fmt: skip
    collect.job(OmegaConf.create(config))
    printed = capsys.readouterr().out
    assert "| run | optimizer.lr | test/rc | n | status | min |" in printed


SWEEP = """
import hydra, json, pathlib
from hydra.core.hydra_config import HydraConfig

@hydra.main(version_base="1.3", config_path=None)
def main(cfg):
    if cfg.lr == 2:
        raise ValueError("boom")
    out = pathlib.Path(HydraConfig.get().runtime.output_dir)
    card = {"status": "finished", "monitor": {"name": "m", "mode": "min", "value": cfg.lr}}
    (out / "run.json").write_text(json.dumps(card))

main()
"""


def test_a_sweep_that_hydra_wrote(tmp_path: Path) -> None:
    """The files of the installed Hydra, one failed job, one job whose folder is gone."""
    (tmp_path / "app.py").write_text(SWEEP)
    command = [sys.executable, "app.py", "-m", "+lr=1e-3,2,3,4", "+other='a, b'", "hydra.sweep.dir=out"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    for file in sorted((tmp_path / "out" / "3").rglob("*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    results = read_results(tmp_path / "out")
    assert [(result.settings["lr"], result.status) for result in results] == [
        ("0.001", "finished"), ("2", "failed"), ("3", "finished"), ("4", "not started"),
    ]  # fmt: skip


@pytest.mark.slow
def test_command_line(tmp_path: Path) -> None:
    assert "no run in it" in run("collect", f"dir={tmp_path}", code=2)
    text = run("collect", f"dir={seed_sweep(tmp_path)}", "columns={test/rc: RC}")
    assert "| run | optimizer.lr | RC | n | status | min |" in text
    assert "did you mean 'sort'" in run("collect", f"dir={tmp_path}", "sor=job", code=2)
