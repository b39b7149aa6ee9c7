"""`python -m entrypoints.evaluate run=<run>`: the test split, reconstruction and generation in numbers and pictures."""

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints import cli
from entrypoints.config_check import Fault
from entrypoints.run_data import with_data
from entrypoints.run_logging import quiet_lightning
from entrypoints.tasks.evaluation_report import Report, merge_metrics
from entrypoints.tasks.options import choose_device, raise_faults, result_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# Module by system, with `prepare(run, module, datamodule, options)`, which raises what is wrong with the options before
# anything takes long, and `evaluate(run, module, datamodule, options, device, prepared) -> Report`.
EVALUATIONS: dict[str, str] = {"actor": "entrypoints.tasks.evaluate_actor"}


def main() -> None:
    """Command line."""
    cli.run("evaluate", job)


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
    """Evaluate a run and write `<run>/evaluation/` and the run's `metrics.json`.

    Args:
        config: the keys of `conf/evaluate.yaml`.

    Returns:
        The report and its folder.

    Raises:
        InputError: bad options, run or data.
    """
    _check(config)
    from lightning.pytorch import seed_everything

    from entrypoints.runs import build_datamodule, load_module, load_run

    run = load_run(config["run"])
    if run.system not in EVALUATIONS:
        raise InputError(
            f"run={config['run']}: no evaluation of '{run.system}' yet; there is one for {', '.join(EVALUATIONS)}"
        )
    quiet_lightning()
    device = choose_device(config["device"])
    seed_everything(config["seed"], workers=True, verbose=False)
    module = load_module(run, "average" if config["ema"] else "raw")
    datamodule = build_datamodule(with_data(run, config["data"]))
    datamodule.prepare_data()
    datamodule.setup("test")
    evaluation = importlib.import_module(EVALUATIONS[run.system])
    prepared = evaluation.prepare(run, module, datamodule, config)
    target = run.run_dir / "evaluation" if config["output"] is None else Path(config["output"]).expanduser()
    with result_folder(target, force=True) as folder:
        tested = _test(module, datamodule, device)
        module.to(device).eval()
        report: Report = evaluation.evaluate(run, module, datamodule, {**config, "folder": target}, device, prepared)
        report.metrics = {**tested, **report.metrics}
        report.write(folder)
    if config["data"]["root"] is None:
        merge_metrics(run.run_dir / "metrics.json", report.metrics)
    return report, target


def _check(config: Mapping[str, Any]) -> None:
    rules = {
        "samples": (isinstance(config["samples"], int) and 2 <= config["samples"] <= 1000, "must lie in 2..1000"),
        "seed": (isinstance(config["seed"], int) and config["seed"] >= 0, "must be a whole number from 0 on"),
        "seeds": (isinstance(config["seeds"], int) and 1 <= config["seeds"] <= 1000, "must lie in 1..1000"),
        "num_seq_max": (isinstance(config["num_seq_max"], int) and config["num_seq_max"] >= 2, "must be at least 2"),
        "batch_size": (isinstance(config["batch_size"], int) and config["batch_size"] >= 1, "must be at least 1"),
        "ema": (isinstance(config["ema"], bool), "expected true (averaged weights, where the run kept them) or false"),
        "max_pairs": (isinstance(config["max_pairs"], int) and config["max_pairs"] >= 1, "must be at least 1"),
        "pair_samples": (
            isinstance(config["pair_samples"], int) and 1 <= config["pair_samples"] <= 10000,
            "must lie in 1..10000",
        ),
        "pair_recognizer": (
            config["pair_recognizer"] is None or config["recognizer"] is not None,
            "needs a recogniser of single actions too: recognizer=<run>",
        ),
        "pairs": (config["pairs"] is None or isinstance(config["pairs"], list), "expected a list, [walk+drink]"),
    }
    faults = [Fault(f"{key}={config[key]}", rule) for key, (fine, rule) in rules.items() if not fine]
    raise_faults(faults, "evaluate")


def _test(module: Any, datamodule: Any, device: Any) -> dict[str, float]:
    """The metrics of the module's own test loop."""
    from lightning.pytorch import Trainer

    accelerator = {"cuda": "gpu"}.get(device.type, device.type)
    devices = [device.index] if device.type == "cuda" and device.index is not None else 1
    trainer = Trainer(
        accelerator=accelerator,
        devices=devices,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    (metrics,) = trainer.test(module, datamodule=datamodule, verbose=False)
    return {name: float(value) for name, value in metrics.items()}


if __name__ == "__main__":
    main()
