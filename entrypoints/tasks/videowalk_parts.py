"""The parts of an evaluation of videowalk, one sequence by one network each: computed once, in processes side by side.

A part's file appears whole or not at all, under a name that says what it depends on: weights, settings, and the files
of the sequence. A killed evaluation goes on with the parts that are missing.
"""

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import FailedJob
from components.files.atomic import write_json
from components.files.json_files import read_json_object
from entrypoints.tasks.videowalk_benchmarks import BENCHMARKS, Content

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun, Weights
    from lightning_modules.videowalk.adaptation import AdaptationSettings
    from lightning_modules.videowalk.propagation.settings import PropagationSettings

# Changes when the same settings give other results than before.
_VERSION = 2
TRAINED, ADAPTED, COPY = "trained", "adapted", "copy_first_mask"
# Beginnings of the names of fresh networks' rows, which end with the seed.
UNTRAINED, WHITENED = "untrained", "whitened"


@dataclass(frozen=True)
class Network:
    """How a worker makes a feature extractor: from a checkpoint, or fresh from a seed.

    `whitened`: a fresh one takes the statistics of its whitening from the sequence itself.
    """

    checkpoint: str
    weights: "Weights"
    remove_layers: tuple[str, ...]
    use_head: bool
    untrained_seed: int | None = None
    whitened: bool = False
    adapt_steps: int = 0
    adapt_lr: float = 1e-5


@dataclass(frozen=True)
class Row:
    """A row of the tables and the folder of its parts; `network` is None where nothing is computed by one."""

    name: str
    folder: Path
    network: Network | None = None
    keep_masks: bool = False


@dataclass(frozen=True)
class Part:
    """One sequence of a row."""

    row: Row
    benchmark: str
    sequence: Any
    settings: "PropagationSettings" = field(repr=False)
    device: str

    @property
    def file(self) -> Path:
        """Where the result is kept."""
        return self.row.folder / f"{self.place}.json"

    @property
    def place(self) -> str:
        """The sequence's name as a file name."""
        return str(self.sequence.name).replace("/", "__")

    def load(self) -> Content | None:
        """The stored result; None where there is none, or its sequence has changed since."""
        stored = read_json_object(self.file) or {}
        benchmark = BENCHMARKS[self.benchmark]
        try:
            fits = stored.get("files") == self.fingerprint() and benchmark.fits(stored.get("content"), self.sequence)
        except (TypeError, KeyError):
            return None
        return stored["content"] if fits and self._masks_are_there() else None

    def _masks_are_there(self) -> bool:
        """Whether all masks that are kept are still there: pictures are made of them, and people tidy up."""
        folder = self.masks()
        return folder is None or all((folder / f"{path.stem}.png").is_file() for path in self.sequence.frames.frames)

    def fingerprint(self) -> str:
        """Of the sequence's files."""
        from components.media.mask_sequences import fingerprint

        return fingerprint(BENCHMARKS[self.benchmark].files(self.sequence))

    def masks(self) -> Path | None:
        """Folder of the carried masks, if they are kept."""
        return self.row.folder / "masks" / self.place if self.row.keep_masks else None


