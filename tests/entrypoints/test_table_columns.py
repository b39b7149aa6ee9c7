import csv
import io
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import InputError
from entrypoints.collect import collect_folder
from entrypoints.sweep_results import RunResult
from entrypoints.table_columns import Column, read_columns
from entrypoints.table_formats import to_latex
from tests.entrypoints.test_collect import make_run

COLUMNS: dict[str, Any] = {
    "base_lr": "optimizer.lr",
    "text": ["model.lr.text", "optimizer.lr"],
    "tokenizer": "model.lr.text",
    "accuracy": {"of": "val/loss", "times": 100},
    "exp_pth": "folder",
    "epoch": "best_epoch",
    "reported": "reported.top1",
    "difference": {"of": "val/loss", "times": 100, "minus": "reported.top1"},
}


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file.read_text())))


def sweep(folder: Path, seeds: tuple[int, ...] = (1,), columns: Any = None) -> Path:
    """Two experiments of a published table and one that failed before it measured anything."""
    job = 0
    for name, lr, top1 in (("a", 1e-3, 92.5), ("b", 1e-5, None), ("c", 1e-4, 90.0)):
        for seed in seeds:
            status = "failed" if name == "c" else "finished"
            value = None if name == "c" else 0.9 + 0.01 * seed
            make_run(
                folder / str(job), [f"experiment={name}", f"seed={seed}"], value, status=status, test={},
                best_epoch=seed, **({"error": "no skeletons"} if name == "c" else {}),
            )  # fmt: skip
            config = {
                "optimizer": {"lr": lr},
                "model": {"lr": {"text": "${optimizer.lr}", "other": "${hydra:job.num}"}},
                "reported": None if top1 is None else {"top1": top1},
                "table": {"columns": columns or COLUMNS, "sort": "job"},
            }
            (folder / str(job) / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
            job += 1
    return folder


def test_columns_of_the_runs_config_in_their_order(tmp_path: Path) -> None:
    table, _ = collect_folder(sweep(tmp_path))
    rows = rows_of(tmp_path / "table.csv")
    assert list(rows[0]) == ["run", "experiment", *COLUMNS, "best", "status", "minutes", "reason"]
    assert [rows[0][key] for key in ("experiment", "base_lr", "text", "tokenizer", "reported")] == [
        "a", "0.001", "0.001", "0.001", "92.5",
    ]  # fmt: skip
    assert float(rows[0]["accuracy"]) == pytest.approx(91.0)
    assert float(rows[0]["difference"]) == pytest.approx(-1.5)
    assert rows[0]["exp_pth"] == str(tmp_path / "0")
    assert (rows[0]["epoch"], rows[1]["reported"], rows[1]["difference"]) == ("1.0", "", "")
    assert [row["status"] for row in rows] == ["finished", "finished", "failed"]
    assert (rows[2]["base_lr"], rows[2]["reason"]) == ("0.0001", "no skeletons")
    assert table.metrics == ("accuracy", "epoch", "difference")
    header = "| run | experiment | base_lr | text | tokenizer | accuracy | exp_pth | epoch | reported | difference |"
    assert header in (tmp_path / "table.md").read_text()
    assert "1 of 3 runs did not finish" in (tmp_path / "table.md").read_text()
    assert r"\multicolumn" in to_latex(table, "x")


def test_seeds_of_such_a_table_make_one_row(tmp_path: Path) -> None:
    collect_folder(sweep(tmp_path, seeds=(1, 2)))
    first = rows_of(tmp_path / "table.csv")[0]
    assert float(first["accuracy_mean"]) == pytest.approx(91.5)
    assert float(first["difference_mean"]) == pytest.approx(-1.0)
    assert float(first["difference_std"]) == pytest.approx(0.5**0.5)
    assert (first["n"], first["base_lr"], first["exp_pth"]) == ("2", "0.001", f"{tmp_path / '0'} {tmp_path / '1'}")


def test_columns_and_order_of_the_command_line_win(tmp_path: Path) -> None:
    table, _ = collect_folder(sweep(tmp_path), columns=["val/loss"], sort="monitor")
    assert table.columns == ("experiment", "val/loss")
    by_heading, _ = collect_folder(tmp_path, sort="accuracy", descending=True)
    assert [row.runs for row in by_heading.rows] == [("0",), ("1",), ("2",)]


def test_a_name_that_no_run_has_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        collect_folder(sweep(tmp_path, columns={"top5": ["test/top5", "val/top5"]}))
    assert "table.columns.top5: no run has test/top5 or val/top5" in caplog.text


def test_null_leaves_a_column_out() -> None:
    assert [column.heading for column in read_columns({"a": "x", "b": None})] == ["a"]


def test_arithmetic_needs_numbers() -> None:
    run = RunResult("0", {}, "finished", metrics={"val/top1": 0.5}, card={"host": "here", "best": {"epoch": 3}})
    assert Column("x", ("host",), times=2.0).value(run) is None
    assert Column("x", ("val/top1",), minus="host").value(run) is None
    assert Column("x", ("best.epoch",)).value(run) == 3.0
    assert Column("x", ("host",)).value(run) == "here"


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("val/top1", "expected a mapping"),
        ({"a": {"off": "val/top1"}}, r"table\.columns\.a\.off: unknown key \(did you mean 'of'"),
        ({"a": {"times": 100}}, r"table\.columns\.a\.of=None"),
        ({"a": {"of": "x", "times": "many"}}, r"table\.columns\.a\.times=many"),
        ({"a": {"of": "x", "minus": 3}}, r"table\.columns\.a\.minus=3"),
        ({"a": []}, r"table\.columns\.a\.of=\[\]"),
    ],
)
def test_wrong_columns(node: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_columns(node)
