"""Memory and time of the loss on vertices: 20 motions of 60 frames on a body of 6,890 vertices with pose blend shapes.

One step is what training does: vertices of the target without gradients, vertices of the prediction, masked squared
error, backward. `plain` keeps every step of the skinning for the backward pass; `checkpoint` computes them again there,
a chunk of frames at a time (`model.body.checkpoint=true`). Each is measured in a process of its own. The body is made
of random numbers: only its size counts.

    python -m benchmarks.vertex_memory
    python -m benchmarks.vertex_memory --quick     # 2 motions, to see that it runs
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.memory import forget_peak, peak_memory
from components.body.model import BodyModel
from components.body.pose_format import encode_rotations
from lightning_modules.actor.losses import masked_mse
from lightning_modules.actor.rotation2xyz import Rotation2XYZ

VERTICES, FRAMES = 6890, 60
KINDS = {"plain": {}, "checkpoint": {"checkpoint": True}}


def full_body() -> BodyModel:
    """A body of SMPL's size."""
    weights = torch.rand(VERTICES, 24)
    regressor = torch.rand(24, VERTICES)
    return BodyModel(
        v_template=torch.randn(VERTICES, 3),
        shapedirs=torch.randn(VERTICES, 3, 10),
        J_regressor=regressor / regressor.sum(1, keepdim=True),
        lbs_weights=weights / weights.sum(1, keepdim=True),
        faces=torch.zeros(1, 3, dtype=torch.int64),
        posedirs=1e-3 * torch.randn(VERTICES, 3, 207),
    )


def measure(kind: str, motions: int, chunk_frames: int) -> dict[str, float]:
    """Seconds and memory of one step."""
    torch.manual_seed(0)
    layer = Rotation2XYZ(translation=False, body=full_body(), chunk_frames=chunk_frames, **KINDS[kind])  # type: ignore[arg-type]
    target = encode_rotations(0.5 * torch.randn(motions, FRAMES, 24, 3), "rot6d").permute(0, 2, 3, 1)
    prediction = (target + 0.1 * torch.randn_like(target)).requires_grad_()
    mask = torch.ones(motions, FRAMES, dtype=torch.bool)
    forget_peak()
    before = peak_memory()
    start = time.perf_counter()
    with torch.no_grad():
        real = layer(target, mask)
    masked_mse(layer(prediction, mask), real, mask).backward()
    seconds = time.perf_counter() - start
    assert prediction.grad is not None
    return {
        "seconds": round(seconds, 2),
        "added_mb": round(peak_memory() - before),
        "gradient": float(prediction.grad.norm()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 motions")
    parser.add_argument("--chunk-frames", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument("--kind", choices=list(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    motions = 2 if options.quick else 20
    if options.kind:
        print(json.dumps(measure(options.kind, motions, options.chunk_frames)))
        return
    report = {}
    for kind in KINDS:
        command = [sys.executable, "-m", "benchmarks.vertex_memory", "--kind", kind]
        command += ["--chunk-frames", str(options.chunk_frames), *(["--quick"] if options.quick else [])]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        report[kind] = json.loads(done.stdout.splitlines()[-1])
        print(f"{kind:10}: {report[kind]['added_mb']:6} MB added at the peak, {report[kind]['seconds']:.2f} s")
    gradients = [values["gradient"] for values in report.values()]
    assert abs(gradients[0] - gradients[1]) <= 1e-4 * gradients[0], gradients
    ratio = report["checkpoint"]["added_mb"] / report["plain"]["added_mb"]
    print(f"memory with checkpoint: {ratio:.2f} of plain")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
