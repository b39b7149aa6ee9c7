"""The protocol of actor under `evaluate`: the module's own test loop, then what `evaluate_actor` measures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from entrypoints.config_check import Fault
from entrypoints.run_data import with_data
from entrypoints.tasks import evaluate_actor
from entrypoints.tasks.evaluation_report import Report

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun


@dataclass(frozen=True)
class Prepared:
    """Model, data and judges of an evaluation."""

    module: Any
    datamodule: Any
    judges: evaluate_actor.Judges


def faults(config: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the keys of `conf/protocol/actor.yaml`."""
    rules = {
        "samples": (isinstance(config["samples"], int) and 2 <= config["samples"] <= 1000, "must lie in 2..1000"),
        "seed": (isinstance(config["seed"], int) and config["seed"] >= 0, "must be a whole number from 0 on"),
        "seeds": (isinstance(config["seeds"], int) and 1 <= config["seeds"] <= 1000, "must lie in 1..1000"),
        "num_seq_max": (isinstance(config["num_seq_max"], int) and config["num_seq_max"] >= 2, "must be at least 2"),
        "batch_size": (isinstance(config["batch_size"], int) and config["batch_size"] >= 1, "must be at least 1"),
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
    return [Fault(f"{key}={config[key]}", rule) for key, (fine, rule) in rules.items() if not fine]


def prepare(run: "LoadedRun", config: Mapping[str, Any], device: Any) -> Prepared:
    """Build model and data, load the judges and hold them against each other.

    Raises:
        InputError: other actions than the run's, unknown pairs, an unfit recogniser, no data.
    """
    from entrypoints.runs import build_datamodule, load_module

    module = load_module(run, "average" if config["ema"] else "raw")
    datamodule = build_datamodule(with_data(run, config["data"]))
    datamodule.prepare_data()
    datamodule.setup("test")
    return Prepared(module, datamodule, evaluate_actor.prepare(run, module, datamodule, config))


def evaluate(run: "LoadedRun", config: dict[str, Any], device: Any, prepared: Prepared) -> Report:
    """Test metrics of the module and everything of `evaluate_actor.evaluate`.

    Raises:
        InputError: an empty split.
    """
    module, datamodule = prepared.module, prepared.datamodule
    tested = _test(module, datamodule, device)
    module.to(device).eval()
    report = evaluate_actor.evaluate(run, module, datamodule, config, device, prepared.judges)
    report.metrics = {**tested, **report.metrics}
    return report


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
