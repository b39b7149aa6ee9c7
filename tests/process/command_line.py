"""Runs entry points as a user does: in processes of their own."""

import csv
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "entrypoints" / "tiny" / "conf"


def start(entry: str, *arguments: str, dies: str = "", **environment: str) -> "subprocess.Popen[str]":
    """Start `python -m entrypoints.<entry>` with the tiny test configs within reach.

    `dies`, as `module:function@call`, kills it there (`tests.process.dying`).
    """
    paths = os.pathsep.join([str(ROOT), environment.pop("extra_path", "")]).strip(os.pathsep)
    command = [sys.executable, *(("-m", "tests.process.dying", dies) if dies else ("-m",)), f"entrypoints.{entry}"]
    if entry == "train":
        command += ["--config-dir", str(TINY)]
    return subprocess.Popen(
        [*command, *arguments],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(entry: str, *arguments: str, code: int = 0, **environment: str) -> str:
    """Run to the end, check the exit code, return what was printed."""
    process = start(entry, *arguments, **environment)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{output[-4000:]}"
    return output


def run_until_killed(entry: str, *arguments: str, dies: str) -> None:
    """Run to the call that `dies` names, and see that it was reached."""
    process = start(entry, *arguments, dies=dies)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, f"exit code {process.returncode}:\n{output[-4000:]}"


def only_run(folder: Path) -> Path:
    """The one run folder below an output folder."""
    (card,) = folder.rglob("run.json")
    return card.parent


def curve(run_dir: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without empty cells."""
    with (run_dir / "metrics.csv").open(newline="") as stream:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(stream)]


def processor_time(entry: str, *arguments: str) -> tuple[str, float]:
    """What it prints, and the seconds of work of that process alone: hardly more on a busy machine."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"entrypoints.{entry}", *arguments], cwd=ROOT, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
    assert process.returncode == 0, text
    return text, used.ru_utime + used.ru_stime
