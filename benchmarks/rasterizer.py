"""Time of the rasteriser against a matrix product, measured alternately in one process.

    python benchmarks/rasterizer.py                 # 13,776 faces at 256 px, one thread; target: ratio at most 0.5
    python benchmarks/rasterizer.py --batch 1 8 --size 512 --threads 2
    python benchmarks/rasterizer.py --body default  # the packaged body (or the path of a SMPL file) instead

The reference is one 1024 x 1024 x 1024 float32 matrix product on the same threads. Medians over the repeats.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from components.geometry.cameras import weak_perspective_raster
from components.geometry.meshes import capsule_figure, face_corners
from components.rendering.rasterizer import rasterize, visible_fragments

TARGET = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=256, help="side of the picture, pixels")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16], help="batch sizes, the first is compared")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--body", default=None, help="'default' for the packaged body, or the path of a SMPL file")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    device = torch.device(options.device)
    faces = raster_faces(options.body).to(device)
    left, right = torch.rand(1024, 1024, device=device), torch.rand(1024, 1024, device=device)

    def product() -> Tensor:
        return left @ right

    print(f"{faces.shape[0]:,} faces, {options.size} x {options.size} px, {options.threads} thread(s), {device}")
    for index, batch in enumerate(options.batch):
        corners = faces.expand(batch, -1, -1, -1).contiguous()
        maps, fragments, reference = alternate(
            [lambda: rasterize(corners, options.size), lambda: visible_fragments(corners, options.size), product],  # noqa: B023
            max(5, options.repeats // batch),
            device,
        )
        covered = rasterize(corners, options.size).mask.float().mean()
        print(
            f"batch {batch:3d}: {1e3 * maps:7.2f} ms = {1e3 * maps / batch:6.2f} ms per picture "
            f"({batch / maps:6.0f} per second, {covered:.0%} of the pixels covered; "
            f"without dense maps {1e3 * fragments / batch:.2f} ms); matrix product {1e3 * reference:6.2f} ms"
        )
        if index == 0:
            ratio = maps / batch / reference
            verdict = f"target at most {TARGET}: {'met' if ratio <= TARGET else 'MISSED'}"
            stated = options.size == 256 and options.body is None
            print(f"ratio {ratio:.3f} of a matrix product per picture" + (f" ({verdict})" if stated else ""))


def raster_faces(body: str | None) -> Tensor:
    """Corners `[F, 3, 3]` in raster space of a standing figure that fills the picture's height."""
    if body is None:
        vertices, faces = capsule_figure()
    else:
        from components.body.loader import load_body

        model = load_body(None if body == "default" else body)
        vertices, faces = model.v_template, model.faces
    middle = (vertices.amax(0) + vertices.amin(0)) / 2
    half = float((vertices - middle)[:, :2].abs().max())
    # The image convention has y down and the body faces the camera.
    seen = (vertices - middle) * torch.tensor([1.0, -1.0, -1.0])
    return face_corners(weak_perspective_raster(seen, torch.tensor([0.95 / half, 0.0, 0.0])), faces)


def alternate(jobs: list[Callable[[], object]], repeats: int, device: torch.device) -> list[float]:
    """Median seconds of each job; the jobs take turns, so that all meet the same state of the machine."""
    times: list[list[float]] = [[] for _ in jobs]
    for turn in range(repeats + 3):
        for job, record in zip(jobs, times, strict=True):
            start = time.perf_counter()
            job()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if turn >= 3:
                record.append(time.perf_counter() - start)
    return [statistics.median(record) for record in times]


if __name__ == "__main__":
    main()
