"""Time of our ACTOR training step against the same architecture built from stock torch layers.

The stock network has full cross-attention, `nn.TransformerEncoderLayer` and `nn.TransformerDecoderLayer`, and torch's
AdamW with its defaults; both train with dropout 0.1 on the same batch. Steps alternate in one process; medians count.

    python benchmarks/actor_step.py            # the published size: latent 512, 8 layers, 24 motions of 60 frames
    python benchmarks/actor_step.py --quick    # a small size, to see that it runs
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.networks.cvae import ActorCVAE, CVAEOutput, sample_gaussian
from lightning_modules.actor.networks.positions import sinusoidal_positions
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder

TARGETS = {"float32": 0.80, "bf16-mixed": 0.55}


class StockCVAE(nn.Module):
    """The same CVAE from `torch.nn` layers, single conditioning."""

    def __init__(self, pose_size: int, classes: int, sizes: tuple[int, int, int, int], dropout: float) -> None:
        super().__init__()
        width, ff, layers, heads = sizes
        self.mu_query = nn.Parameter(torch.randn(classes, width))
        self.sigma_query = nn.Parameter(torch.randn(classes, width))
        self.embedding = nn.Linear(pose_size, width)
        encoder = nn.TransformerEncoderLayer(width, heads, ff, dropout, "gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder, layers, enable_nested_tensor=False)
        self.bias = nn.Parameter(torch.randn(classes, width))
        decoder = nn.TransformerDecoderLayer(width, heads, ff, dropout, "gelu", batch_first=True)
        self.decoder = nn.TransformerDecoder(decoder, layers)
        self.head = nn.Linear(width, pose_size)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("positions", sinusoidal_positions(1000, width))

    def forward(self, motion: Tensor, mask: Tensor, action: Tensor, _second: Tensor) -> CVAEOutput:
        batch, joints, feats, frames = motion.shape
        x = self.embedding(motion.permute(0, 3, 1, 2).reshape(batch, frames, -1))
        x = torch.cat([self.mu_query[action][:, None], self.sigma_query[action][:, None], x], dim=1)
        x = self.dropout(x + self.positions[: frames + 2])
        token_mask = torch.cat([mask.new_ones(batch, 2), mask], dim=1)
        hidden = self.encoder(x, src_key_padding_mask=~token_mask)
        mu, logvar = hidden[:, 0], hidden[:, 1]
        z = sample_gaussian(mu, logvar)
        queries = self.dropout(self.positions[:frames].expand(batch, -1, -1))
        hidden = self.decoder(queries, (z + self.bias[action])[:, None], tgt_key_padding_mask=~mask)
        output = self.head(hidden).masked_fill(~mask[..., None], 0.0)
        return CVAEOutput(output.reshape(batch, frames, joints, feats).permute(0, 2, 3, 1), mu, logvar, z)


def training_step(
    net: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, ...], bf16: bool
) -> Callable[[], None]:
    """One whole step as a function without arguments."""
    losses = ActorLosses(lambda_rcxyz=0.0)
    motion, mask, action = batch

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = net(motion, mask, action, action)
            loss = losses(out.motion, motion, mask, out.mu, out.logvar)["loss"]
        loss.backward()
        optimizer.step()

    return step


def compare(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each step; they take turns, so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def has_bf16() -> bool:
    """Whether this CPU has bfloat16 instructions."""
    return bool(torch.backends.cpu.get_cpu_capability() and torch.cpu._is_avx512_bf16_supported())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="timed steps of each kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a small network")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    width, ff, layers, heads = (64, 128, 2, 4) if options.quick else (512, 1024, 8, 4)
    batch, joints, feats, frames, classes, dropout = 24, 25, 6, 60, 12, 0.1
    data = (
        torch.randn(batch, joints, feats, frames),
        torch.ones(batch, frames, dtype=torch.bool),
        torch.randint(classes, (batch,)),
    )

    def ours(bf16: bool) -> Callable[[], None]:
        net = ActorCVAE(
            TransformerEncoder,
            TransformerDecoder,
            num_classes=classes,
            latent_dim=width,
            ff_size=ff,
            num_layers=layers,
            num_heads=heads,
            dropout=dropout,
        )
        return training_step(net.train(), torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True), data, bf16)

    stock = StockCVAE(joints * feats, classes, (width, ff, layers, heads), dropout).train()
    steps = {
        "stock float32": training_step(stock, torch.optim.AdamW(stock.parameters(), lr=1e-4), data, bf16=False),
        "float32": ours(bf16=False),
    }
    if has_bf16():
        steps["bf16-mixed"] = ours(bf16=True)
    seconds = compare(steps, options.repeats)
    print(f"stock float32: {seconds['stock float32']:.3f} s")
    report: dict[str, float] = {"stock_seconds": round(seconds["stock float32"], 4)}
    for name, target in TARGETS.items():
        if name in seconds:
            ratio = seconds[name] / seconds["stock float32"]
            report[f"{name}_seconds"], report[f"{name}_ratio"] = round(seconds[name], 4), round(ratio, 3)
            print(f"{name}: {seconds[name]:.3f} s, ratio {ratio:.2f} (at most {target})")
        else:
            print(f"{name}: this CPU has no bfloat16 instructions")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
