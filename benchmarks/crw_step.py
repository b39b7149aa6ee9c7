"""Time of our training step of the contrastive random walk against the straightforward module.

The straightforward one moves the nodes to `[B, N, C, T, h, w]` as published, pads by the `padding_mode="reflect"` of
torch's convolutions, multiplies each cycle from its first factor on, takes logarithms of whole matrices and trains with
torch's Adam as it comes. Both start from the same weights and see the same batch. Steps take turns in one process;
medians count. Before the clock runs, loss and gradients of both are compared with the straightforward one in float64.

What saves time (of processor time, 64 patches, one core): convolutions of 256 and more channels by minimal filtering
(0.65 of the step with direct ones), channels-last (0.9), no transposed copies, walks that reuse products and one fused
optimizer (0.01 each at most). What does not: flushing denormal numbers, the normalisation folded into convolutions
(evaluation: 0.97), minimal filtering with 128 channels or fewer. Zeros at the border instead of the mirrored picture
would save 0.04.

    python benchmarks/crw_step.py            # 2 clips of 4 frames, 49 patches of 64 pixels, ResNet-18, head
    python benchmarks/crw_step.py --quick    # a small size, to see that it runs
"""

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.heap import keep_freed_memory
from lightning_modules.videowalk import upstream
from lightning_modules.videowalk.networks.resnet import ResNet
from lightning_modules.videowalk.networks.walk_network import WalkNetwork
from lightning_modules.videowalk.walk import Walk

TARGET = 0.75
TEMPERATURE = 0.05
Step = Callable[[], Tensor]


