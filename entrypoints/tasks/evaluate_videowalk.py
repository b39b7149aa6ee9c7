"""Evaluation of videowalk: labels of first frames are carried through DAVIS, JHMDB or VIP and scored.

Beside the trained network stand fresh ones of its architecture (an untrained ResNet with reflect padding is strong
already: what training adds is the difference) and the first frame's labels copied to every frame.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.cores import usable_cores
from components.errors import InputError
from entrypoints.config_check import Fault
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.options import check_types
from entrypoints.tasks.progress import progress
from entrypoints.tasks.videowalk_benchmarks import BENCHMARKS, benchmark_of
from entrypoints.tasks.videowalk_parts import TRAINED, Part, compute_all, rows_of
from entrypoints.tasks.videowalk_pictures import joints_sheet, masks_sheet
from entrypoints.tasks.videowalk_tables import ADD, Results, sequence_score

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun
    from lightning_modules.videowalk.propagation.settings import PropagationSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """The keys of `conf/protocol/videowalk.yaml`."""

    synthetic: str
    benchmark: Literal["auto", "davis", "jhmdb", "vip"] = "auto"
    sequences: list[str] | None = None
    context: int | None = None
    topk: int = 10
    radius: float | None = 12.0
    temperature: float = 0.05
    long_memory: list[int] | None = None
    published_long_memory: bool = False
    normalize: bool = True
    norm_mask: bool = False
    size: int | list[int] | None = None
    remove_layers: list[str] | None = None
    use_head: bool = False
    adapt_steps: int = 0
    adapt_lr: float = 1e-5
    untrained_seeds: list[int] | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Prepared:
    """What is to be computed."""

    benchmark: str
    sequences: Sequence[Any]
    settings: "PropagationSettings"
    network: Mapping[str, Any]
    synthetic: bool


def faults(config: Mapping[str, Any]) -> list[Fault]:
    """What is wrong with the keys of `conf/protocol/videowalk.yaml`.

    Raises:
        ConfigError: values of other types.
    """
    check_types(f"{__name__}.Options", {key: config[key] for key in Options.__annotations__}, "evaluate")
    seeds, workers = config["untrained_seeds"] or [], config["workers"]
    rules = {
        "adapt_steps": (config["adapt_steps"] >= 0, "must not be negative"),
        "adapt_lr": (config["adapt_lr"] > 0, "must be above 0"),
        "untrained_seeds": (
            len(set(seeds)) == len(seeds) and all(seed >= 0 for seed in seeds),
            "expected different whole numbers from 0 on, [0, 1, 2]; [] leaves them out",
        ),
        "workers": (workers is None or 1 <= workers <= 256, "must lie in 1..256"),
        "sequences": (config["sequences"] != [], "names no sequence; null takes all"),
    }
    return [Fault(f"{key}={config[key]}", rule) for key, (fine, rule) in rules.items() if not fine]


def prepare(run: "LoadedRun", config: Mapping[str, Any], device: Any) -> Prepared:
    """Find the sequences, make them where nobody named any, and try the network.

    Raises:
        InputError: data in another layout, an unknown sequence, bad settings, layers that the network lacks.
    """
    from entrypoints.runs import load_module
    from lightning_modules.videowalk.propagation.settings import PropagationSettings

    root, name = config["data"]["root"], config["benchmark"]
    if root is None:
        name = "davis" if name == "auto" else name
        root = _synthetic(name, config["synthetic"])
    elif name == "auto":
        name = benchmark_of(root)
    benchmark = BENCHMARKS[name]
    size = benchmark.size if config["size"] is None else config["size"]
    settings = PropagationSettings(
        context=benchmark.context if config["context"] is None else config["context"],
        topk=config["topk"],
        radius=config["radius"],
        temperature=config["temperature"],
        long_memory=tuple(config["long_memory"] or ()),
        published_long_memory=config["published_long_memory"],
        normalize=config["normalize"],
        norm_mask=config["norm_mask"],
        size=tuple(size) if isinstance(size, list) else size,
    )
    module = load_module(run, "average" if config["ema"] else "raw")
    if not hasattr(module, "features"):
        raise InputError(f"run={config['run']}: {run.config['model']['_target_']} gives no features of frames")
    extractor = module.features(use_head=config["use_head"], remove_layers=tuple(config["remove_layers"] or ()))
    network = {"stride": extractor.stride, "channels": extractor.channels}
    sequences = benchmark.read(str(root), config["sequences"])
    return Prepared(name, sequences, settings, network, config["data"]["root"] is None)


def evaluate(run: "LoadedRun", config: dict[str, Any], device: Any, prepared: Prepared) -> Report:
    """Carry, score and compare.

    Args:
        run: what is evaluated.
        config: keys of `conf/evaluate.yaml` and of the protocol, and the `folder` of the results: `parts` in it keeps
            what is computed for the next time.
        device: of the networks.
        prepared: of `prepare`.

    Raises:
        InputError: a sequence cannot be read or scored.
        FailedJob: a process was killed.
    """
    config = {
        **config,
        "remove_layers": config["remove_layers"] or [],
        "untrained_seeds": config["untrained_seeds"] or [],
    }
    rows = rows_of(run, config, prepared.benchmark, prepared.settings, str(device), Path(config["folder"]) / "parts")
    parts = [
        Part(row, prepared.benchmark, sequence, prepared.settings, str(device))
        for row in rows
        for sequence in prepared.sequences
    ]
    workers = config["workers"] or (usable_cores() if device.type == "cpu" else 1)
    facts = {
        "benchmark": prepared.benchmark,
        "data": "synthetic" if prepared.synthetic else str(config["data"]["root"]),
        "sequences": [sequence.name for sequence in prepared.sequences],
        **asdict(prepared.settings),
        **prepared.network,
        "remove_layers": config["remove_layers"],
        "use_head": config["use_head"],
        "adapt_steps": config["adapt_steps"],
        "adapt_lr": config["adapt_lr"],
        "untrained_seeds": config["untrained_seeds"],
        "checkpoint": str(run.checkpoint_path),
    }
    log.info(
        "%s: %s, context %d, topk %d, radius %s, temperature %g, size %s, stride %d",
        prepared.benchmark, _counted(len(prepared.sequences)), prepared.settings.context, prepared.settings.topk,
        prepared.settings.radius, prepared.settings.temperature, prepared.settings.size or "as it is",
        prepared.network["stride"],
    )  # fmt: skip
    with progress("sequences", len(parts)) as told:
        results = compute_all(parts, workers, told)
    report = Report(f"{run.experiment} on {prepared.benchmark}")
    ADD[prepared.benchmark](report, results, prepared.sequences, [row.name for row in rows])
    report.files["protocol.json"] = json.dumps(facts, indent=2) + "\n"
    _add_pictures(report, prepared, results, parts)
    return report


def _counted(sequences: int) -> str:
    return "1 sequence" if sequences == 1 else f"{sequences} sequences"


def _add_pictures(report: Report, prepared: Prepared, results: Results, parts: Sequence[Part]) -> None:
    """The best and the worst sequence of the trained network."""
    trained = {part.sequence.name: part for part in parts if part.row.name == TRAINED}
    scores = {
        name: sequence_score(prepared.benchmark, results[TRAINED, name], part.sequence)
        for name, part in trained.items()
    }
    ranked = sorted(scores, key=lambda name: scores[name])
    chosen = {"worst": ranked[0], "best": ranked[-1]} if len(ranked) > 1 else {"only": ranked[0]}
    unit = {"davis": "J&F", "jhmdb": "strict PCK@0.1", "vip": "mIoU"}[prepared.benchmark]
    for kind, name in chosen.items():
        part, title = trained[name], f"{name} ({kind} sequence): {unit} {scores[name]:.3g}"
        masks = part.masks()
        report.pictures[f"{prepared.benchmark}_{kind}"] = (
            joints_sheet(part.sequence, results[TRAINED, name], title)
            if masks is None
            else masks_sheet(part.sequence, masks, title)
        )


def _synthetic(benchmark: str, folder: str) -> Path:
    """The root of a set that Troupe makes itself, written on first use."""
    from entrypoints import film_preparations

    make = getattr(film_preparations, f"synthetic_{benchmark}")
    root = Path(make(str(Path(folder) / benchmark)).place)
    log.info("data: synthetic sequences in %s; measure on your own with data.root=<DAVIS, JHMDB or VIP folder>", root)
    return root
