"""Reads run folders: what each run was, how it ended, what it measured. Runs that never began are found too."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callbacks.run_card import RUN_CARD, process_is_gone, read_run_card
from components.errors import InputError
from components.files.json_files import read_json_object

METRICS_JSON = "metrics.json"
# Overrides that say where or whether to go on, not what to compute.
_NO_SETTINGS = ("resume", "paths.output_dir")
_NOT_ENTERED = {"checkpoints", "figures", "videos", "wandb", "tensorboard", ".hydra"}


@dataclass(frozen=True)
class RunResult:
    """One run of a sweep or an experiment folder.

    `status` is finished, failed, interrupted, killed, running, incomplete (ended without metrics) or not started;
    `reason` says more about every one but finished. `metrics` has the monitored quantity under its name, at its best.
    `config` is what the run was composed of (an omegaconf `DictConfig`), `card` its `run.json`; None and empty where it
    left none.
    """

    name: str
    settings: dict[str, str]
    status: str
    reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    monitor: str | None = None
    mode: str = "min"
    minutes: float | None = None
    folder: str = ""
    config: Any = None
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether its numbers count."""
        return self.status == "finished"

    def look_up(self, name: str) -> tuple[Any, bool]:
        """What the run has under a name, None where it has nothing, and whether that was measured rather than set.

        Args:
            name: a metric (`test/top1`), a key of the config (`optimizer.lr`), a key of `run.json` (`best_epoch`),
                `folder` or `minutes`; the first of these that there is.
        """
        if name in self.metrics:
            return self.metrics[name], True
        value = _select(self.config, name)
        if value is None:
            value = self.settings.get(name)
        if value is not None:
            return value, False
        if name == "minutes":
            return self.minutes, True
        return (self.folder or None, False) if name == "folder" else (_select(self.card, name), True)


def read_results(folder: str | Path) -> list[RunResult]:
    """All runs at or below a folder, in the order of their names, then the jobs of a sweep that left no folder.

    Raises:
        InputError: no such folder, or no run in it.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"dir={folder} is no folder; give a sweep (outputs/sweeps/<name>/<date>_<time>) or outputs/<experiment>"
        )
    results = [_read_run(path, path.relative_to(folder).as_posix()) for path in find_runs(folder)]
    found = [result.settings for result in results]
    for number, settings in enumerate(expected_jobs(folder)):
        if settings not in found:
            results.append(RunResult(str(number), settings, "not started", "the sweep ended before this job began"))
    if not results:
        raise InputError(
            f"dir={folder}: no run in it (no run.json, no .hydra/overrides.yaml).\n"
            "Runs appear under outputs/<experiment>/<date>_<time> and outputs/sweeps/<name>/<date>_<time>/<job>"
        )
    return results


def find_runs(folder: Path) -> list[Path]:
    """Run folders at or below `folder`, numbers in numerical order. Run folders themselves are not searched."""
    runs: list[Path] = []
    for root, names, files in os.walk(folder):
        path = Path(root)
        if RUN_CARD in files or (path / ".hydra" / "overrides.yaml").is_file():
            runs.append(path)
            names.clear()
        else:
            names[:] = [name for name in names if name not in _NOT_ENTERED]
    return sorted(runs, key=lambda path: [(not p.isdigit(), int(p) if p.isdigit() else 0, p) for p in path.parts])


def expected_jobs(folder: Path) -> list[dict[str, str]]:
    """Settings of every job that a sweep of Hydra's basic sweeper meant to run; empty for anything else."""
    content = _read_yaml(folder / "multirun.yaml")
    hydra = content.get("hydra") if isinstance(content, dict) else None
    if not isinstance(hydra, dict) or not str(hydra.get("sweeper", {}).get("_target_", "")).endswith("BasicSweeper"):
        return []
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    lines = [f"{key}={value}" for key, value in (hydra["sweeper"].get("params") or {}).items()]
    lines += hydra.get("overrides", {}).get("task") or []
    try:
        parsed = OverridesParser.create().parse_overrides(lines)
        batches = BasicSweeper.split_arguments(parsed, None)
    except HydraException:  # e.g. glob(*), which needs the config folder
        return []
    jobs = [settings_of(job) for batch in batches for job in batch]
    return jobs if len(jobs) > 1 else []


def settings_of(overrides: list[str]) -> dict[str, str]:
    """Overrides as `{key: value}`; a deletion `~key` becomes `{"~key": ""}`."""
    pairs = [text.partition("=") for text in overrides]
    settings = {key if key.startswith("~") else key.lstrip("+"): value for key, _, value in pairs}
    return {key: value for key, value in settings.items() if key not in _NO_SETTINGS and not key.startswith("hydra.")}


def _read_run(path: Path, name: str) -> RunResult:
    card = read_run_card(path) or {}
    overrides = _read_yaml(path / ".hydra" / "overrides.yaml")
    if not isinstance(overrides, list):
        overrides = card.get("overrides") or []
    monitor = card.get("monitor") or {}
    metrics = _read_metrics(path / METRICS_JSON)
    if isinstance(monitor.get("value"), int | float):
        metrics[monitor["name"]] = float(monitor["value"])
    status, reason = _outcome(path, card, bool(metrics))
    seconds = card.get("seconds")
    return RunResult(
        name=path.name if name == "." else name,
        settings=settings_of([str(text) for text in overrides]),
        status=status,
        reason=reason,
        metrics=metrics,
        monitor=monitor.get("name"),
        mode=monitor.get("mode", "min"),
        minutes=round(seconds / 60, 2) if isinstance(seconds, int | float) else None,
        folder=path.as_posix(),
        config=_read_config(path / ".hydra" / "config.yaml"),
        card=card,
    )


def _outcome(path: Path, card: dict[str, Any], has_metrics: bool) -> tuple[str, str | None]:
    status = card.get("status")
    if status is None:
        return "failed", f"no readable {RUN_CARD}: it ended before training began, see {path / 'train.log'}"
    if status == "running" and process_is_gone(card):
        return "killed", f"its process {card['pid']} is gone; resume={path} continues it"
    if status == "running":
        return "running", f"epoch {card.get('epochs', 0)} of {card.get('max_epochs', '?')} on {card.get('host', '?')}"
    if status == "finished" and not has_metrics:
        return "incomplete", f"finished without {METRICS_JSON}"
    reason = " ".join(str(card.get("error") or "no reason recorded").split())
    return str(status), None if status == "finished" else reason


def _read_config(file: Path) -> Any:
    """The composed config, interpolations open; None where there is none."""
    from omegaconf import OmegaConf

    content = _read_yaml(file)
    return OmegaConf.create(content) if isinstance(content, dict) else None


def _select(tree: Any, name: str) -> Any:
    """The value of a dotted key, plain; None where there is none, or where it depends on what ended with the run."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(tree, dict):
        for part in name.split("."):
            tree = tree.get(part) if isinstance(tree, dict) else None
        return tree
    if tree is None:
        return None
    try:
        value = OmegaConf.select(tree, name)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:  # a name that is no key (test/top1), or one filled in by Hydra while it runs
        return None


def _read_metrics(file: Path) -> dict[str, float]:
    content = read_json_object(file) or {}
    return {name: float(value) for name, value in content.items() if isinstance(value, int | float)}


def _read_yaml(file: Path) -> Any:
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None
