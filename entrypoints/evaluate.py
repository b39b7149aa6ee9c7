"""`python -m entrypoints.evaluate run=<run>`: the protocol of the run's paper in numbers, tables and pictures."""

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints import cli
from entrypoints.config_check import Fault
from entrypoints.protocols import protocol_of_run
from entrypoints.run_logging import quiet_lightning
from entrypoints.tasks.evaluation_report import Report, merge_metrics
from entrypoints.tasks.options import choose_device, raise_faults, result_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# Module by system, with `faults(config) -> list[Fault]` of its options; `prepare(run, config, device)`, which loads
# models and data and raises what is wrong with them before anything takes long; and `evaluate(run, config, device,
# prepared) -> Report`, whose config has the final `folder` of the results.
EVALUATIONS: dict[str, str] = {
    "actor": "entrypoints.tasks.actor_protocol",
    "skeletonclip": "entrypoints.tasks.evaluate_skeletonclip",
    "videowalk": "entrypoints.tasks.evaluate_videowalk",
}


def main() -> None:
    """Command line."""
    cli.run("evaluate", job, choose=protocol_of_run)


def job(cfg: "DictConfig") -> None:
    """One job under Hydra."""
    from omegaconf import OmegaConf
    from rich import get_console

    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    report, folder = evaluate_run(config)
    console = get_console()
    for table in report.tables.values():
        if console.is_terminal:
            console.print(table.to_rich())
        else:
            print(table.to_markdown())
    log.info("%s", folder)


def evaluate_run(config: Mapping[str, Any]) -> tuple[Report, Path]:
    """Evaluate a run and write `<run>/evaluation/` and, on all of the run's own data, the run's `metrics.json`.

    Args:
        config: the keys of `conf/evaluate.yaml` with those of the system's `conf/protocol`.

    Returns:
        The report and its folder.

    Raises:
        InputError: bad options, run or data.
    """
    from lightning.pytorch import seed_everything

    from entrypoints.runs import load_run

    run = load_run(config["run"])
    if run.system not in EVALUATIONS:
        raise InputError(
            f"run={config['run']}: no evaluation of '{run.system}' yet; there is one for {', '.join(EVALUATIONS)}"
        )
    evaluation = importlib.import_module(EVALUATIONS[run.system])
    _check(config, evaluation, run.system)
    quiet_lightning()
    device = choose_device(config["device"])
    seed_everything(config.get("seed", 0), workers=True, verbose=False)
    prepared = evaluation.prepare(run, config, device)
    target = run.run_dir / "evaluation" if config["output"] is None else Path(config["output"]).expanduser()
    with result_folder(target, force=True) as folder:
        report: Report = evaluation.evaluate(run, {**config, "folder": target}, device, prepared)
        report.write(folder)
    # Numbers of some sequences, or of another split, are not those of the run's data.
    other = (config["data"]["root"], config["data"].get("ann_file"), config.get("sequences"), config.get("split"))
    if all(value is None for value in other):
        merge_metrics(run.run_dir / "metrics.json", report.metrics)
    return report, target


def _check(config: Mapping[str, Any], evaluation: Any, system: str) -> None:
    faults = []
    if not isinstance(config["ema"], bool):
        rule = "expected true (averaged weights, where the run kept them) or false"
        faults.append(Fault(f"ema={config['ema']}", rule))
    try:
        faults += evaluation.faults(config)
    except KeyError as error:  # another protocol was forced
        raise InputError(
            f"protocol: the run is of '{system}', and {error} is missing.\nLeave protocol=... out; the run chooses it"
        ) from error
    raise_faults(faults, "evaluate")


if __name__ == "__main__":
    main()
