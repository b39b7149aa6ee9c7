"""Time and memory of generating 1,200 motions of 60 frames, against the decoder built from stock torch layers.

Both decoders have the published sizes (latent 256, 8 layers, 4 heads, feed-forward 1024) and the same weights, and make
the same motions; that is checked first. The stock one works as published: `nn.TransformerDecoder`, frames first, no
gradients, 64 motions at a time. Rotations and bodies are left out on both sides. The two take turns in one process, all
motions each, with freed memory kept as our commands do; the best of the rounds counts. Memory is measured in a process
for each.

    python -m benchmarks.generate
    python -m benchmarks.generate --quick     # small sizes, to see that it runs
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.memory import forget_peak, peak_memory
from components.heap import keep_freed_memory
from lightning_modules.actor.generation import decode
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.upstream_names import to_upstream

LIMIT = 0.5
CLASSES, BATCH, FRAMES = 12, 64, 60
# Latents and labels of a batch to motions `[B, J, F, T]`.
Generate = Callable[[Tensor, Tensor], Tensor]


class Positions(nn.Module):
    """Adds the positions of the frames, frames first."""

    pe: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("pe", torch.zeros(5000, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pe[: len(x)]


class StockDecoder(nn.Module):
    """The published decoder: parameter names as there."""

    def __init__(self, width: int, layers: int, heads: int, ff: int, pose_size: int) -> None:
        super().__init__()
        self.actionBiases = nn.Parameter(torch.zeros(CLASSES, width))
        self.sequence_pos_encoder = Positions(width)
        layer = nn.TransformerDecoderLayer(width, heads, ff, 0.1, "gelu")
        self.seqTransDecoder = nn.TransformerDecoder(layer, layers)
        self.finallayer = nn.Linear(width, pose_size)

    def forward(self, z: Tensor, mask: Tensor, action: Tensor, joints: int) -> Tensor:
        memory = (z + self.actionBiases[action])[None]
        queries = self.sequence_pos_encoder(z.new_zeros(mask.shape[1], *z.shape))
        hidden = self.seqTransDecoder(queries, memory, tgt_key_padding_mask=~mask)
        poses = self.finallayer(hidden)
        poses[~mask.T] = 0
        return poses.reshape(mask.shape[1], len(z), joints, -1).permute(1, 2, 3, 0)


def sides(quick: bool) -> dict[str, Generate]:
    """The two ways to generate, with equal weights."""
    torch.manual_seed(0)
    width, layers, heads, ff = (32, 2, 4, 64) if quick else (256, 8, 4, 1024)
    sizes: dict[str, Any] = {
        "latent_dim": width,
        "ff_size": ff,
        "num_layers": layers,
        "num_heads": heads,
    }
    net = ActorCVAE(TransformerEncoder, TransformerDecoder, CLASSES, **sizes).eval()
    stock = StockDecoder(width, layers, heads, ff, net.sizes.pose_size).eval()
    stock.load_state_dict(to_upstream(net.decoder.state_dict(), "decoder"))

    @torch.no_grad()
    def generate_stock(z: Tensor, action: Tensor) -> Tensor:
        return stock(z, torch.ones(len(z), FRAMES, dtype=torch.bool), action, net.sizes.num_joints)

    def generate_ours(z: Tensor, action: Tensor) -> Tensor:
        return decode(net, z, torch.full((len(z),), FRAMES), action, action).motion

    return {"stock": generate_stock, "ours": generate_ours}


def batches(motions: int, width: int) -> list[tuple[Tensor, Tensor]]:
    """Latents and labels, 64 motions at a time."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(motions, width, generator=generator)
    action = torch.randint(CLASSES, (motions,), generator=generator)
    return list(zip(z.split(BATCH), action.split(BATCH), strict=True))


def round_times(generators: dict[str, Generate], data: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Seconds that each takes for all batches, one after the other.

    Not batch by batch in turns: the two use different matrix libraries, whose idle threads spin for a while after a
    call and would take the cores from the other side.
    """
    seconds = {}
    for name, generate in generators.items():
        generate(*data[0])
        start = time.perf_counter()
        for z, action in data:
            generate(z, action)
        seconds[name] = time.perf_counter() - start
    return seconds


def measure_memory(side: str, options: argparse.Namespace) -> dict[str, float]:
    """Peak resident memory of a process that generates everything with one side, and the share that generating adds."""
    command = [sys.executable, "-m", "benchmarks.generate", "--side", side, "--threads", str(options.threads)]
    command += ["--motions", str(options.motions), *(["--quick"] if options.quick else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def run_side(side: str, options: argparse.Namespace) -> None:
    """Generate everything with one side alone, keep the motions, and print what memory it took."""
    generate = sides(options.quick)[side]
    data = batches(options.motions, 32 if options.quick else 256)
    forget_peak()
    before = peak_memory()
    motions = [generate(z, action) for z, action in data]
    assert sum(map(len, motions)) == options.motions
    print(json.dumps({"peak_mb": round(peak_memory()), "added_mb": round(peak_memory() - before)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--motions", type=int, default=1200)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--quick", action="store_true", help="small networks")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--side", choices=["stock", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    if options.side:
        run_side(options.side, options)
        return
    generators = sides(options.quick)
    data = batches(options.motions, 32 if options.quick else 256)
    stock, ours = (generators[name](*data[0]) for name in ("stock", "ours"))
    torch.testing.assert_close(ours, stock, rtol=1e-5, atol=1e-5)
    rounds = [round_times(generators, data) for _ in range(options.rounds)]
    seconds = {name: min(times[name] for times in rounds) for name in generators}
    ratio = seconds["ours"] / seconds["stock"]
    report: dict[str, object] = {"ratio": round(ratio, 3), "limit": LIMIT, "threads": options.threads}
    for name in generators:
        memory = measure_memory(name, options)
        report[name] = {"seconds": round(seconds[name], 3), **memory}
        print(
            f"{name:5}: {options.motions} motions of {FRAMES} frames in {seconds[name]:.2f} s, "
            f"peak memory {memory['peak_mb']:.0f} MB, of which generating added {memory['added_mb']:.0f} MB"
        )
    print(f"ratio {ratio:.2f} (at most {LIMIT})")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
