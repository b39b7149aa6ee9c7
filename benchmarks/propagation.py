"""Time of carrying labels to one frame, against the full masked affinity; memory of short and of long videos.

The full version works as published: the features of all sources of the target in one tensor, copies of the first frame
included, 100 target cells against all source cells at a time, -1e10 beyond the radius, the k best of all. Both get the
same random features and labels of a full context, and must give the same labels within 1e-5. They take turns in one
process of one thread, whose own time on the core is measured; the best of the rounds counts. Memory is measured in a
process for each length of video.

    python -m benchmarks.propagation
    python -m benchmarks.propagation --quick      # small sizes, to see that it runs
    python -m benchmarks.propagation --tiles      # also the time of other tile sizes
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.memory import peak_memory
from lightning_modules.videowalk.propagation.propagator import LabelPropagator, PropagationState
from lightning_modules.videowalk.propagation.search import WindowSearch
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from lightning_modules.videowalk.propagation.source_bank import padded_sources

TIME_LIMIT, MEMORY_LIMIT, TOLERANCE = 1 / 8, 0.05, 1e-5
BLOCK, LABELS = 100, 3
TILES = ((8, 4), (8, 8), (16, 2), (16, 4), (16, 8), (32, 4))


def features_of(frame: int, options: argparse.Namespace) -> Tensor:
    """Features of a frame, a function of its number: `[h * w, C]`, length 1."""
    generator = torch.Generator().manual_seed(frame)
    cells = options.height * options.width
    return F.normalize(torch.randn(cells, options.channels, generator=generator), dim=1)


def labels_of(frame: int, options: argparse.Namespace) -> Tensor:
    """Labels of a frame, `[h * w, L]`."""
    generator = torch.Generator().manual_seed(10_000 + frame)
    return torch.rand(options.height * options.width, LABELS, generator=generator).softmax(1)


@torch.no_grad()
def full_affinity(target: int, options: argparse.Namespace, settings: PropagationSettings) -> Callable[[], Tensor]:
    """The published way; what is prepared once per video (features, the mask of distances) is not part of the time."""
    cells = torch.arange(options.height * options.width)
    y, x = cells // options.width, cells % options.width
    distance = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    mask = (distance >= settings.radius**2).float() * -1e10
    sources = [max(0, index - settings.context) for index in padded_sources(target, settings)]
    stored = {frame: (features_of(frame, options), labels_of(frame, options)) for frame in set(sources)}
    queries, memory = features_of(target, options), len(settings.long_memory)

    def run() -> Tensor:
        keys = torch.stack([stored[frame][0] for frame in sources]).flatten(0, 1).t()
        labels = torch.cat([stored[frame][1] for frame in sources])
        results = []
        for start in range(0, len(queries), BLOCK):
            affinity = (queries[start : start + BLOCK] @ keys).view(-1, len(sources), len(cells))
            affinity[:, memory:] += mask[start : start + BLOCK, None]
            affinity /= settings.temperature
            values, index = affinity.flatten(1).topk(settings.topk, dim=1)
            results.append(torch.einsum("qk,qkl->ql", values.softmax(1), labels[index]))
        return torch.cat(results)

    return run


@torch.no_grad()
def ours(target: int, options: argparse.Namespace, settings: PropagationSettings) -> tuple[PropagationState, Tensor]:
    """A state that has seen all frames before the target, and the target's features."""
    labels0 = labels_of(0, options).t().reshape(LABELS, options.height, options.width)
    state = PropagationState(settings, labels0, options.channels, torch.float32)
    for frame in range(target):
        state.bank.add(frame, features_of(frame, options), labels_of(frame, options))
    return state, features_of(target, options)


@torch.no_grad()
def measure_time(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds per target frame of both, and how far their labels differ."""
    settings = PropagationSettings(context=options.context, radius=options.radius)
    target = options.context + 1
    full = full_affinity(target, options, settings)
    state, cells = ours(target, options, settings)
    seconds: dict[str, list[float]] = {"full": [], "ours": []}
    difference = 0.0
    for _ in range(options.rounds):
        start = time.process_time()
        result = state.vote(target, cells)
        seconds["ours"].append(time.process_time() - start)
        start = time.process_time()
        expected = full()
        seconds["full"].append(time.process_time() - start)
        difference = max(difference, (result - expected).abs().max().item())
    report: dict[str, Any] = {name: min(values) for name, values in seconds.items()}
    report["ratio"], report["difference"] = report["ours"] / report["full"], difference
    if options.tiles:
        report["tiles"] = {}
        for tile in TILES:
            state.window = WindowSearch((options.height, options.width), options.radius, settings.topk, tile=tile)
            times = []
            for _ in range(options.rounds):
                start = time.process_time()
                state.vote(target, cells)
                times.append(time.process_time() - start)
            report["tiles"]["x".join(map(str, tile))] = min(times)
    return report


def run_video(options: argparse.Namespace) -> float:
    """Peak memory of this process, MB, after a video of `options.frames` frames."""

    def stream() -> Iterator[Tensor]:
        for frame in range(options.frames):
            yield features_of(frame, options).t().reshape(-1, options.height, options.width)

    settings = PropagationSettings(context=options.context, radius=options.radius)
    labels0 = labels_of(0, options).t().reshape(LABELS, options.height, options.width)
    for _ in LabelPropagator(settings).run(stream(), labels0):
        pass
    return peak_memory()


def measure_memory(options: argparse.Namespace) -> dict[str, float]:
    """Peak memory, MB, of a short and a long video, a process each. The maps are narrower: the search takes long."""
    results = {}
    for frames in (options.short, options.long):
        sizes = {"height": options.height, "width": options.memory_width, "channels": options.channels}
        arguments = [f"--{name}={value}" for name, value in {**sizes, "context": options.context}.items()]
        command = [sys.executable, "-m", "benchmarks.propagation", f"--frames={frames}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results[str(frames)] = json.loads(done.stdout)["peak_mb"]
    return results


def main() -> None:
    """Command line; exit code 1 when a limit is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--tiles", action="store_true")
    parser.add_argument("--height", type=int, default=60)
    parser.add_argument("--width", type=int, default=107)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--context", type=int, default=20)
    parser.add_argument("--radius", type=float, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", type=int, default=70)
    parser.add_argument("--long", type=int, default=140)
    parser.add_argument("--memory-width", type=int, default=27, help="width of the maps whose memory is measured")
    parser.add_argument("--frames", type=int, help="one video of so many frames: print its peak memory")
    parser.add_argument("--output", type=Path, help="json file for the result")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.frames:
        print(json.dumps({"peak_mb": run_video(options)}))
        return
    if options.quick:
        options.height, options.width, options.channels, options.context, options.rounds = 20, 30, 64, 4, 1
        options.memory_width, options.short, options.long = 20, 14, 28
    report: dict[str, Any] = {"time": measure_time(options), "memory_mb": measure_memory(options)}
    memory = list(report["memory_mb"].values())
    report["memory_growth"] = memory[1] / memory[0] - 1
    text = json.dumps(report, indent=2)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")
    timed = report["time"]
    broken = {
        "labels differ": timed["difference"] > TOLERANCE,
        "too slow": timed["ratio"] > TIME_LIMIT and not options.quick,
        "memory grows with the video": abs(report["memory_growth"]) > MEMORY_LIMIT,
    }
    if any(broken.values()):
        sys.exit(", ".join(name for name, found in broken.items() if found))


if __name__ == "__main__":
    main()
