"""Jittered patches of a batch against the loop that cuts them one by one, measured alternately in one process.

    python -m benchmarks.patch_augmentation                # batch 2, 4 frames, 49 patches of 64, one thread; target 1/5
    python -m benchmarks.patch_augmentation --batch 20 --threads 2
    python -m benchmarks.patch_augmentation --device cuda

Everything starts from the same uint8 frames and ends in the same normalised tensor `[B, T, 3*N, p, p]`, random draws
included. `pillow loop` is the published way: per patch draw a crop, cut and enlarge it with Pillow, make a tensor,
normalise. `tensor loop` is the same with torch's resizing on tensors that are normalised beforehand. `one grid_sample`
and `rows` are the two ways of `components.media.crops`, of which `ours` takes the faster one for the device.

Shortest of the repeats: other work on the machine only ever adds. Memory that was freed is kept, as in our commands.
"""

import argparse
import math
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from components.heap import keep_freed_memory
from components.media import crops as sampling
from components.media.patches import PatchGrid

TARGET = 1 / 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, help="side of a frame, pixels")
    parser.add_argument("--patch", type=int, default=64, help="side of a patch, pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()

    device = torch.device(options.device)
    grid = PatchGrid(options.patch)
    generator = torch.Generator().manual_seed(0)
    shape = (options.batch, options.frames, 3, options.size, options.size)
    on_cpu = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    frames = on_cpu.to(device)
    nodes = grid.num_nodes(options.size, options.size)
    same = grid.draw_crops(options.batch * options.frames, nodes, generator).view(*shape[:2], nodes, 4)
    difference = (grid(frames, crops=same).cpu() - tensor_loop(grid, on_cpu, generator, same)).abs().max()
    print(
        f"batch {options.batch}, {options.frames} frames, {nodes} patches of {options.patch}, {options.threads} "
        f"thread(s), {device}; with equal crops ours and the tensor loop differ by {difference:.1e}"
    )

    jobs: dict[str, Callable[[], object]] = {
        "pillow loop": lambda: pillow_loop(grid, on_cpu, generator).to(device),
        "tensor loop": lambda: tensor_loop(grid, frames, generator),
        "one grid_sample": lambda: through(sampling.sample_by_grid, grid, frames, generator),
        "ours": lambda: grid(frames, generator),
    }
    if device.type == "cpu":
        jobs["rows"] = lambda: through(sampling.sample_by_rows, grid, frames, generator)
    times = alternate(jobs, options.repeats, device)
    ours = times["ours"]
    for name, seconds in times.items():
        print(f"{name:16s} {1e3 * seconds:8.2f} ms   ours takes {ours / seconds:6.3f} of it")
    ratio = ours / times["pillow loop"]
    print(f"target at most {TARGET:g} of the published loop: {ratio:.3f}, {'met' if ratio <= TARGET else 'MISSED'}")


def pillow_loop(grid: PatchGrid, frames: Tensor, generator: Generator) -> Tensor:
    """Patch by patch with Pillow."""
    side = grid.patch_size
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in grid.normalization)  # type: ignore[attr-defined]
    result = []
    for frame in frames.flatten(0, 1):
        pixels = frame.permute(1, 2, 0).numpy()
        patches = []
        for y, x in grid.windows(*frame.shape[1:]).corners().tolist():
            window = Image.fromarray(np.ascontiguousarray(pixels[y : y + side, x : x + side]))
            top, left, height, width = draw_one(grid, generator)
            patch = window.crop((left, top, left + width, top + height)).resize((side, side), Image.Resampling.BILINEAR)
            patches.append((torch.from_numpy(np.array(patch)).permute(2, 0, 1).float().div_(255) - mean) / std)
        result.append(torch.cat(patches))
    return torch.stack(result).view(*frames.shape[:2], -1, side, side)


def draw_one(grid: PatchGrid, generator: Generator) -> list[int]:
    """One random crop with few small draws, as the published transform makes it."""
    side = grid.patch_size
    for _ in range(10):
        area = side * side * torch.empty(1).uniform_(*grid.scale, generator=generator).item()
        logs = [math.log(ratio) for ratio in grid.ratio]
        aspect = math.exp(torch.empty(1).uniform_(*logs, generator=generator).item())
        width, height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < width <= side and 0 < height <= side:
            top = torch.randint(0, side - height + 1, (1,), generator=generator).item()
            left = torch.randint(0, side - width + 1, (1,), generator=generator).item()
            return [int(top), int(left), height, width]
    return [0, 0, side, side]


def tensor_loop(grid: PatchGrid, frames: Tensor, generator: Generator, crops: Tensor | None = None) -> Tensor:
    """Patch by patch with torch's resizing; draws crops unless they are given."""
    side = grid.patch_size
    result = []
    for index, frame in enumerate(frames.flatten(0, 1)):
        image = grid.normalization.apply(frame.float() / 255)[None]
        for node, (y, x) in enumerate(grid.windows(*frame.shape[1:]).corners().tolist()):
            drawn = draw_one(grid, generator) if crops is None else crops.flatten(0, 1)[index, node].tolist()
            top, left, height, width = drawn
            part = image[..., y + top : y + top + height, x + left : x + left + width]
            result.append(F.interpolate(part, size=(side, side), mode="bilinear", align_corners=False))
    return torch.cat(result).view(*frames.shape[:2], -1, side, side)


def through(sample: Callable[..., Tensor], grid: PatchGrid, frames: Tensor, generator: Generator) -> Tensor:
    """The patch grid by one of the ways of sampling, whatever the device."""
    images = grid.normalization.apply(frames.flatten(0, 1).float().div_(255))
    windows = grid.windows(*images.shape[-2:])
    crops = grid.draw_crops(len(images), windows.count, generator).to(images.device, images.dtype)
    rows = sampling.sample_places(crops[..., 0], crops[..., 2], windows.side)
    columns = sampling.sample_places(crops[..., 1], crops[..., 3], windows.side)
    return sample(images, windows, rows, columns)


def alternate(jobs: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Shortest time of each job, in seconds; the jobs take turns."""
    found: dict[str, float] = {}
    for turn in range(repeats + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first warms up
                found[name] = min(found.get(name, float("inf")), time.perf_counter() - start)
    return found


if __name__ == "__main__":
    main()
