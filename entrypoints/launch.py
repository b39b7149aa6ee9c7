"""Starts the processes of a distributed run; the only file that touches environment variables of ranks.

Lightning's own launcher restarts the command line in every child, which under a Hydra sweep means the whole sweep, into
other folders and, with a random sweeper, with other values. Here the job's process composes the configuration once,
writes it resolved into the run folder and starts every rank with it; ranks know nothing of Hydra. The parent keeps no
process group, so the next job of a sweep starts clean.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.cores import usable_cores
from components.errors import InputError
from components.files.atomic import write_json

_RANK_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK")
LAUNCHER_PID = "TROUPE_LAUNCHER_PID"


def launched_externally() -> bool:
    """Whether torchrun, srun or our own launcher has made this process as one rank of several."""
    return "LOCAL_RANK" in os.environ or (int(os.environ.get("SLURM_NTASKS", "1")) > 1 and "SLURM_PROCID" in os.environ)


def is_first_rank() -> bool:
    """Whether this process writes what a run has only one of; valid before process groups exist."""
    return all(int(os.environ.get(name, "0")) == 0 for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK"))


def count_processes(trainer: Mapping[str, Any]) -> int:
    """Processes that a trainer config asks for on this machine.

    Raises:
        InputError: several nodes without srun or torchrun.
    """
    accelerator, devices = trainer.get("accelerator", "auto"), trainer.get("devices", "auto")
    if int(trainer.get("num_nodes") or 1) > 1:
        raise InputError(
            f"trainer.num_nodes={trainer['num_nodes']} needs a launcher that starts the other nodes:\n"
            "srun python -m entrypoints.train trainer=slurm ... (or torchrun), or set trainer.num_nodes=1"
        )
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if accelerator == "cpu":
        return devices if isinstance(devices, int) and devices > 0 else 1
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if accelerator == "auto" and gpus == 0:
        return devices if isinstance(devices, int) and devices > 0 and not torch.backends.mps.is_available() else 1
    if isinstance(devices, list):
        return len(devices)
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    return max(gpus, 1) if devices in ("auto", -1) else int(devices)


def check_slurm(trainer: Mapping[str, Any]) -> None:
    """Under srun: tasks per node must equal the devices per node, or ranks would wait for each other for ever.

    Raises:
        InputError: the two numbers, or the node counts, differ.
    """
    tasks = os.environ.get("SLURM_NTASKS_PER_NODE")
    if "SLURM_PROCID" not in os.environ:
        return
    nodes = int(os.environ.get("SLURM_JOB_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
    per_node = int(tasks.split("(")[0]) if tasks else int(os.environ.get("SLURM_NTASKS", "1")) // max(nodes, 1)
    devices = trainer.get("devices")
    wanted = len(devices) if isinstance(devices, list) else devices
    if isinstance(wanted, int) and wanted != per_node:
        raise InputError(
            f"srun started {per_node} tasks per node, but trainer.devices={devices}.\n"
            f"Set #SBATCH --ntasks-per-node={wanted} or trainer.devices={per_node}"
        )
    if int(trainer.get("num_nodes") or 1) != nodes:
        raise InputError(
            f"srun runs on {nodes} nodes, but trainer.num_nodes={trainer.get('num_nodes')}; make them equal"
        )


def run_ranks(config: Mapping[str, Any], run_dir: Path, processes: int) -> None:
    """Run one training job as several processes of this machine and wait for them.

    Rank 0 shares the terminal, the others write `rank_<n>.log` in the run folder. When one rank fails the others are
    stopped. Interrupts are passed on.

    Raises:
        InputError: a rank reported bad input.
        RuntimeError: a rank failed otherwise; the message ends with its last lines.
    """
    write_json(run_dir / ".hydra" / "resolved.json", config)
    for rank in range(processes):
        refusal_file(run_dir, rank).unlink(missing_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in _RANK_VARIABLES}
    environment |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(processes),
        "NODE_RANK": "0",
        LAUNCHER_PID: str(os.getpid()),
    }
    # Without this each rank would start as many threads as the machine has cores.
    environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))
    command = [sys.executable, "-m", "entrypoints.rank", str(run_dir)]
    with contextlib.ExitStack() as stack:
        ranks = []
        for rank in range(processes):
            output = None
            if rank:
                output = stack.enter_context((run_dir / f"rank_{rank}.log").open("ab"))
            ranks.append(
                subprocess.Popen(command, env=environment | {"LOCAL_RANK": str(rank)}, stdout=output, stderr=output)
            )
        with _forward_signals(ranks):
            failed = _wait(ranks)
    if failed is not None:
        _raise_failure(run_dir, failed, ranks[failed].returncode)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(ranks: list[subprocess.Popen[bytes]]) -> int | None:
    """Wait for all; on the first failure stop the rest and return the failed rank."""
    while True:
        codes = [rank.poll() for rank in ranks]
        failed = next((index for index, code in enumerate(codes) if code not in (None, 0)), None)
        if failed is not None:
            # A failing rank takes its peers down through the process group; let the first cause be written.
            _stop(ranks, patience=10.0)
            return failed
        if all(code == 0 for code in codes):
            return None
        time.sleep(0.1)


def _stop(ranks: list[subprocess.Popen[bytes]], patience: float) -> None:
    for rank in ranks:
        if rank.poll() is None:
            rank.terminate()
    deadline = time.monotonic() + patience
    for rank in ranks:
        with contextlib.suppress(subprocess.TimeoutExpired):
            rank.wait(max(0.1, deadline - time.monotonic()))
        if rank.poll() is None:
            rank.kill()
            rank.wait()


@contextlib.contextmanager
def _forward_signals(ranks: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def forward(number: int, _: Any) -> None:
        for rank in ranks:
            if rank.poll() is None:
                rank.send_signal(number)
        if number == signal.SIGTERM:
            _stop(ranks, patience=30.0)
            sys.exit(143)

    before = {number: signal.signal(number, forward) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refusal_file(run_dir: Path, rank: int) -> Path:
    """Where a rank writes why it refused its input: it may end before rank 0, which keeps the run's card, has."""
    return run_dir / ".hydra" / f"refusal_{rank}.txt"


def _raise_failure(run_dir: Path, rank: int, code: int) -> None:
    from callbacks.run_card import read_run_card

    message = str((read_run_card(run_dir) or {}).get("error") or "")
    if code == 2:
        refusal = refusal_file(run_dir, rank)
        own = refusal.read_text() if refusal.is_file() else ""
        raise InputError(message or own or f"rank {rank} refused its input; see {run_dir / 'train.log'}")
    log = run_dir / (f"rank_{rank}.log" if rank else "train.log")
    tail = log.read_text(errors="replace").strip().splitlines()[-8:] if log.is_file() else []
    raise RuntimeError("\n".join([f"rank {rank} ended with code {code}. {message}".strip(), *tail]))
