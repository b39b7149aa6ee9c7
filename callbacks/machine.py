"""What a run ran on: package versions, devices and the state of the checkout. Plain data, ready for json.

No Lightning here, and torch only inside functions: `doctor` and the start of every command read these.
"""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from components.cores import usable_cores

PROJECT = Path(__file__).resolve().parents[1]

# The packages whose version can change a result, in the order of the table of `doctor`.
CORE_PACKAGES = (
    "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "smplx", "transformers", "wandb", "av",
    "numpy", "pillow", "matplotlib", "rich", "safetensors",
)  # fmt: skip


def package_version(name: str) -> str | None:
    """The installed version of a distribution, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def collect_versions() -> dict[str, str | None]:
    """Versions of Troupe, Python and the core packages; None for a package that is missing."""
    versions: dict[str, str | None] = {"troupe": package_version("troupe"), "python": platform.python_version()}
    return versions | {name: package_version(name) for name in CORE_PACKAGES}


def collect_devices() -> dict[str, Any]:
    """The machine's processors.

    Returns:
        `cpu_cores` (usable by this process), `cpu_name`, `memory_gib`, `cpu_bf16` (the CPU multiplies bfloat16 in
        hardware), `cuda` (list of `{name, memory_gib, bf16}`), `mps`.
    """
    import torch

    cuda = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            cuda.append(
                {
                    "name": properties.name,
                    "memory_gib": round(properties.total_memory / 2**30, 1),
                    "bf16": properties.major >= 8,
                }
            )
    return {
        "cpu_cores": usable_cores(),
        "cpu_name": _cpu_name(),
        "memory_gib": _memory_gib(),
        "cpu_bf16": cpu_has_bf16(),
        "cuda": cuda,
        "mps": torch.backends.mps.is_available(),
    }


def cpu_has_bf16() -> bool:
    """Whether the CPU has bfloat16 instructions. Without them bf16-mixed works but is slower than float32."""
    flags = set(_cpuinfo("flags").split()) | set(_cpuinfo("Features").split())
    if flags:
        return bool(flags & {"avx512_bf16", "amx_bf16", "avx_ne_convert", "bf16"})
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def git_state(folder: str | Path = PROJECT) -> dict[str, Any] | None:
    """Commit, branch and whether tracked files differ from it; None outside a checkout or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    status = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit,
        "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": None if status is None else bool(status),
    }


def _git(folder: str | Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _cpuinfo(key: str) -> str:
    """The first value of a key of /proc/cpuinfo, empty on systems without that file."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""


def _cpu_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
