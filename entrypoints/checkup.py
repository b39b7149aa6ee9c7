"""What a machine has and lacks for Troupe, as plain data. `doctor` shows it."""

import importlib.metadata
import platform
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from callbacks.machine import PROJECT, collect_devices, package_version
from components.keypoints.mediapipe_worker import PACKAGE

State = Literal["ok", "missing", "warning"]
_MINIMUM_PYTHON = (3, 11)
_ANSWER_SECONDS = 60
# Extras that are for work on Troupe itself.
_NOT_SHOWN = {"dev"}
# Extras whose packages bring dependencies that are not used.
_WITHOUT_DEPENDENCIES = {"text"}
# Those that `components.media` writes mp4 files with.
_VIDEO_ENCODERS = ("libx264", "mpeg4")


@dataclass(frozen=True)
class Check:
    """One line: what was looked for, what was found, and how to mend it. A `needed` one that is missing is a fault."""

    group: str
    name: str
    state: State
    found: str
    remedy: str = ""
    needed: bool = False

    @property
    def fault(self) -> bool:
        """Whether Troupe cannot work like this."""
        return self.needed and self.state == "missing"


def check_all(
    output_dir: str,
    data_dir: str,
    files: Mapping[str, Mapping[str, Any]],
    free_gib: float = 2.0,
    pose_python: str | None = None,
) -> list[Check]:
    """Everything `doctor` reports.

    Args:
        output_dir: where runs go.
        data_dir: where synthetic data and caches go.
        files: optional files by name, each with `places`, `purpose` and `use`.
        free_gib: free disk space below which a folder gets a warning.
        pose_python: python of the environment that has the pose estimator; None = do not look.
    """
    required, extras = requirements()
    checks = [check_python(), *(check_package(text) for text in required)]
    checks += check_devices()
    checks += [check_body(), check_encoder()]
    checks += [check_folder("outputs", output_dir, "paths.output_dir", free_gib)]
    checks += [check_folder("data", data_dir, "paths.data", free_gib)]
    checks += [check_extra(name, texts) for name, texts in extras.items() if name not in _NOT_SHOWN]
    if pose_python is not None:
        checks.append(check_pose(pose_python))
    checks += [check_file(name, **entry) for name, entry in files.items()]
    return checks


def as_data(checks: Sequence[Check]) -> dict[str, Any]:
    """Plain data for `doctor json=true`."""
    return {
        "ok": not any(check.fault for check in checks),
        "system": platform.platform(),
        "devices": collect_devices() if package_version("torch") else {},
        "checks": [asdict(check) for check in checks],
    }


def requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Requirement lines of the core and of each extra: from the checkout, else from the installed package."""
    project = PROJECT / "pyproject.toml"
    if project.is_file():
        table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
        return list(table["dependencies"]), {k: list(v) for k, v in table["optional-dependencies"].items()}
    core: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("troupe") or []:
        text, _, marker = line.partition(";")
        if "extra ==" in marker:
            extras.setdefault(marker.split("extra ==")[1].strip(" \"'"), []).append(text.strip())
        else:
            core.append(text.strip())
    return core, extras


def check_python() -> Check:
    """The interpreter."""
    good = tuple(map(int, platform.python_version_tuple()[:2])) >= _MINIMUM_PYTHON
    wanted = ".".join(map(str, _MINIMUM_PYTHON))
    remedy = "" if good else f"Troupe needs Python {wanted} or newer"
    return Check("packages", "python", "ok" if good else "missing", platform.python_version(), remedy, needed=True)


def check_package(text: str, needed: bool = True) -> Check:
    """One requirement line, e.g. `av>=14`."""
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    version = package_version(requirement.name)
    install = f"pip install '{requirement.name}{requirement.specifier}'"
    if version is None:
        return Check("packages", requirement.name, "missing", "not installed", install, needed)
    if not requirement.specifier.contains(version, prereleases=True):
        found = f"{version}, expected {requirement.specifier}"
        return Check("packages", requirement.name, "missing", found, install, needed)
    return Check("packages", requirement.name, "ok", version, needed=needed)


def check_devices() -> list[Check]:
    """Processors and what they are good for."""
    try:
        devices = collect_devices()
    except (ImportError, OSError) as error:  # a torch that is installed but broken
        return [Check("devices", "torch", "missing", f"cannot be imported: {error}", "reinstall torch", needed=True)]
    bf16 = (
        "bfloat16 instructions" if devices["cpu_bf16"] else "no bfloat16 instructions: keep trainer.precision=32-true"
    )
    cpu = f"{devices['cpu_cores']} cores, {devices['memory_gib']} GiB, {bf16} ({devices['cpu_name']})"
    checks = [Check("devices", "cpu", "ok", cpu)]
    for index, gpu in enumerate(devices["cuda"]):
        precision = "bf16-mixed" if gpu["bf16"] else "16-mixed"
        found = f"{gpu['name']}, {gpu['memory_gib']} GiB, trainer.precision={precision} is faster"
        checks.append(Check("devices", f"cuda:{index}", "ok", found))
    if not devices["cuda"]:
        checks.append(Check("devices", "cuda", "missing", "no NVIDIA GPU visible: trainer=default takes the CPU"))
    if devices["mps"]:
        checks.append(Check("devices", "mps", "ok", "Apple GPU"))
    return checks


def check_body() -> Check:
    """The packaged body."""
    file = PROJECT / "components" / "body" / "assets" / "troupe_body.npz"
    if file.is_file():
        return Check("files", "packaged body", "ok", f"{file.stat().st_size / 2**20:.1f} MiB", needed=True)
    remedy = f"reinstall Troupe, or: python -m entrypoints.prepare dataset=body dataset.output={file}"
    return Check("files", "packaged body", "missing", f"{file} is not there", remedy, needed=True)


def check_encoder() -> Check:
    """A video encoder for mp4 files."""
    try:
        import av
    except ImportError as error:
        return Check(
            "files", "mp4 encoder", "missing", f"av cannot be imported: {error}", "pip install av", needed=True
        )
    for name in _VIDEO_ENCODERS:
        if name in av.codecs_available:
            return Check("files", "mp4 encoder", "ok", name, needed=True)
    remedy = "pip install --force-reinstall --only-binary :all: av"
    return Check("files", "mp4 encoder", "missing", f"none of {', '.join(_VIDEO_ENCODERS)}", remedy, needed=True)


def check_folder(name: str, folder: str, key: str, free_gib: float) -> Check:
    """Whether a folder can be written (or made) and has room."""
    path = Path(folder).expanduser().absolute()
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    remedy = f"choose another with {key}=<folder>"
    if not place.is_dir():
        return Check("folders", name, "missing", f"{place} is a file", remedy, needed=True)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
        free = shutil.disk_usage(place).free / 2**30
    except OSError as error:
        return Check("folders", name, "missing", f"{path} cannot be written: {error.strerror}", remedy, needed=True)
    found = f"{path}, {free:.1f} GiB free"
    if free < free_gib:
        return Check("folders", name, "warning", found, f"less than {free_gib:g} GiB; {remedy}", needed=True)
    return Check("folders", name, "ok", found, needed=True)


def check_extra(name: str, texts: Sequence[str]) -> Check:
    """An optional set of packages."""
    checks = [check_package(text, needed=False) for text in texts]
    absent = [check for check in checks if check.state != "ok"]
    if not absent:
        return Check("extras", name, "ok", ", ".join(f"{check.name} {check.found}" for check in checks))
    found = ", ".join(f"{check.name}: {check.found}" for check in absent)
    lines = " ".join(check.remedy.removeprefix("pip install ") for check in absent)
    alone = "--no-deps " if name in _WITHOUT_DEPENDENCIES else ""
    return Check("extras", name, "missing", found, f"pip install {alone}{lines}")


def check_pose(python: str) -> Check:
    """The environment of the pose estimator, which is not ours: its packages and ours exclude each other."""
    place = Path(python).expanduser()
    purpose = "skeletons of videos (prepare dataset=skeletons, predict task=classify)"
    install = f"{place} -m pip install {PACKAGE}"
    if not place.is_file():
        make = f"python -m venv {place.parent.parent} && {install}"
        return Check("extras", "pose", "missing", f"{place} is not there; for {purpose}", make)
    asked = "from importlib.metadata import version; print(version('mediapipe'))"
    try:
        answer = subprocess.run([place, "-c", asked], capture_output=True, text=True, timeout=_ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("extras", "pose", "missing", f"{place} does not run: {error}", install)
    if answer.returncode:
        return Check("extras", "pose", "missing", f"{place} has no mediapipe; for {purpose}", install)
    found = answer.stdout.strip()
    if found != PACKAGE.partition("==")[2]:
        # Newer ones download their pose models, older ones were not tried.
        return Check("extras", "pose", "warning", f"mediapipe {found} in {place}", install)
    return Check("extras", "pose", "ok", f"mediapipe {found} in {place}")


def check_file(name: str, places: Sequence[str], purpose: str, use: str) -> Check:
    """A file or folder that only the user can bring."""
    for place in places:
        if Path(place).expanduser().exists():
            return Check("files", name, "ok", f"{place}; {use}")
    return Check("files", name, "missing", f"for {purpose}", f"put it at {' or '.join(places)}; {use}")