def rows_of(
    run: "LoadedRun",
    config: Mapping[str, Any],
    benchmark: str,
    settings: "PropagationSettings",
    device: str,
    root: Path,
) -> list[Row]:
    """The trained network, adapted too if asked for, fresh ones of its architecture, and the copied first mask.

    Where the trained network whitens its features, fresh ones stand there plain and whitened: that takes no training.

    Args:
        run: what is evaluated.
        config: the keys of `conf/protocol/videowalk.yaml`, and `ema`.
        benchmark: name of it.
        settings: of the propagation.
        device: where it runs.
        root: folder of the parts.
    """
    weights: Weights = "average" if config["ema"] else "raw"
    shared = {
        "version": _VERSION, "benchmark": benchmark, "settings": asdict(settings), "device": device.split(":")[0],
        "layers": list(config["remove_layers"]), "head": config["use_head"],
    }  # fmt: skip
    chosen = (str(run.checkpoint_path), weights, tuple(config["remove_layers"]), bool(config["use_head"]))

    def row(name: str, network: Network | None, keep_masks: bool, **depends: Any) -> Row:
        text = json.dumps({"row": name, **depends}, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return Row(name, root / f"{benchmark}-{name}-{digest}", network, keep_masks)

    pictures, weights_digest = benchmark != "jhmdb", _digest(run, weights)
    rows = [row(TRAINED, Network(*chosen), pictures, **shared, weights=weights_digest)]
    if config["adapt_steps"]:
        adapted = Network(*chosen, adapt_steps=config["adapt_steps"], adapt_lr=config["adapt_lr"])
        adaptation = {**asdict(_adaptation(adapted, run.config)), "walk": run.config["model"]["walk"]}
        rows.append(row(ADAPTED, adapted, pictures, **shared, weights=weights_digest, adaptation=adaptation))
    model = fresh_config(run.config)["model"]
    for kind in (UNTRAINED, WHITENED) if model.get("whitening") else (UNTRAINED,):
        for seed in config["untrained_seeds"]:
            fresh = Network(*chosen, untrained_seed=seed, whitened=kind == WHITENED)
            rows.append(row(f"{kind}_{seed}", fresh, False, **shared, model=model))
    return [*rows, row(COPY, None, False, version=_VERSION, benchmark=benchmark)]


def fresh_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's config whose encoder begins with random weights, not with those of a file."""
    from entrypoints.runs import without_start

    return {**config, "model": without_start(config["model"])}


def compute_all(parts: Sequence[Part], workers: int, told: Callable[[int], None]) -> dict[tuple[str, str], Content]:
    """Results by row and sequence; what is stored is not computed again.

    Args:
        parts: all of the evaluation.
        workers: processes; 1 computes in this one.
        told: called with 1 for every part that is there.

    Raises:
        InputError: a sequence cannot be read or scored.
        FailedJob: a process was killed, as the system does where memory runs out.
    """
    _LAST.clear()  # of an earlier evaluation in this process; the checkpoint may be another one by now
    pending = []
    for part in parts:
        if part.load() is None:
            pending.append(part)
        else:
            told(1)
    if workers > 1 and len(pending) > 1:
        _in_processes(pending, min(workers, len(pending)), told)
    else:
        with _one_thread(parts[0].device):
            for part in pending:
                compute(part)
                told(1)
    return {(part.row.name, part.sequence.name): _there(part) for part in parts}


def compute(part: Part) -> None:
    """Compute one part and store it; the file is the last thing that is written."""
    benchmark = BENCHMARKS[part.benchmark]
    before = part.fingerprint()
    if part.row.network is None:
        content = benchmark.copy(part.sequence)
    else:
        extractor = _extractor(part.row.network, part.device, part.sequence, part.settings)
        content = benchmark.carry(extractor, part.sequence, part.settings, part.device, part.masks())
    write_json(part.file, {"row": part.row.name, "sequence": part.sequence.name, "files": before, "content": content})


def _there(part: Part) -> Content:
    content = part.load()
    if content is None:
        raise FailedJob(f"{part.file}: the sequence changed while it was evaluated; run the same command again")
    return content


# The network of the last part; parts of a row come one after the other.
_LAST: dict[Network, tuple[Any, Mapping[str, Any]]] = {}


def _extractor(network: Network, device: str, sequence: Any, settings: "PropagationSettings") -> Any:
    import torch

    from entrypoints.runs import build_module, load_run, load_weights

    if network not in _LAST:
        _LAST.clear()
        run = load_run(network.checkpoint)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(network.untrained_seed or 0)
            module = build_module(fresh_config(run.config))
        if network.untrained_seed is None:
            load_weights(module, run, "the stored config", network.weights)
        _LAST[network] = module.to(device).eval(), run.config
    module, config = _LAST[network]
    if network.whitened:
        from lightning_modules.videowalk.propagation.features import gather_whitening

        gather_whitening(module.net, sequence.frames, settings, device)
    if not network.adapt_steps:
        return module.features(use_head=network.use_head, remove_layers=network.remove_layers)
    from lightning_modules.videowalk.adaptation import adapted_features

    steps = _adaptation(network, config)
    return adapted_features(module, sequence.frames, steps, network.use_head, network.remove_layers, device)


def _adaptation(network: Network, config: Mapping[str, Any]) -> "AdaptationSettings":
    """With the nodes of the run's training."""
    from lightning_modules.videowalk.adaptation import AdaptationSettings

    trained_on = config.get("data") or {}
    return AdaptationSettings.like_training(trained_on, steps=network.adapt_steps, lr=network.adapt_lr)


def _digest(run: "LoadedRun", weights: "Weights") -> str:
    """Of the weights that are evaluated."""
    state = run.state(weights)
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        digest.update(state[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """On the CPU one thread as in every worker: the last bits of a sum depend on how it is cut up."""
    import torch

    before = torch.get_num_threads()
    try:
        if device == "cpu":
            torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)


def _in_processes(parts: Sequence[Part], workers: int, told: Callable[[int], None]) -> None:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    # Not forked: a fork of a process that has used torch's threads or CUDA may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        jobs = [pool.submit(compute, part) for part in parts]
        try:
            for done in as_completed(jobs):
                done.result()
                told(1)
        except BrokenProcessPool as error:
            raise FailedJob(
                f"one of {workers} processes was killed, perhaps for want of memory; what is done is kept.\n"
                "Run the same command again with fewer processes: workers=1"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    import torch

    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    """Without this, workers of a killed evaluation would wait for work for ever."""
    parent.join()
    os._exit(1)
