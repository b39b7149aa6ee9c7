"""How often the text encoder reads: a training step and a validation epoch of the models that match clips with texts.

The stated baseline is the straightforward model: in training every sample's text is read, however many samples have the
same one (Visece, PACL in batch); in validation the texts of all classes are read with every batch. Ours reads each
distinct text of a batch once, and those of an evaluation once. Weights, batches and gradients are the same (dropout is
off), which is checked before the clock runs. Steps take turns in one process; medians count.

    python benchmarks/skeletonclip_step.py           # the published text encoder, a quarter of the video encoder
    python benchmarks/skeletonclip_step.py --quick   # a small size, to see that it runs
"""

import argparse
import copy
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from components.heap import keep_freed_memory
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder
from lightning_modules.skeletonclip.networks.tokenizer import ClassTokenizer
from lightning_modules.skeletonclip.networks.video_encoder import VideoEncoder
from lightning_modules.skeletonclip.objectives import in_batch

POOLINGS = {"visece": "mean_then_embed", "pacl": "text_weighted"}


def build(pooling: str, options: argparse.Namespace) -> SkeletonClipModule:
    """A module that learns with `in_batch`, without dropout."""
    torch.manual_seed(0)
    tokenizer = ClassTokenizer()
    text = TextEncoder(
        vocab_size=tokenizer.vocab_size, hidden_size=options.hidden, num_layers=options.layers,
        num_heads=options.hidden // 64, intermediate_size=4 * options.hidden, dropout=0.0,
    )  # fmt: skip
    video = VideoEncoder(ResNet3dSlowOnly(options.joints, options.channels))
    letters = [chr(ord("a") + i) for i in range(26)]
    texts = [f"{letters[i // 26]} {letters[i % 26]} go" for i in range(options.classes)]
    return SkeletonClipModule(
        video, text, tokenizer, functools.partial(torch.optim.SGD, lr=0.01), texts=texts, pooling=pooling,  # type: ignore[arg-type]
        embedder="residual_mlp" if pooling == "text_weighted" else "linear", clip_chunk=None,
    )  # fmt: skip


def plain_loss(module: SkeletonClipModule, batch: Any) -> Tensor:
    """The loss with a text read for every sample."""
    frames, states = module.net(batch["imgs"].flatten(0, 1), *module.texts.tokens(batch["label"]))
    texts = module.net.project_texts(states)
    return in_batch(module.net.pool(frames, texts), texts, batch["label"], module.net.temp)


def plain_epoch(module: SkeletonClipModule, batches: list[Any]) -> None:
    """Scores of all batches, the class texts read for each."""
    for batch in batches:
        module.text_features.forget()
        module.clip_scores(batch["imgs"])


def our_epoch(module: SkeletonClipModule, batches: list[Any]) -> None:
    """Scores of all batches, the class texts read once."""
    module.on_validation_epoch_start()
    for batch in batches:
        module.clip_scores(batch["imgs"])


def step(module: SkeletonClipModule, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """A whole training step without the optimizer's, which is the same for both."""

    def run() -> None:
        module.zero_grad(set_to_none=True)
        loss().backward()

    return run


def medians(runs: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each; they take turns, so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def check(module: SkeletonClipModule, batch: Any) -> None:
    """Both ways must have the same loss and gradients."""
    other = copy.deepcopy(module)
    ours, plain = module.compute_loss(batch)["loss"], plain_loss(other, batch)
    ours.backward()
    plain.backward()
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    for (name, mine), theirs in zip(module.named_parameters(), other.parameters(), strict=True):
        if mine.grad is not None and theirs.grad is not None:
            error = (mine.grad - theirs.grad).norm() / theirs.grad.norm().clamp_min(1e-6)
            assert float(error) < 0.02, f"{name}: gradients differ by {float(error):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--classes", type=int, default=14, help="classes in the data; JHMDB of the notes has 14")
    parser.add_argument("--joints", type=int, default=15)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", type=int, default=32, help="side of a heatmap in pixels")
    parser.add_argument("--channels", type=int, default=8, help="first stage of the video encoder; published: 32")
    parser.add_argument("--hidden", type=int, default=768, help="width of the text encoder")
    parser.add_argument("--layers", type=int, default=12, help="of the text encoder")
    parser.add_argument("--val-batches", type=int, default=6)
    parser.add_argument("--clips", type=int, default=2, help="of a validation sample")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="4 samples, a text encoder of 2 layers")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    if options.quick:
        options.batch, options.hidden, options.layers, options.channels, options.size = 4, 128, 2, 4, 16
        options.classes, options.val_batches, options.repeats, options.frames = 3, 2, 1, 8
    keep_freed_memory()  # as the commands do
    torch.set_num_threads(options.threads)
    generator = torch.Generator().manual_seed(0)

    def batch(samples: int, clips: int) -> Any:
        size = (samples, clips, options.joints, options.frames, options.size, options.size)
        label = torch.randint(options.classes, (samples,), generator=generator)
        return {"imgs": torch.rand(size, generator=generator), "label": label}

    report: dict[str, float] = {}
    training = batch(options.batch, 1)
    distinct = len(training["label"].unique())
    print(f"training: {options.batch} samples, {distinct} distinct texts of {options.classes} classes")
    for variant, pooling in POOLINGS.items():
        module = build(pooling, options).train()
        for norm in module.modules():
            if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
                norm.momentum = 0.0  # all runs see the same network
        check(module, training)
        seconds = medians(
            {
                "per_sample": step(module, functools.partial(plain_loss, module, training)),
                "distinct": step(module, lambda module=module: module.compute_loss(training)["loss"]),  # type: ignore[misc]
            },
            options.repeats,
        )
        report |= {f"{variant}_step_{name}_seconds": round(value, 4) for name, value in seconds.items()}
        ratio = report[f"{variant}_step_ratio"] = round(seconds["distinct"] / seconds["per_sample"], 3)
        print(f"{variant} step: {seconds['per_sample']:.3f} s, distinct texts {seconds['distinct']:.3f} s, {ratio:.2f}")
    module.eval()
    batches = [batch(2, options.clips) for _ in range(options.val_batches)]
    with torch.no_grad():
        seconds = medians(
            {
                "per_batch": lambda: plain_epoch(module, batches),
                "once": lambda: our_epoch(module, batches),
            },
            options.repeats,
        )
    report |= {f"validation_{name}_seconds": round(value, 4) for name, value in seconds.items()}
    ratio = report["validation_ratio"] = round(seconds["once"] / seconds["per_batch"], 3)
    per_batch, once = seconds["per_batch"], seconds["once"]
    print(f"validation of {options.val_batches} batches: {per_batch:.3f} s, texts once {once:.3f} s, {ratio:.2f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