class PlainBlock(nn.Module):
    """Basic block as torchvision writes it."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False, padding_mode="reflect")
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False, padding_mode="reflect")
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + identity)


class PlainWalk(nn.Module):
    """Network and loss, written down as the paper's formulas stand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers = nn.Sequential()
        # The published names: encoder.model.conv1 and so on.
        self.encoder = nn.ModuleDict({"model": layers})
        add = layers.add_module
        add("conv1", nn.Conv2d(3, width, 7, 2, 3, bias=False, padding_mode="reflect"))
        add("bn1", nn.BatchNorm2d(width))
        add("relu", nn.ReLU(inplace=True))
        add("maxpool", nn.MaxPool2d(3, 2, 1))
        for i, (inputs, stride) in enumerate(((1, 1), (1, 2), (2, 1), (4, 1))):
            outputs = width * 2**i
            blocks = (PlainBlock(width * inputs, outputs, stride), PlainBlock(outputs, outputs, 1))
            add(f"layer{i + 1}", nn.Sequential(*blocks))
        self.selfsim_fc = nn.Sequential(nn.Linear(8 * width, 128))

    def forward(self, clips: Tensor) -> Tensor:
        batch, frames, channels, height, width = clips.shape
        x = clips.transpose(1, 2).view(batch, channels // 3, 3, frames, height, width)
        x = x.flatten(0, 1).transpose(1, 2).contiguous()
        maps = self.encoder["model"](x.view(-1, *x.shape[2:]))
        maps = maps.view(batch, channels // 3, frames, *maps.shape[1:]).permute(0, 1, 3, 2, 4, 5).contiguous()
        nodes = self.selfsim_fc(maps.mean((-2, -1)).transpose(-1, -2)).permute(0, 3, 2, 1)
        q = F.normalize(nodes, dim=1)
        affinities = torch.einsum("bctn,bctm->btnm", q[:, :, :-1], q[:, :, 1:])
        away = [(affinities[:, t] / TEMPERATURE).softmax(-1) for t in range(frames - 1)]
        home = [(affinities[:, t].transpose(-1, -2) / TEMPERATURE).softmax(-1) for t in range(frames - 1)]
        target = torch.arange(q.shape[-1]).repeat(batch)
        losses = []
        for i in range(1, frames - 1):
            factors = away[: i + 1] + home[: i + 1][::-1]
            cycle = factors[0]
            for factor in factors[1:]:
                cycle = cycle @ factor
            losses.append(F.cross_entropy((cycle + 1e-20).log().flatten(0, 1), target))
        return torch.stack(losses).mean()


def training_step(loss_of: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> Step:
    """One whole step as a function without arguments; returns the loss."""

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def errors(plain: PlainWalk, width: int, size: int) -> dict[str, float]:
    """Distance of the float32 gradients of both from float64, over the length of the latter; 24 patches."""
    clips = torch.randn(1, 3, 3 * 8, size, size)
    exact = copy.deepcopy(plain).double()
    network = WalkNetwork(ResNet(18, "reflect", width=width)).train()
    network.load_state_dict(upstream.to_ours(plain.state_dict())[0])
    reference = exact(clips.double())
    found = {"straightforward": plain(clips), "ours": Walk(TEMPERATURE)(network(clips).q).loss}
    for loss in (reference, *found.values()):
        loss.backward()
    gradients = {
        "straightforward": {name: each.grad for name, each in plain.named_parameters()},
        "ours": upstream.to_upstream({name: each.grad for name, each in network.named_parameters()}),
    }
    report = {}
    for name, loss in found.items():
        report[f"{name}_loss_error"] = abs(float((loss - reference).detach()))
        pairs = [(gradients[name][key], each.grad) for key, each in exact.named_parameters()]
        distance = torch.stack([(ours - theirs).square().sum() for ours, theirs in pairs]).sum()
        length = torch.stack([theirs.square().sum() for _, theirs in pairs]).sum()
        report[f"{name}_gradient_error"] = float((distance / length).sqrt())
    return report


def medians(steps: dict[str, Step], repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each step by the clock and on the processor.

    Steps take turns, so that a busy machine slows all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            start, begun = time.perf_counter(), time.process_time()
            step()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - begun)
    clock, used = ({name: statistics.median(each[name]) for name in steps} for each in (times, processor))
    return clock, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--patches", type=int, default=49)
    parser.add_argument("--size", type=int, default=64, help="side of a patch in pixels")
    parser.add_argument("--width", type=int, default=64, help="channels of the first layer")
    parser.add_argument("--repeats", type=int, default=3, help="timed steps of each kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="also under bfloat16 autocast, which changes the values")
    parser.add_argument("--quick", action="store_true", help="1 clip of 3 frames, 8 patches of 32 pixels, width 16")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    if options.quick:
        options.batch, options.frames, options.patches, options.size, options.width = 1, 3, 8, 32, 16
    keep_freed_memory()  # as the commands do
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clips = torch.randn(options.batch, options.frames, 3 * options.patches, options.size, options.size)
    plain, walk = PlainWalk(options.width).train(), Walk(TEMPERATURE).train()

    def ours() -> WalkNetwork:
        network = WalkNetwork(ResNet(18, "reflect", width=options.width)).train()
        network.load_state_dict(upstream.to_ours(plain.state_dict())[0])
        return network

    report = errors(plain, options.width, options.size)
    for name in ("straightforward", "ours"):
        loss, gradient = (report[f"{name}_{kind}_error"] for kind in ("loss", "gradient"))
        print(f"error against float64, {name}: loss {loss:.1e}, gradient {gradient:.1e}")

    first = ours()
    steps = {
        "straightforward": training_step(lambda: plain(clips), torch.optim.Adam(plain.parameters(), 1e-4)),
        "float32": training_step(
            lambda: walk(first(clips).q).loss, torch.optim.Adam(first.parameters(), 1e-4, fused=True)
        ),
    }
    if options.bf16:
        second = ours()

        def half() -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return walk(second(clips).q).loss

        steps["bf16-mixed"] = training_step(half, torch.optim.Adam(second.parameters(), 1e-4, fused=True))
    seconds, used = medians(steps, options.repeats)
    report |= {f"{name}_seconds": round(value, 4) for name, value in seconds.items()}
    print(f"straightforward: {seconds['straightforward']:.3f} s")
    for name in list(seconds)[1:]:
        report[f"{name}_ratio"] = round(seconds[name] / seconds["straightforward"], 3)
        report[f"{name}_processor_ratio"] = round(used[name] / used["straightforward"], 3)
        aim = f" (at most {TARGET})" if name == "float32" else ""
        ratio, processor = report[f"{name}_ratio"], report[f"{name}_processor_ratio"]
        print(f"{name}: {seconds[name]:.3f} s, ratio {ratio:.2f}{aim}; of processor time {processor:.2f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
